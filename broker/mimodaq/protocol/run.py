"""Decide what happens in a run: when workers start, restart, stop and are given up, and what the run was worth.

Pure code: no processes, no clock, no files. The shell feeds events with the monotonic time they happened at and
carries out the effects it gets back.

Theory of operation
-------------------
Starting is all-or-nothing: everything that is no source is launched first, then the sources, and the run is
running when the last worker is ready. Stopping is a wave: the sources are told to stop, the end of the stream
travels through the buffers, every worker leaves by itself. Each phase has a time limit that ends it by force, so a
stop always ends. A worker that dies is started again after a pause that doubles; one that dies again and again
without its function getting on is given up, and the run is stopped, because its buffers would fill and block
everything; only an observer may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from mimodaq.protocol.run_events import (
    Begin,
    CloseBuffers,
    Command,
    Effect,
    EndSources,
    Event,
    Exited,
    Finish,
    GiveUp,
    Interrupt,
    Kill,
    Launch,
    Moved,
    PauseSources,
    Ready,
    ResumeSources,
    Say,
    State,
    Tick,
    Verdict,
    WorkerId,
    WorkerPlan,
    WorkerState,
)

__all__ = [
    "ABORT_S",
    "BLOCKED_S",
    "CLOSE_S",
    "DEATHS",
    "INTERRUPT_S",
    "KILL_S",
    "READY_S",
    "RESTART_MAX_S",
    "RESTART_S",
    "STUCK_S",
    "Begin",
    "CloseBuffers",
    "Command",
    "Effect",
    "EndSources",
    "Event",
    "Exited",
    "Finish",
    "GiveUp",
    "Interrupt",
    "Kill",
    "Launch",
    "Moved",
    "PauseSources",
    "Ready",
    "ResumeSources",
    "Run",
    "Say",
    "State",
    "Tick",
    "Verdict",
    "WorkerId",
    "WorkerPlan",
    "WorkerState",
]

READY_S: Final = 60.0
"""A worker must be ready this long after its launch (imports of user modules take their time)."""
INTERRUPT_S: Final = 1.0
"""A source that has not left this long after it was told to stop is interrupted in the user's code."""
KILL_S: Final = 6.0
"""... and killed after this time."""
STUCK_S: Final = 20.0
"""Draining is given up when no event has moved for so long."""
BLOCKED_S: Final = 5.0
"""The same when a function that reads was given up, so that events in front of it cannot move."""
CLOSE_S: Final = 300.0
"""Time a worker may take to close its files after its last event."""
ABORT_S: Final = 5.0
"""Time workers have to leave after an abort."""
RESTART_S: Final = 0.1
"""First pause before a dead worker is started again; doubles each time."""
RESTART_MAX_S: Final = 5.0
DEATHS: Final = 5
"""Deaths in a row, without any event finished in between, after which a worker is given up."""

_GONE: Final = frozenset({WorkerState.FINISHED, WorkerState.FAILED})
_LIVE: Final = frozenset({WorkerState.STARTING, WorkerState.RUNNING})


@dataclass(slots=True)
class _Worker:
    plan: WorkerPlan
    state: WorkerState = WorkerState.WAITING
    deaths: int = 0
    """In a row."""
    restarts: int = 0
    due: float | None = None
    """When to start it again, or by when it must be ready."""
    pushed: int = 0
    """How hard it has been asked to leave: 0 not, 1 interrupted, 2 killed."""


@dataclass(slots=True)
class Run:
    """One run. Invariant: `state` is ENDED exactly when Finish has been given."""

    plans: Sequence[WorkerPlan]
    duration_s: float | None = None
    """Running time (pauses not counted) after which the run is stopped."""
    stuck_s: float = STUCK_S
    state: State = State.STARTING
    begun: float | None = None
    """When the run was running for the first time."""
    reasons: list[str] = field(default_factory=list)
    """What kept the run from being good, in order."""
    end_reason: str = ""
    """Why the run ended."""
    _workers: dict[WorkerId, _Worker] = field(default_factory=dict)
    _verdict: Verdict = Verdict.GOOD
    _ran_s: float = 0.0
    _running_since: float | None = None
    _phase: float = 0.0
    """When the present phase (stopping, aborting) began."""
    _moved: float = 0.0

    def __post_init__(self) -> None:
        self._workers = {plan.id: _Worker(plan) for plan in self.plans}

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        if self.state is State.ENDED:
            return []
        match event:
            case Begin():
                effects = self._launch((w for w in self._workers.values() if not w.plan.leaves_when_told), now)
                effects += self._go_on_starting(now)
            case Ready(worker):
                effects = self._ready(self._workers[worker], now)
            case Exited():
                effects = self._exited(self._workers[event.worker], event, now)
            case Moved(functions):
                self._moved = now
                for one in self._workers.values():
                    if one.plan.id.function in functions:
                        one.deaths = 0
                effects = []
            case Command(name, reason, worth):
                effects = self._command(name, reason, worth, now)
            case Tick(drained):
                effects = self._tick(drained, now)
            case _:
                assert_never(event)
        return effects + self._finish_if_done()

    def deadline(self, now: float) -> float:
        """When `Tick` is next needed at the latest."""
        dues = [w.due for w in self._workers.values() if w.due is not None]
        if self.duration_s is not None and self._running_since is not None:
            dues.append(now + self.duration_s - self.running_s(now))
        return min([now + 1.0, *dues])

    def running_s(self, now: float) -> float:
        """Running time so far, without pauses."""
        return self._ran_s + (now - self._running_since if self._running_since is not None else 0.0)

    def worker_states(self) -> dict[WorkerId, tuple[WorkerState, int]]:
        """State of every worker and how often it was started again."""
        return {i: (w.state, w.restarts) for i, w in self._workers.items()}

    @property
    def verdict(self) -> Verdict:
        """The verdict so far."""
        return self._verdict

    def judge(self, verdict: Verdict, reason: str) -> None:
        """Note something that keeps the run from being better than `verdict`."""
        order = list(Verdict)
        self._verdict = max(self._verdict, verdict, key=order.index)
        if reason not in self.reasons:
            self.reasons.append(reason)

    # -- starting -------------------------------------------------------------------------------------------

    def _launch(self, workers: Iterable[_Worker], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for worker in workers:
            worker.state = WorkerState.STARTING
            worker.due = now + READY_S
            effects.append(Launch(worker.plan.id))
        return effects

    def _go_on_starting(self, now: float) -> list[Effect]:
        """Launch the sources once everything else is up; the run is running once they are, too.

        What another host feeds is no source here: the sooner it listens, the sooner the other host is ready.
        """
        there = _GONE | {WorkerState.RUNNING}
        if not all(w.state in there for w in self._workers.values() if not w.plan.leaves_when_told):
            return []
        waiting = [w for w in self._workers.values() if w.state is WorkerState.WAITING]
        if waiting or not all(w.state in there for w in self._workers.values()):
            return self._launch(waiting, now)
        self.state = State.RUNNING
        self.begun = self._running_since = self._moved = now
        return [Say("info", "running"), *self._drain_if_sources_finished(now)]

    def _ready(self, worker: _Worker, now: float) -> list[Effect]:
        worker.state = WorkerState.RUNNING
        worker.due = None
        return self._go_on_starting(now) if self.state is State.STARTING else []

    # -- workers that end -----------------------------------------------------------------------------------

    def _exited(self, worker: _Worker, event: Exited, now: float) -> list[Effect]:
        worker.due = None
        plan, was = worker.plan, worker.state
        if event.reason is None and not event.is_early:
            worker.state = WorkerState.FINISHED
            if self.state is State.STARTING:
                return self._go_on_starting(now)
            return self._drain_if_sources_finished(now)
        if self.state is State.ABORTING:
            worker.state = WorkerState.FAILED
            return []
        if event.is_early:
            return self._fail(worker, f"{plan.id} returned although there was more to come", Verdict.INTERRUPTED, now)
        give_up: list[Effect] = [GiveUp(plan.id)]
        if worker.pushed:
            text = f"{plan.id} had to be stopped by force"
            verdict = Verdict.TAINTED if plan.is_observer else Verdict.INCOMPLETE
            return give_up + self._fail(worker, text, verdict, now)
        if self.state is State.STARTING and was is WorkerState.STARTING and not worker.restarts:
            return give_up + self._fail(worker, f"{plan.id} could not start: {event.reason}", Verdict.INTERRUPTED, now)
        if self.state is State.STOPPING and plan.is_dispensable:
            text = f"{plan.id} failed when it was told to stop: {event.reason}"
            return give_up + self._fail(worker, text, Verdict.TAINTED, now)
        worker.deaths += 1
        limit = plan.restart if type(plan.restart) is int else None
        verdict = Verdict.TAINTED if plan.is_observer else Verdict.INTERRUPTED
        if event.is_fatal or not plan.restart:
            return give_up + self._fail(worker, f"{plan.id} failed: {event.reason}", verdict, now)
        if worker.deaths >= DEATHS or (limit is not None and worker.restarts >= limit):
            text = f"{plan.id} failed {worker.deaths} times in a row and is given up: {event.reason}"
            return give_up + self._fail(worker, text, verdict, now)
        return self._start_again_later(worker, event.reason or "", now)

    def _start_again_later(self, worker: _Worker, reason: str, now: float) -> list[Effect]:
        pause = min(RESTART_S * 2 ** (worker.deaths - 1), RESTART_MAX_S)
        worker.state = WorkerState.RESTARTING
        worker.due = now + pause
        if not worker.restarts:
            self.judge(Verdict.TAINTED, f"{worker.plan.id} failed and was started again: {reason}")
        return [Say("error", f"{worker.plan.id} failed: {reason}. Its event goes back; next try in {pause:.1f} s")]

    def _fail(self, worker: _Worker, text: str, verdict: Verdict, now: float) -> list[Effect]:
        """The worker is gone for good; what that means for the run."""
        worker.state = WorkerState.FAILED
        self.judge(verdict, text)
        effects: list[Effect] = [Say("error", text)]
        if self.state is State.STARTING:
            return effects + self._abort("start failed", now)
        if worker.plan.is_observer or self.state not in (State.RUNNING, State.PAUSED):
            return effects
        if not worker.plan.is_source:
            self.stuck_s = min(self.stuck_s, BLOCKED_S)  # what flows towards it will never get through
        return effects + self._stop(text, now)

    def _drain_if_sources_finished(self, now: float) -> list[Effect]:
        sources = [w for w in self._workers.values() if w.plan.is_source]
        if self.state in (State.RUNNING, State.PAUSED) and all(w.state in _GONE for w in sources):
            dead = self._enter_stopping("sources finished", now)
            return [*dead, Say("info", "sources finished: working off what is in the buffers")]
        return []

    def _finish_if_done(self) -> list[Effect]:
        workers = self._workers.values()
        gone = all(w.state in _GONE or w.state is WorkerState.WAITING for w in workers)
        if gone and self.state in (State.STOPPING, State.ABORTING):
            self.state = State.ENDED
            return [Finish()]
        return []

    # -- commands -------------------------------------------------------------------------------------------

    def _command(self, name: str, reason: str, worth: Verdict | None, now: float) -> list[Effect]:
        handlers: dict[str, tuple[frozenset[State], Callable[[str, float], list[Effect]]]] = {
            "pause": (frozenset({State.RUNNING}), self._pause),
            "resume": (frozenset({State.PAUSED}), self._resume),
            "stop": (frozenset({State.RUNNING, State.PAUSED}), self._stop),
            "abort": (frozenset({State.STARTING, State.RUNNING, State.PAUSED, State.STOPPING}), self._abort),
        }
        if name == "stop" and self.state is State.STARTING:
            name = "abort"
        if name not in handlers:
            return [Say("warning", f"there is no command {name!r}; there are {', '.join(handlers)}")]
        allowed, handler = handlers[name]
        if self.state not in allowed:
            return [Say("warning", f"{name}: not possible while the run is {self.state.value}")]
        if name == "abort" and worth is not None:
            self.judge(worth, f"aborted: {reason}" if worth is Verdict.ABORTED else reason)
        return handler(reason, now)

    def _pause(self, reason: str, now: float) -> list[Effect]:
        self._stop_clock(now)
        self.state = State.PAUSED
        return [PauseSources(), Say("info", f"paused: {reason}")]

    def _resume(self, reason: str, now: float) -> list[Effect]:
        self._running_since = now
        self.state = State.RUNNING
        return [ResumeSources(), Say("info", f"resumed: {reason}")]

    def _stop(self, reason: str, now: float) -> list[Effect]:
        dead = self._enter_stopping(reason, now)
        return [EndSources(), *dead, Say("info", f"stopping: {reason}")]

    def _abort(self, reason: str, now: float) -> list[Effect]:
        self._stop_clock(now)
        self.state = State.ABORTING
        self.end_reason = self.end_reason or reason
        self._phase = now
        dead = self._let_rest(self._workers.values())
        return [CloseBuffers(), *dead, Say("warning", f"aborting: {reason}")]

    def _let_rest(self, workers: Iterable[_Worker]) -> list[Effect]:
        """Do not start again those that are dead at this moment."""
        effects: list[Effect] = []
        for worker in workers:
            if worker.state is WorkerState.RESTARTING:
                worker.state = WorkerState.FAILED
                worker.due = None
                effects.append(GiveUp(worker.plan.id))
        return effects

    def _enter_stopping(self, reason: str, now: float) -> list[Effect]:
        self._stop_clock(now)
        self.state = State.STOPPING
        self.end_reason = self.end_reason or reason
        self._phase = self._moved = now
        return self._let_rest(w for w in self._workers.values() if w.plan.is_dispensable)

    def _stop_clock(self, now: float) -> None:
        self._ran_s = self.running_s(now)
        self._running_since = None

    # -- time -----------------------------------------------------------------------------------------------

    def _tick(self, drained: bool, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for worker in self._workers.values():
            if worker.due is not None and now >= worker.due:
                effects += self._overdue(worker, now)
        if self.state is State.RUNNING and self.duration_s is not None and self.running_s(now) >= self.duration_s:
            effects += self._stop(f"{self.duration_s:g} s are over", now)
        elif self.state is State.STOPPING:
            effects += self._push_sources(now)
            present = [w for w in self._workers.values() if w.state in _LIVE | {WorkerState.RESTARTING}]
            patience = CLOSE_S if drained else self.stuck_s
            silent = now - max(self._moved, self._phase)
            if all(w.plan.is_observer for w in present):
                effects += self._push(present, 2) if silent >= self.stuck_s else []
            elif silent >= patience:
                self.judge(Verdict.INCOMPLETE, "the buffers could not be worked off")
                effects += self._abort(f"nothing has moved for {patience:g} s", now)
        elif self.state is State.ABORTING and now - self._phase >= ABORT_S:
            effects += self._push((w for w in self._workers.values() if w.state in _LIVE), 2)
        return effects

    def _overdue(self, worker: _Worker, now: float) -> list[Effect]:
        worker.due = None
        if worker.state is WorkerState.RESTARTING:
            worker.restarts += 1
            return self._launch([worker], now)
        return [Say("error", f"{worker.plan.id} was not ready after {READY_S:g} s"), Kill(worker.plan.id)]

    def _push_sources(self, now: float) -> list[Effect]:
        sources = [w for w in self._workers.values() if w.plan.leaves_when_told and w.state in _LIVE]
        late = now - self._phase
        if late >= KILL_S:
            return self._push(sources, 2)
        return self._push(sources, 1) if late >= INTERRUPT_S else []

    def _push(self, workers: Iterable[_Worker], how: int) -> list[Effect]:
        effects: list[Effect] = []
        for worker in workers:
            if worker.pushed < how:
                worker.pushed = how
                effects.append(Kill(worker.plan.id) if how == 2 else Interrupt(worker.plan.id))
                level, verb = ("warning", "killed") if how == 2 else ("info", "interrupted")
                effects.append(Say(level, f"{worker.plan.id} does not leave by itself and is {verb}"))
        return effects
