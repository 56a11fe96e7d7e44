"""The place of a run: killed at any step there is a whole record or none, and what is left is told of."""

import json
import os
import signal
import socket
import sys
from dataclasses import replace
from selectors import DefaultSelector

import pytest

from mimodaq.node import RECORD, RESOLVED, RunDirectoryError
from mimodaq.node._folder import Folder
from mimodaq.node._hostrun import HostRun, Surroundings
from mimodaq.node._log import LOG, is_running
from mimodaq.node._place import take_place
from mimodaq.node._record import RunFacts
from mimodaq.node._recover import recover_killed_runs
from mimodaq.protocol.plan import LOCAL, make_plan
from mimodaq.protocol.run import Run


@pytest.fixture
def take(setup):
    """`take(directory)` takes the place of run 7; its directory is told of in memory, which is forgotten afterwards."""
    partition = f"places-{os.getpid()}"
    folder = Folder.of(partition)
    plan = make_plan(setup).nodes[LOCAL]

    def take(directory, setup=setup):
        around = Surroundings(DefaultSelector(), lambda event: None, lambda *words: None)
        host = HostRun(setup, plan, 7, partition, folder, around)
        return take_place(host, directory, RunFacts.of(Run(plan.workers()), 0.0), lambda entry: None)

    yield take
    folder.remove()


@pytest.fixture
def out(tmp_path):
    """Where runs write."""
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def killed_at(step, folder, work):
    """Do `work` in a process that is killed just before its `step`-th use of a file in `folder`; whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def count(event, arguments):
            if any(str(folder) in str(one) for one in arguments):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "given"])
def test_killed_at_any_step_there_is_a_whole_record_or_none_and_the_next_start_tells(take, out, is_there):
    step, seen = 0, set()
    while True:
        step += 1
        place = out / f"run-{step}"
        if is_there:
            place.mkdir()
        if not killed_at(step, out, lambda place=place: take(place)):
            break
        told = [run.line() for run in recover_killed_runs(out)]
        if (place / RECORD).exists():
            seen.add("record")
            record = json.loads((place / RECORD).read_text())
            assert (record["run"], record["verdict"]) == (7, "interrupted")
            assert record["where"]["host"] == socket.gethostname()
            assert told == [f"{place} was left by a run that was killed: 0 events recovered"]
            with pytest.raises(RunDirectoryError, match="holds a run already and is not overwritten"):
                take(place)
        else:
            seen.add("log" if (place / LOG).exists() else "nothing")
            words = [f"{place} was left by a run that was killed before it began: no event was taken"]
            assert told == ([f"{words[0]}, so it can be removed"] if (place / LOG).exists() else [])
            take(place).log.close()
            assert json.loads((place / RECORD).read_text())["verdict"] is None
        recover = list(recover_killed_runs(out))
        assert all("killed before" not in run.line() for run in recover)
    assert seen == {"nothing", "log", "record"}
    assert step > 8
    assert {path.name for path in place.iterdir()} >= {RECORD, LOG, RESOLVED, "demo_setup.yaml"}


def test_a_run_that_is_beginning_is_not_taken_for_one_that_was_killed(take, out):
    place = take(out / "run")
    assert is_running(place.directory.path)
    assert list(recover_killed_runs(out)) == []
    with pytest.raises(RunDirectoryError, match="holds a run already and is not overwritten"):
        take(out / "run")
    place.log.close()


def test_a_place_that_cannot_be_taken_leaves_nothing_and_what_was_there_stays(take, setup, out):
    broken = replace(setup, config_files=(setup.folder / "gone.yaml",))
    (out / "mine").mkdir()
    (out / "mine" / "notes.txt").write_text("x")
    for directory in (out / "new", out / "mine"):
        with pytest.raises(RunDirectoryError, match=r"preparing the run directory, .*gone.yaml: No such file"):
            take(directory, broken)
    assert not (out / "new").exists()
    assert not (out / "mine" / RECORD).exists()
    assert (out / "mine" / "notes.txt").read_text() == "x"
    take(out / "mine").give_back()
    assert (out / "mine" / "notes.txt").read_text() == "x"
    take(out / "mine").log.close()
