"""What the operator does while a run goes on: keys, signals, terminals that come and go."""

import os
import signal
import subprocess

import pytest

from client.command import column, is_in_single_key_mode, log, record, wait_until


@pytest.fixture
def chain(project):
    """An endless source and a file."""
    project.setup("slow_numbers > RB_1", "save < RB_1")
    return project


def taken(result):
    """The run is good, and all that was taken is in the file; how many."""
    n = result["buffers"]["RB_1"]["events"]
    assert result["verdict"] == "good"
    assert column(f"{result['run_dir']}/out.csv") == list(range(n))
    return n


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_everything_is_saved(chain, number):
    with chain.started() as run:
        chain.file("flowing")
        run.send(number)
        result = run.result()
    assert taken(result) >= 10
    assert record(result)["end_reason"] == {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]


def test_a_second_ctrl_c_aborts(project):
    project.functions(
        """
        def stuck(event):
            tell("stuck")
            until("go")
        """
    )
    project.setup("numbers > RB_1", "stuck < RB_1")
    with project.started() as run:
        project.file("stuck")
        run.send(signal.SIGINT)
        run.hears("stopping: Ctrl-C")
        run.send(signal.SIGINT)
        run.hears("aborting: second Ctrl-C")
        project.write("go", "")
        result = run.result(expect=1)
    assert result["verdict"] == "aborted"
    assert result["reasons"][0] == "aborted: second Ctrl-C"
    assert "were not worked off by Fkt_2" in result["reasons"][1]


def test_ctrl_c_before_anything_was_taken_aborts_the_start(project):
    project.write("late.py", "import my\nmy.tell('loading')\nmy.until('go')\ndef f(event): pass\n")
    project.setup("numbers > RB_1", "late.py:f < RB_1")
    with project.started() as run:
        project.file("loading")
        run.send(signal.SIGINT)
        run.hears("aborting: Ctrl-C")
        project.write("go", "")
        result = run.result(expect=1)
    assert (result["verdict"], result["buffers"]["RB_1"]["events"]) == ("aborted", 0)


# -- keys ------------------------------------------------------------------------------------------------------------


def test_keys_pause_resume_and_stop_in_either_case(chain):
    with chain.started(terminal=True) as run:
        run.hears("running")
        run.press("p")
        run.hears("paused: by the operator")
        run.press("R")
        run.hears("resumed: by the operator")
        run.press("P")
        run.hears("paused: by the operator", times=2)
        run.press("r")
        run.hears("resumed: by the operator", times=2)
        chain.file("flowing")
        run.press("S")
        result = run.result()
    assert taken(result) >= 10
    assert record(result)["end_reason"] == "by the operator"
    assert result["buffers"]["RB_1"]["paused_s"] > 0


@pytest.mark.parametrize("key", ["e", "E", "s"])
def test_lower_case_command(chain, key):
    """Ancestor: echoed, no effect, no message."""
    with chain.started(terminal=True) as run:
        run.hears("running")
        run.press(key)
        taken(run.result())


def test_r_without_a_p_before(chain):
    """Ancestor: AttributeError, run ends. And an unknown key shows what keys there are."""
    with chain.started(terminal=True) as run:
        run.hears("running")
        run.press("r")
        run.hears("resume: not possible while the run is running")
        run.press("x")
        run.hears("keys: P pause, R resume, S or E stop and save")
        run.press("p")
        run.hears("paused")
        run.press("p")
        run.hears("pause: not possible while the run is paused")
        run.press("e")
        taken(run.result())


def test_runtime_limit_while_paused(chain):
    """Ancestor: fires, the pause counts."""
    with chain.started("--duration", "1.5 s", terminal=True) as run:
        run.hears("running")
        run.press("p")
        run.hears("paused:")
        run.hears("paused   0:00:0", times=3)  # a line a second
        assert "stopping" not in run.said
        run.press("r")
        result = run.result()
    assert record(result)["end_reason"] == "1.5 s are over"
    assert result["buffers"]["RB_1"]["paused_s"] > 1.5


def test_the_terminal_is_as_before_when_the_run_has_ended(chain):
    with chain.started(terminal=True) as run:
        wait_until(lambda: is_in_single_key_mode(run.keyboard), "single keys are not read")
        run.hears("running")
        run.press("s")
        run.result()
        assert not is_in_single_key_mode(run.keyboard)


def test_the_terminal_is_closed(chain):
    """As when an ssh connection breaks: the run stops, and what was taken is saved."""
    with chain.started(terminal=True) as run:
        chain.file("flowing")
        run.hang_up()
        result = run.result()
    assert taken(result) >= 10
    assert record(result)["end_reason"] == "the terminal was closed"


def test_nohup_goes_on_when_the_terminal_is_closed(chain):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with chain.started("--events", "100", terminal=True) as run:
            run.hears("running")
            run.hang_up()
            result = run.result()
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert taken(result) == 100


# -- no terminal at all ------------------------------------------------------------------------------------------------


def test_no_display(project):
    """Ancestor: the import fails. GUI_control is on by default and means nothing here."""
    project.setup("numbers > RB_1 {n: 50}", "drain < RB_1", more="GUI_control: true")
    plain = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY", "TERM"}}
    assert project.run(env=plain)["buffers"]["RB_1"]["events"] == 50


def test_gui_control_false(chain):
    """Ancestor: keys, limits and exhausted sources raise AttributeError."""
    chain.setup("slow_numbers > RB_1", "save < RB_1", more="GUI_control: false")
    with chain.started("--events", "100", terminal=True) as run:
        run.hears("running")
        run.press("p")
        run.hears("paused")
        run.press("r")
        assert taken(run.result()) == 100


def test_keyboard_off_and_stdin_closed(project):
    """Ancestor: EOFError and exit code 1."""
    project.setup("numbers > RB_1 {n: 50}", "drain < RB_1", more="KBD_control: false\nGUI_control: false")
    command = 'exec "$0" -m mimodaq.client.cli run --headless --json <&-'
    done = subprocess.run(
        ["sh", "-c", command, os.sys.executable], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"verdict": "good"' in done.stdout


def test_all_standard_streams_closed(project):
    project.setup("numbers > RB_1 {n: 50}", "drain < RB_1")
    command = 'exec "$0" -m mimodaq.client.cli run --output run <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, os.sys.executable], cwd=project.folder, check=False)
    assert done.returncode == 0
    assert '"verdict": "good"' in (project.folder / "run/run.json").read_text()


def test_stdin_a_pipe_and_stdout_redirected(project):
    """Ancestor: all workers hang at start, 0 events."""
    project.setup("numbers > RB_1 {n: 50}", "drain < RB_1", more="KBD_control: true")
    with (project.folder / "out.txt").open("wb") as out, project.started(stdin=subprocess.PIPE, stdout=out) as run:
        run.ends(0)
    assert '"verdict": "good"' in (project.folder / "out.txt").read_text()


def test_nobody_reads_what_is_shown(chain):
    """`mimodaq run 2>&1 | head -1`: the run goes on to its end."""
    read, write = os.pipe()
    with chain.started("--events", "100", stderr=write) as run:
        os.close(write)
        assert os.read(read, 10)
        os.close(read)
        assert taken(run.result()) == 100


def test_nobody_reads_the_answer(project):
    project.setup("numbers > RB_1 {n: 50}", "drain < RB_1")
    read, write = os.pipe()
    os.close(read)
    with project.started(stdout=write) as run:
        os.close(write)
        run.ends(0)


def test_a_terminal_that_cannot_show_every_character(project):
    project.setup("numbers > RB_1 {n: 2000}", "drain < RB_1")
    done = project("run", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert "GOOD" in done.stdout
    assert "2?000 events" in done.stdout


def test_a_live_table_is_shown_on_a_terminal(chain):
    with chain.started(screen=True, terminal=True) as run:
        chain.file("flowing")
        run.hears("because of")
        run.press("s")
        assert taken(run.result()) >= 10


def test_json_is_all_there_is_on_stdout(chain):
    done = chain("run", "--json", "--events", "50", "--quiet")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("{")
    assert "50 events are taken" in done.stderr
    assert " full" not in done.stderr


def test_the_summary_tells_people_the_same(chain):
    done = chain("run", "--events", "50")
    for text in ("GOOD", "(50 events are taken)", "RB_1", "Fkt_2 (save): 50 done", "ledger balances", "out.csv"):
        assert text in done.stdout
    (run_dir,) = (chain.folder / "target").glob("2*")
    assert "running" in log({"run_dir": run_dir})
