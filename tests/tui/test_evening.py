"""A whole evening at a real terminal, on real hosts: nothing here is simulated but the particles."""

from __future__ import annotations

import signal
from contextlib import closing

import pytest

from link.hosts import Hosts, why_not
from nodes.real import cluster, wait_for
from tui.evening import HOSTS, Terminal, send, why_no_tmux, write_experiment


def test_start_alarm_culprit_pause_stop_and_a_look_at_the_run(tmp_path):
    reason = why_no_tmux() or why_not()
    if reason:
        pytest.skip(reason)
    with Hosts(len(HOSTS) + 1) as hosts, cluster(tmp_path, list(HOSTS), hosts) as lab:
        session = lab.start()
        setup = write_experiment(lab, rate=60.0)
        assert session.configure(setup).ok
        with closing(Terminal(lab, (80, 24), "--insecure", "--setup", str(setup))) as desk:
            start(desk)
            every_screen(desk)
            something_hangs(lab, desk)
            a_cable_is_pulled_out(lab, desk)
            pause_and_resume(desk)
            stop(desk, session)
            desk.press("q")
            wait_for(lambda: not desk.is_there, "for the end of the screens")
        assert session.status().cluster.state.value == "configured"


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


def something_hangs(lab, desk):
    """The writer of files, and a source: each is named, and nothing else is."""
    send(lab, "daq1", "file[0]", signal.SIGSTOP)
    send(lab, "pi-1", "reader_1[0]", signal.SIGSTOP)
    desk.press("8")
    desk.shows("daq1 merged: ", "events wait: ", "pi-1 scope_1: nothing came for ")
    assert "pulses_1: nothing" not in desk.text
    send(lab, "daq1", "file[0]", signal.SIGCONT)
    send(lab, "pi-1", "reader_1[0]", signal.SIGCONT)
    desk.until(lambda: desk.text.count(" over ") >= 2, "for the end of both")
    desk.press("z")
    desk.shows("rules watch")


def a_cable_is_pulled_out(lab, desk):
    lab.place["pi-2"].cut()
    desk.shows("pi-2: lost", "? OFFLINE~", "x Stop…")
    lab.place["pi-2"].restore()
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


def stop(desk, session):
    desk.press("x")
    desk.shows("Stop run 1?", "events are still in buffers")
    desk.press("y")
    desk.until(lambda: desk.lines[0].startswith("◇ CONFIGURED"), "for the end of the run")
    desk.press("7")
    desk.until(lambda: "muons" in desk.text and "goes on" not in desk.text, "for the verdict")
    run = session.run(1)
    assert (run.comment, run.end_reason[:10]) == ("muons", "stopped by")
    assert run.verdict in desk.text
    assert any("lights off" in line.text for line in session.logs(200))
