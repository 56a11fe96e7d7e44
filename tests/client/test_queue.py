"""`mimodaq queue`: runs one after another, taken up again after a crash of the queue, of a run, or of both."""

import json
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.command import MIMODAQ, children_of, kill, wait_for_end, wait_until
from mimodaq.client._queue_book import Book, Outcome, QueueError, Stand
from mimodaq.config import QueuedRun, QueueSpec

PLACE = Path("queue.yaml")


@pytest.fixture
def write(project):
    def write(text):
        project.functions("def paced(*, pause: float = 0.0):\n    yield from slow_numbers(pause=pause)\n")
        project.setup("paced > RB_1", "to_csv < RB_1 {filename: x}")
        project.write("queue.yaml", text)

    return write


@contextmanager
def started(project):
    """The queue as a process; ended by force, with its runs, if it is still there."""
    with (project.folder / "said").open("a") as said:
        queue = subprocess.Popen([*MIMODAQ, "queue", "--quiet"], cwd=project.folder, stderr=said, stdout=said)
    try:
        yield queue
    finally:
        for victim in [*children_of(queue.pid), queue.pid] if queue.poll() is None else []:
            kill(victim)
        queue.wait()


def state(project):
    path = project.folder / "queue.yaml.state"
    return json.loads(path.read_text())["runs"] if path.exists() else []


def hears(project, text):
    said = project.folder / "said"
    wait_until(lambda: text in said.read_text(), f"{text!r} is not said")


def test_each_run_has_its_parameters_and_its_end(project, write):
    write("events: 20\nvary: {Fkt_1.config.pause: [0.001]}\nruns: [{name: short, events: 5}]\n")
    dry = project("queue", "--dry-run").stdout
    assert "2 runs, 0:00:00 of data taking, and 2 that end with their events; nothing was begun" in dry
    assert not (project.folder / "target").exists()
    done = project("queue", "--quiet")
    assert done.stdout.endswith("2 of 2 done, 0 marked\n")
    assert [run["attempts"][0]["events"] for run in state(project)] == [20, 5]
    resolved = (project.folder / "target" / "queue_0001" / "setup.resolved.yaml").read_text()
    assert "pause: 0.001" in resolved
    assert project("queue").stderr == "", "nothing is left to do"


def test_a_mistake_in_any_run_is_named_before_the_first_begins(project, write):
    write("vary: {Fkt_1.config.pause: [0, 1]}\nruns: [{Fkt_7.config.x: 1}]\n")
    done = project("queue", expect=2)
    assert "--set Fkt_7.config.x=1: there is no key or variable 'Fkt_7' in the setup" in done.stderr
    assert state(project) == []


def test_a_killed_queue_finds_its_run_and_goes_on(project, write):
    write("vary: {Fkt_1.config.pause: 0.002}\nevents: 400\n")
    with started(project) as queue:
        hears(project, "running")
        queue.kill()
        queue.wait()
    assert [run["stand"] for run in state(project)] == ["begun"]
    done = project("queue", "--quiet")
    assert "run 1 of 1 was begun before: looking what has become of it" in done.stderr
    assert [(run["stand"], len(run["attempts"])) for run in state(project)] == [("done", 1)]


def test_a_run_that_was_killed_with_the_queue_is_recovered_and_repeated(project, write):
    write("events: 300\nruns: [{Fkt_1.config.pause: 0.005}]\n")
    with started(project) as queue:
        hears(project, "running")
        (run,) = children_of(queue.pid)
        workers = children_of(run)
        for victim in (queue.pid, run, *workers):
            kill(victim)
        queue.wait()
        wait_for_end(run, *workers)
    done = project("queue", "--quiet")
    (entry,) = state(project)
    assert [attempt["verdict"] for attempt in entry["attempts"]] == ["interrupted", "good"]
    assert entry["stand"] == "done", done.stderr
    record = json.loads((project.folder / "target" / "queue_0001" / "run.json").read_text())
    assert record["reasons"] == ["the run was killed; its files were recovered"]
    assert (project.folder / "target" / "queue_0001-2" / "x.csv").read_text().count("\n") == 301


def test_ctrl_c_stops_the_run_and_the_queue_and_the_run_is_repeated_later(project, write):
    write("events: 1000000\nruns: [{Fkt_1.config.pause: 0.01}]\n")
    with started(project) as queue:
        hears(project, "running")
        assert "another process works on this queue" in project("queue", expect=2).stderr
        queue.send_signal(signal.SIGINT)
        assert queue.wait() == 1
    (entry,) = state(project)
    assert (entry["stand"], entry["attempts"][0]["verdict"]) == ("waiting", "good")
    assert entry["attempts"][0]["was_stopped"]


# -- decisions -------------------------------------------------------------------------------------------------------


def book(not_good="repeat", attempts=2, kept=None, runs=2):
    wanted = tuple(QueuedRun({"x": i}) for i in range(runs))
    return Book(QueueSpec(PLACE, PLACE, wanted, not_good, attempts), kept)


def outcome(verdict="good", is_whole=True):
    return Outcome(7, verdict, "because", 100, 10.0, is_whole)


def take(one, **how):
    entry = one.next()
    one.begin(entry, "there")
    one.ended(entry, outcome(**how))
    return entry


@pytest.mark.parametrize(
    ("not_good", "stands_after", "has_next"),
    [("repeat", Stand.WAITING, True), ("mark", Stand.MARKED, True), ("stop", Stand.MARKED, False)],
)
def test_the_file_says_what_follows_a_run_that_is_not_good(not_good, stands_after, has_next):
    one = book(not_good)
    assert take(one, verdict="tainted").stand is stands_after
    assert (one.next() is not None) is has_next


def test_a_run_is_repeated_so_often_and_then_marked():
    one = book(attempts=3)
    assert [take(one, verdict="interrupted").stand for _ in range(3)] == [Stand.WAITING, Stand.WAITING, Stand.MARKED]
    assert one.next().number == 2


def test_a_run_that_something_stopped_before_its_end_stops_the_queue_and_is_no_failure():
    one = book(attempts=1)
    assert take(one, is_whole=False).stand is Stand.WAITING
    assert one.next() is None
    again = book(attempts=1, kept=one.kept())
    assert take(again).stand is Stand.DONE


def test_what_was_kept_is_found_again_when_the_file_has_changed():
    one = book()
    take(one)
    more = book(kept=one.kept(), runs=3)
    assert [entry.stand for entry in more.entries] == [Stand.DONE, Stand.WAITING, Stand.WAITING]
    entry = more.next()
    more.begin(entry, "there")
    with pytest.raises(QueueError, match=r"is not in .* any more"):
        Book(QueueSpec(PLACE, PLACE, (QueuedRun({"x": 0}),)), more.kept())
