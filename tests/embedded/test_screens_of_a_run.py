"""`mimodaq run` on a terminal: the screens open on the run, and whatever becomes of them, nothing is lost or left."""

import json
import signal
from pathlib import Path

import pytest

from client.command import column, kill, wait_for_end, wait_until
from embedded.screens import environment, places, workers_of
from mimodaq.client._embedded import Configured, Host, news_of
from mimodaq.client.session import Session
from mimodaq.node import folder_path, tag_of
from mimodaq.node._folder import processes_of

_MANY = 20_000
"""Files that take so long to remove that the functions have ended meanwhile."""
_CONNECT_S = 60.0
_OF_THE_MOMENT = ("run", "where", "times", "running_s", "live_time_s", "live_time_fraction")


@pytest.fixture
def endless(seat):
    seat.setup("slow_numbers > RB_1", "save < RB_1")
    return seat


def comparable(path):
    """What of a record does not depend on the moment and the process."""
    content = json.loads(path.read_text())
    for name in _OF_THE_MOMENT:
        del content[name]
    for buffer in content["buffers"].values():
        for name in ("rate_hz", "waited_s", "waited_for_s"):
            del buffer[name]
    content["files"] = {f: [p.removeprefix(str(path.parent)) for p in files] for f, files in content["files"].items()}
    return content


def only_record(seat):
    (path,) = seat.records()
    return json.loads(path.read_text())


def saved(seat):
    """The events in the file of the run, and those that the record says were worked off."""
    (path,) = seat.records()
    return len(column(path.parent / "out.csv")), only_record(seat)["ledger"]["buffers"]["RB_1"]["Fkt_2"]["released"]


def test_a_run_on_the_screens_leaves_what_a_headless_one_leaves(seat):
    seat.setup("slow_numbers > RB_1", "keep < RB_1 > RB_2", "save < RB_2")
    words = ("--events", "200", "--comment", "first light")
    with seat.terminal(*words) as terminal:
        terminal.sees("run 1: GOOD")
        terminal.press("q")
        terminal.ends(0)
    printed = terminal.text[terminal.text.rindex("run 1: GOOD") :]
    assert "ledger balances: every event accounted for" in printed
    assert "out.csv" in printed
    assert seat.run(*words)["run"] == 2
    on_screens, headless = seat.records()
    assert comparable(on_screens) == comparable(headless)
    record = json.loads(on_screens.read_text())
    assert (record["run"], record["end_reason"]) == (1, "200 events are taken")
    assert record["comment"] == "first light"
    assert record["where"]["command"][1:] == ["run", *words]
    assert {p.name for p in on_screens.parent.iterdir()} == {p.name for p in headless.parent.iterdir()}
    assert column(on_screens.parent / "out.csv") == column(headless.parent / "out.csv")


def test_others_can_look_at_a_run_and_it_can_be_left_running_and_stopped_from_elsewhere(endless):
    how = {"env": environment(endless.runtime)}
    with endless.terminal() as terminal:
        endless.file("flowing")
        terminal.opens()
        assert endless.in_memory()
        seen = endless("observe", "RB_1", "-n", "1", "--json", "--broker", terminal.address, **how).stdout
        assert json.loads(seen)["event"]["x"]
        terminal.press("q")
        terminal.sees("Leave it running")
        terminal.press("l")
        terminal.ends(0)
        assert f"mimodaq stop --broker {terminal.address}" in terminal.text
        endless("stop", "--broker", terminal.address, **how)
    assert (only_record(endless)["verdict"], only_record(endless)["end_reason"]) == ("good", "by the operator")
    assert saved(endless)[0] == saved(endless)[1]


def test_a_run_goes_on_to_its_end_when_its_terminal_is_closed(seat):
    seat.setup("slow_numbers > RB_1 {n: 500}", "save < RB_1")
    with seat.terminal() as terminal:
        seat.file("flowing")
        terminal.hang_up()
        assert terminal.process.wait() == -signal.SIGHUP
        assert places(seat.runtime)
    record = only_record(seat)
    assert (record["verdict"], record["end_reason"]) == ("good", "sources finished")
    assert saved(seat) == (500, 500)


def test_a_signal_stops_the_run_and_leaves(endless):
    with endless.terminal() as terminal:
        endless.file("flowing")
        terminal.opens()
        terminal.process.send_signal(signal.SIGTERM)
        terminal.ends(0)
    assert "run 1: GOOD" in terminal.text
    assert only_record(endless)["verdict"] == "good"


def test_when_the_process_of_the_run_is_killed_that_is_told_and_the_events_are_saved(endless):
    with endless.terminal() as terminal:
        endless.file("flowing")
        terminal.opens()
        host = terminal.host
        workers = workers_of(host)
        assert len(workers) >= 2
        terminal.press("q")
        terminal.sees("Files: ")
        kill(host)
        terminal.ends(1)
        wait_for_end(*workers)
    assert "has died (SIGKILL)" in terminal.text
    (path,) = endless.records()
    assert f"mimodaq recover {path.parent}" in terminal.text.replace("\r\n", "")
    assert column(path.parent / "out.csv")[:11] == list(range(11))


def test_mistakes_are_told_as_without_screens_and_nothing_is_started(seat):
    seat.setup("numberz > RB_1", "save < RB_1 {nothing: 3}")
    with seat.terminal() as terminal:
        terminal.ends(2)
    lines = [line for line in seat("run", "--headless", expect=2).stderr.splitlines() if line.startswith("setup.yaml:")]
    assert len(lines) == 2
    for line in lines:
        assert line in terminal.text
    assert not seat.records()


def test_a_directory_that_holds_a_run_is_not_overwritten(endless, monkeypatch):
    endless.write("old/run.json", "{}")
    monkeypatch.chdir(endless.folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(endless.runtime))
    host = Host(Path("setup.yaml"), (), Path("old"))
    try:
        said = [news_of(line) for line in (host.news.readline(), host.news.readline())]
        assert host.wait() == 0
    finally:
        host.close()
    assert said[:1] == [Configured(said[0].address)]
    assert "old holds a run already" in said[1].text
    assert not list(endless.runtime.glob("mimodaq/*/*"))


def test_what_a_killed_run_has_in_memory_is_gone_before_its_last_function_is(endless, monkeypatch):
    """The window stays as long as the folder does, and nobody else would remove that before the next run."""
    monkeypatch.chdir(endless.folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(endless.runtime))
    host = Host(Path("setup.yaml"), (), None)
    try:
        place = Path(news_of(host.news.readline()).address.removeprefix("ipc://"))
        endless.file("flowing")
        folder = folder_path(f"{tag_of(place / 'node')}-1")
        for number in range(_MANY):
            (folder / f"{number}.output").touch()
        pids = processes_of(folder)
        window = pids.pop("window[0]")
        kill(int((place / "lock").read_text()))
        wait_for_end(*pids.values())
        assert not folder.exists()
        wait_for_end(window)
        assert host.wait() == -signal.SIGKILL
        host.clear_away(f"ipc://{place}")
    finally:
        host.close()
    assert not endless.in_memory()


def test_a_run_that_cannot_start_is_told_with_its_record(seat):
    seat.functions("""
        def broken():
            raise OSError("no scope is plugged in")
            yield {"x": 0}
    """)
    seat.setup("broken > RB_1", "save < RB_1")
    with seat.terminal() as terminal:
        wait_until(lambda: "no scope is plugged in" in terminal.text, "nothing is said")
        terminal.sees("run 1: INTERRUPTED")
        terminal.press("q")
        terminal.ends(1)
    assert only_record(seat)["verdict"] == "interrupted"


def test_the_record_and_the_list_of_runs_agree_on_a_start_that_has_failed(seat):
    seat.write(
        "detector.py",
        """
        from pathlib import Path

        if Path("seen").exists():  # when the setup was checked
            raise RuntimeError("no detector")
        Path("seen").touch()


        def pulses():
            yield {"x": 0}
    """,
    )
    seat.setup("detector.py:pulses > RB_1", "save < RB_1")
    with seat.terminal() as terminal:
        terminal.sees("run 1: INTERRUPTED")
        with Session.connect(terminal.address, timeout_s=_CONNECT_S) as session:
            row = session.run(1)
        terminal.press("q")
        terminal.ends(1)
    assert "no detector" in terminal.text
    assert only_record(seat)["verdict"] == row.verdict == "interrupted"
    assert "aborted" not in " ".join((*only_record(seat)["reasons"], *row.reasons))
