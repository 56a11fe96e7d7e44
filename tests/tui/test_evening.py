"""A whole evening at a real terminal, on real hosts: nothing here is simulated but the particles."""

from __future__ import annotations

import signal
from contextlib import closing

import pytest

from link.hosts import Hosts, why_not
from nodes.real import cluster, wait_for
from tui.evening import HOSTS, Terminal, send, why_no_tmux, write_experiment


@pytest.fixture
def desk(tmp_path):
    """A terminal of an operator whose cluster is configured; it is left at the end, and harms nothing."""
    reason = why_no_tmux() or why_not()
    if reason:
        pytest.skip(reason)
    with Hosts(len(HOSTS) + 1) as hosts, cluster(tmp_path, list(HOSTS), hosts) as lab:
        session = lab.start()
        setup = write_experiment(lab, rate=60.0)
        assert session.configure(setup).ok
        with closing(Terminal(lab, (80, 24), "--insecure", "--setup", str(setup))) as terminal:
            terminal.session = session
            yield terminal
            terminal.press("q")
            wait_for(lambda: not terminal.is_there, "for the end of the screens")
        assert session.status().cluster.state.value == "configured"


def test_start_a_look_at_every_screen_and_stop(desk):
    start(desk)
    every_screen(desk)
    stop(desk)


@pytest.mark.soak
def test_start_alarm_culprit_pause_stop_and_a_look_at_the_run(desk):
    start(desk)
    every_screen(desk)
    something_hangs(desk)
    a_cable_is_pulled_out(desk)
    pause_and_resume(desk)
    stop(desk)
    assert any("lights off" in line.text for line in desk.session.logs(200))


def start(desk):
    desk.until(lambda: desk.lines[0].startswith("◇ CONFIGURED"), "for the setup")
    desk.press("r")
    desk.shows("Start a run", "✓ 3 of 3 nodes there")
    desk.press("muons", "F5")
    desk.until(lambda: desk.lines[0].startswith("● RUNNING"), "for the run")
    desk.shows("scope_1", "━pulses_2→daq1")


def every_screen(desk):
    for digit, seen in (
        ("2", "pulses_1:pi-1>daq1"),
        ("3", "broker"),
        ("4", "scope_1  #"),
        ("6", "is what runs"),
        ("7", "goes on"),
        ("8", "rules watch"),
        ("1", "merged"),
    ):
        desk.press(digit)
        desk.shows(seen)
        assert len(desk.lines) == 24
        assert desk.lines[0].startswith("● RUNNING")


def something_hangs(desk):
    """The writer of files, and a source: each is named."""
    send(desk.lab, "daq1", "file[0]", signal.SIGSTOP)
    send(desk.lab, "pi-1", "reader_1[0]", signal.SIGSTOP)
    desk.press("8")
    desk.shows("daq1 merged: ", "events wait: ", "pi-1 scope_1: nothing came for ")
    send(desk.lab, "daq1", "file[0]", signal.SIGCONT)
    send(desk.lab, "pi-1", "reader_1[0]", signal.SIGCONT)
    desk.until(lambda: desk.text.count(" over ") >= 2, "for the end of both")
    acknowledge(desk)


def acknowledge(desk):
    """All there is, until nothing is left: what followed from a fault may be told a little later."""

    def is_quiet():
        desk.press("z")
        return "rules watch" in desk.text

    desk.until(is_quiet, "for the end of all alarms")


def a_cable_is_pulled_out(desk):
    desk.lab.place["pi-2"].cut()
    desk.shows("pi-2: lost", "? OFFLINE~", "x Stop…")
    desk.lab.place["pi-2"].restore()
    desk.until(lambda: "pi-2: lost" in desk.text and desk.lines[0].startswith("● RUNNING"), "for pi-2 to come back")
    desk.press("z", "1")
    desk.until(lambda: "? LOST" not in desk.text, "for pi-2 in the overview")


def pause_and_resume(desk):
    desk.press("p")
    desk.until(lambda: desk.lines[0].startswith("‖ PAUSED"), "for the pause")
    desk.press("m")
    desk.shows("Mark")
    desk.press("lights off", "Enter")
    desk.shows("mark: done")
    desk.press("p")
    desk.until(lambda: desk.lines[0].startswith("● RUNNING"), "for the run to go on")


def stop(desk):
    desk.press("x")
    desk.shows("Stop run 1?", "events are still in buffers")
    desk.press("y")
    desk.until(lambda: desk.lines[0].startswith("◇ CONFIGURED"), "for the end of the run")
    desk.press("7")
    desk.until(lambda: "muons" in desk.text and "goes on" not in desk.text, "for the verdict")
    run = desk.session.run(1)
    assert (run.comment, run.end_reason[:10]) == ("muons", "stopped by")
    assert run.verdict in desk.text
