"""What can be said on the command line, and what rules may do."""

import subprocess
import sys

import pytest

from mimodaq.protocol.states import State
from mimodaq.tui._main import read_rules
from mimodaq.tui._terminal import wants_ascii
from mimodaq.tui.simulated import Fault, SimulatedFeed, What
from mimodaq.watch import DEFAULT_RULES, Level, RuleError, rule
from tui.console import console, in_a_loop


def screens(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mimodaq.tui", *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("filling: {for_s: soon}", "for_s 'soon': a number of seconds"),
        ("a: [b", "reading alarm rules"),
        ("- 1", "expected names with their rules, found list"),
    ],
)
def test_rules_that_cannot_be_used_are_told_with_their_file(tmp_path, content, message):
    path = tmp_path / "alarms.yaml"
    path.write_text(content)
    done = screens("--demo", "--alarms", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "alarms.yaml" in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_rules_extends_the_default_ones(tmp_path):
    path = tmp_path / "alarms.yaml"
    path.write_text("rate: off\nfew: {about: buffer, when: rate_hz < 5, level: alarm, do: [log, pause]}\n")
    assert len(read_rules(path)) == len(DEFAULT_RULES)
    path.write_text("")
    assert read_rules(path) == DEFAULT_RULES
    with pytest.raises(RuleError, match="No such file"):
        read_rules(tmp_path / "none")


def test_without_a_broker_the_exit_code_says_so():
    done = screens("--broker", "127.0.0.1:1")
    assert done.returncode == 3
    assert "no broker answers at 127.0.0.1:1" in done.stderr


def test_nothing_is_recorded_over(tmp_path):
    (tmp_path / "feed").write_text("precious")
    done = screens("--demo", "--record", str(tmp_path / "feed"))
    assert done.returncode == 2
    assert "name a new file" in done.stderr


def test_importing_the_package_does_not_import_textual():
    listing = "import sys, mimodaq.tui; print([m for m in sys.modules if m.startswith('textual')])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("term", "encoding", "is_ascii"),
    [("linux", "utf-8", True), ("xterm-256color", "utf-8", False), ("xterm", "iso8859-1", True)],
)
def test_ascii_is_chosen_where_nothing_else_can_be_trusted(monkeypatch, term, encoding, is_ascii):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stdout", type("Out", (), {"encoding": encoding}))
    assert wants_ascii() is is_ascii


# -- what rules do ------------------------------------------------------------------------------------------------

CUT = Fault(2.0, 1000.0, What.CUT, "pulses_2")


@in_a_loop
async def test_a_rule_can_pause_the_run_and_says_so():
    rules = [rule("cut", "link", Level.ALARM, "not is_connected and is_running", "cut", do=["log", "pause"])]
    async with console(SimulatedFeed([CUT], state=State.RUNNING), rules=rules) as seat:
        await seat.until(lambda: seat.state is State.PAUSED)
        assert any("by a rule" in entry.line.text for entry in seat.app.model.log.entries)


@in_a_loop
async def test_a_rule_does_not_command_for_somebody_who_may_not():
    rules = [rule("cut", "link", Level.ALARM, "not is_connected", "cut", do=["stop"])]
    async with console(SimulatedFeed([CUT], state=State.RUNNING, may_command=False), rules=rules) as seat:
        await seat.wait(6)
        assert len(seat.app.model.alarm_list) > 0
        assert seat.state is State.RUNNING


@in_a_loop
async def test_a_rule_can_run_a_program_and_a_failing_one_is_told(tmp_path):
    mark = tmp_path / "mark"
    write = [sys.executable, "-c", f"import sys; open({str(mark)!r}, 'w').write(sys.argv[1])"]
    rules = [
        rule("cut", "link", Level.ALARM, "not is_connected", "cut off", do=["command"], command=write),
        rule("bad", "link", Level.ALARM, "not is_connected", "bad", do=["command"], command=["/nonexistent/program"]),
    ]
    async with console(SimulatedFeed([CUT], state=State.RUNNING), rules=rules) as seat:
        await seat.wait(4)
        for worker in [worker for worker in seat.app.workers if worker.group == "program"]:
            await worker.wait()
        assert mark.read_text().endswith("cut off")
        texts = [entry.line.text for entry in seat.app.model.log.entries]
        assert "rule's command /nonexistent/program: No such file or directory" in texts


@in_a_loop
async def test_a_rule_can_stop_the_run_ring_and_write_into_the_log():
    rules = [rule("cut", "link", Level.WARNING, "not is_connected", "cut off", do=["log", "bell", "stop"])]
    async with console(SimulatedFeed([CUT], state=State.RUNNING), rules=rules) as seat:
        rung = []
        seat.app.bell = lambda: rung.append(1)
        await seat.until(lambda: seat.state is State.CONFIGURED)
        assert rung
        assert any(
            entry.line.level == "warning" and "cut off" in entry.line.text for entry in seat.app.model.log.entries
        )
        assert (await seat.feed.runs())[0].verdict == "good"


@in_a_loop
async def test_alarms_do_not_wait_for_screens_that_are_seldom_drawn():
    rules = [rule("cut", "link", Level.ALARM, "not is_connected", "cut off", do=["bell"])]
    async with console(SimulatedFeed([CUT], state=State.RUNNING), rules=rules, refresh_s=8.0) as seat:
        rung = []
        seat.app.bell = lambda: rung.append(seat.feed.now())
        await seat.wait(1)
        begin = seat.feed.now()
        await seat.until(lambda: bool(rung))
        assert rung[0] - begin <= 2.0  # it is cut one second after that
        assert "cut off" in seat.text
