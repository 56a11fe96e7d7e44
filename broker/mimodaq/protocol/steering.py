"""What a node must be told, given what it reports and where the cluster is to go; and whether it is there.

Two pure functions, called again whenever something changes: a command that was lost, a node that comes back, a daemon
that forgot, all end in the same comparison of what is with what should be. Nothing else sends commands to nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mimodaq.protocol.messages import Report, Verb
from mimodaq.protocol.parts import Ending
from mimodaq.protocol.states import State


@dataclass(frozen=True, slots=True)
class Want:
    """A command that a node should carry out."""

    verb: Verb
    run: int | None = None
    setup_id: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Where the cluster is to go."""

    aim: State
    setup_id: str | None
    run: int | None
    sources: frozenset[str]
    """Nodes with sources."""
    may_release: bool = False
    """All other nodes have started, so the sources may."""


_LEAVING = (State.STOPPING, State.ABORTING, State.RESETTING)


def is_out(report: Report, run: int | None) -> bool:
    """Whether the node is not in this run (any more)."""
    return report.run is None or report.run != run


def has_run_dry(report: Report, run: int | None) -> bool:
    """Whether the node's part of the run is over because there were no more events, not because something failed."""
    if not is_out(report, run):
        return report.ending is Ending.EXHAUSTED
    return report.ended is not None and report.ended.run == run and report.ended.ending is Ending.EXHAUSTED


def has_failed(report: Report, run: int | None) -> bool:
    """Whether the node's part of a run that should go on is over by a failure or is over unexpectedly."""
    if report.state in (State.ERROR, State.RESETTING):
        return True
    if is_out(report, run):
        return not has_run_dry(report, run)
    return report.ending not in (Ending.NONE, Ending.EXHAUSTED)


def want_left_over(report: Report, run: int, cut: Iterable[str], is_overdue: bool) -> Want | None:
    """What to tell a node that is in a run whose books are closed: end it, with what is in its buffers if possible."""
    if report.state in (State.ABORTING, State.RESETTING):
        return None
    if is_overdue:
        return Want(Verb.ABORT, run)
    if report.state is not State.STOPPING:
        return Want(Verb.STOP, run)
    link = next((name for name in cut if name not in report.cut), None)
    return Want(Verb.CUT, run, link=link) if link is not None else None


def want(course: Course, report: Report, *, in_setup: bool, cut: Iterable[str] = ()) -> Want | None:
    """What to tell a node now that is in no other run than the present one; None if nothing."""
    run, state = report.run, report.state
    if course.aim in (State.RESETTING, State.IDLE):
        is_done = state in (State.IDLE, State.RESETTING) or (state is State.ERROR and course.aim is State.IDLE)
        return None if is_done else Want(Verb.RESET)
    if not in_setup:
        return None
    if course.aim in (State.CONFIGURING, State.CONFIGURED):
        is_wrong = state is State.IDLE or (state is State.CONFIGURED and report.setup_id != course.setup_id)
        return Want(Verb.CONFIGURE, setup_id=course.setup_id) if is_wrong else None
    if course.aim is State.ARMING and run is None and course.run is not None:
        may = state is State.CONFIGURED and not (report.ended is not None and report.ended.run >= course.run)
        return Want(Verb.ARM, course.run) if may else None
    if run is None:
        return None
    link = next((name for name in cut if name not in report.cut), None)
    if link is not None and state is not State.ABORTING:
        return Want(Verb.CUT, run, link=link)
    return _want_in_run(course, report, run)


def _want_in_run(course: Course, report: Report, run: int) -> Want | None:
    state, is_source = report.state, report.node in course.sources
    match course.aim:
        case State.STARTING | State.RUNNING | State.RESUMING if state is State.READY:
            return Want(Verb.START, run) if course.may_release or not is_source else None
        case State.RUNNING | State.RESUMING if state is State.PAUSED:
            return Want(Verb.RESUME, run)
        case State.PAUSING | State.PAUSED if state is State.RUNNING and is_source:
            return Want(Verb.PAUSE, run)
        case State.STOPPING if state not in _LEAVING:
            return Want(Verb.STOP, run)
        case State.ABORTING if state not in (State.ABORTING, State.RESETTING):
            return Want(Verb.ABORT, run)
    return None


def is_there(course: Course, report: Report) -> bool:
    """Whether a node of the setup has reached what the cluster aims at, as far as it concerns this node."""
    state, is_source = report.state, report.node in course.sources
    is_ours = report.run is not None and report.run == course.run
    match course.aim:
        case State.IDLE | State.RESETTING:
            return state is State.IDLE
        case State.CONFIGURING | State.CONFIGURED:
            return state is State.CONFIGURED and report.setup_id == course.setup_id
        case State.ARMING | State.READY:
            return is_ours and state is State.READY
        case State.STARTING | State.RUNNING | State.RESUMING:
            return (is_ours and state is State.RUNNING) or has_run_dry(report, course.run)
        case State.PAUSING | State.PAUSED:
            there = (State.PAUSED,) if is_source else (State.RUNNING, State.PAUSED)
            return (is_ours and state in there) or has_run_dry(report, course.run)
        case State.STOPPING | State.ABORTING:
            return is_out(report, course.run)
        case _:
            return False


def aim_from(reports: Iterable[Report], run: int, sources: frozenset[str], is_stopping: bool) -> State:
    """Where a cluster was going, from the states of its nodes alone."""
    inside = [r for r in reports if r.run == run]
    gone = [r for r in reports if r.run != run]
    endings = {r.ending for r in inside} | {r.ended.ending for r in gone if r.ended is not None and r.ended.run == run}
    states = {r.state for r in inside}
    never = any(r.ended is None or r.ended.run != run for r in gone)
    if is_stopping or Ending.COMMANDED in endings or not inside:
        return State.STOPPING
    if states & {State.RUNNING, State.PAUSED} or Ending.EXHAUSTED in endings:
        if never or states & {State.ARMING, State.READY}:
            return State.ABORTING
        is_held = any(r.state is State.PAUSED and r.node in sources for r in inside)
        return State.PAUSED if is_held else State.RUNNING
    return State.READY if states == {State.READY} and not gone else State.ABORTING
