"""A tiny world on a virtual clock: processes that are slow, crash, hang or do not listen, and buffers between them.

It carries out the effects of the brain as the engine does, and complains about every effect that makes no sense.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mimodaq.protocol.run import (
    Begin,
    CloseBuffers,
    Command,
    Effect,
    EndSources,
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
    Run,
    Say,
    State,
    Tick,
    WorkerId,
    WorkerPlan,
)

STEP_S = 0.05
SLOTS = 4
OBSERVER = WorkerId("-1", 0)


@dataclass(frozen=True)
class Life:
    """What one process does until it ends."""

    starts_s: float = 0.2
    """How long it takes to be ready; infinity = for ever."""
    fate: str = "works"
    """works, crashes, hangs, returns (early) or is fatal, all after `after` events."""
    after: int = 0
    listens: str = "to a word"
    """A source leaves when told to (`to a word`), when interrupted, or not at all."""
    closes_s: float = 0.0
    """How long it needs to close its files."""


@dataclass
class Process:
    """A living process."""

    life: Life
    ready_at: float
    done: int = 0
    holds: bool = False
    """It has an event that it has not worked off."""
    closing_at: float | None = None
    signal: str = ""
    """`killed` or `interrupted`: its end comes with the next look."""


@dataclass
class Stage:
    """A function and the buffer it writes."""

    processes: int
    pending: int = 0
    """Events in its buffer."""
    closed: set[int] = field(default_factory=set)
    """Processes whose output has ended."""

    @property
    def has_ended(self) -> bool:
        return len(self.closed) == self.processes


class World:
    """A chain of functions; the first is the source."""

    def __init__(
        self,
        stages: Sequence[int],
        lives: Callable[[WorkerId, int], Life],
        events: int | None,
        restarts: Sequence[bool | int],
        stuck_s: float,
        duration_s: float | None,
    ) -> None:
        self.stages = [Stage(n) for n in stages]
        self.lives = lives
        self.left_to_make = events
        self.now = 0.0
        plans = [
            WorkerPlan(WorkerId(str(i), p), i == 0, restarts[i])
            for i, stage in enumerate(self.stages)
            for p in range(stage.processes)
        ]
        plans.append(WorkerPlan(OBSERVER, False, restarts[-1], is_observer=True))
        self.run = Run(plans, duration_s, stuck_s)
        self.alive: dict[WorkerId, Process] = {}
        self.launched = {plan.id: 0 for plan in plans}
        self.given_up: set[WorkerId] = set()
        self.moves = 0
        self.stop_began: float | None = None
        self.moves_at_stop = 0
        self.finished = 0
        self.is_paused = self.is_ending = self.is_closed = False
        self.has_failed = False
        self._told = 0
        self._agenda: list[tuple[float, int, Command]] = []
        self._order = itertools.count()

    def at(self, time_s: float, command: str) -> None:
        """The operator gives a command at some time."""
        heapq.heappush(self._agenda, (time_s, next(self._order), Command(command, "operator")))

    def play(self, limit_s: float) -> None:
        """Let it all happen."""
        self._tell(Begin())
        is_quiet = False
        while not self.finished:
            self.now = self._next_time() if is_quiet else self.now + STEP_S
            assert self.now < limit_s, f"still {self.run.state} after {limit_s} s"
            while self._agenda and self._agenda[0][0] <= self.now:
                self._tell(heapq.heappop(self._agenda)[2])
            told, self._told = self._told, 0
            moved = {str(self._step(worker)) for worker in list(self.alive) if self._wants(worker)} - {"None"}
            if moved:
                self._tell(Moved(frozenset(moved)))
            is_quiet = not (moved or told or self._told)
            self._tell(Tick(self._is_drained()))
            if self.stop_began is None and self.run.state not in (State.STARTING, State.RUNNING, State.PAUSED):
                self.stop_began, self.moves_at_stop = self.now, self.moves
        assert self.run.handle(Tick(True), self.now + 1e4) == []

    def _next_time(self) -> float:
        """When something may happen by itself."""
        waits = [time for p in self.alive.values() for time in (p.ready_at, p.closing_at or 0.0) if time > self.now]
        agenda = [self._agenda[0][0]] if self._agenda else []
        return max(self.now + STEP_S, min([self.run.deadline(self.now), *waits, *agenda]))

    def _is_drained(self) -> bool:
        return not any(stage.pending for stage in self.stages) and not any(p.holds for p in self.alive.values())

    def _wants(self, worker: WorkerId) -> bool:
        return worker in self.alive and not self.finished

    # -- what processes do --------------------------------------------------------------------------------------

    def _step(self, worker: WorkerId) -> str | None:
        """One step of one process; the name of its function if an event was finished."""
        process = self.alive[worker]
        if process.signal:
            self._end(worker, "killed by SIGKILL" if process.signal == "killed" else None)
            return None
        if process.ready_at > self.now:
            return None
        if process.ready_at:
            process.ready_at = 0.0
            self._tell(Ready(worker))
            return None
        index = int(worker.function)
        if process.closing_at is not None:
            if self.now >= process.closing_at:
                self._end(worker, None)
            return None
        if process.life.fate != "works" and process.done >= process.life.after:
            return self._meet_fate(worker, process)
        if self.is_closed:
            self._end(worker, None)
            return None
        if index < 0:
            return self._look(process)
        return self._make(worker, process) if index == 0 else self._work(worker, process, index)

    def _meet_fate(self, worker: WorkerId, process: Process) -> None:
        if process.life.fate == "hangs":
            return
        if process.life.fate == "returns" and not self._input_ended(worker):
            self.has_failed = True
            self._end(worker, None, is_early=True)
        elif process.life.fate == "returns":
            self._end(worker, None)
        else:
            self.has_failed = True
            self._end(worker, "broken", is_fatal=process.life.fate == "is fatal")

    def _input_ended(self, worker: WorkerId) -> bool:
        index = int(worker.function)
        return index <= 0 or (self.stages[index - 1].has_ended and not self.stages[index - 1].pending)

    def _make(self, worker: WorkerId, process: Process) -> str | None:
        if (self.is_ending and process.life.listens == "to a word") or self.left_to_make == 0:
            self._close(process)
        elif not self.is_paused and not self.is_ending and self.stages[0].pending < SLOTS:
            self.stages[0].pending += 1
            process.done += 1
            self.moves += 1
            if self.left_to_make is not None:
                self.left_to_make -= 1
            return worker.function
        return None

    def _look(self, process: Process) -> None:
        process.done += 1
        if self.stages[0].has_ended:
            self._close(process)

    def _work(self, worker: WorkerId, process: Process, index: int) -> str | None:
        source, sink = self.stages[index - 1], self.stages[index]
        is_last = index == len(self.stages) - 1
        if not process.holds and source.pending:
            source.pending -= 1
            process.holds = True
        if process.holds and (is_last or sink.pending < SLOTS):
            process.holds = False
            process.done += 1
            self.moves += 1
            sink.pending += not is_last
            return worker.function
        others = any(p.holds for w, p in self.alive.items() if w.function == worker.function)
        if not process.holds and source.has_ended and not source.pending and not others:
            self._close(process)
        return None

    def _close(self, process: Process) -> None:
        process.closing_at = self.now + process.life.closes_s

    def _end(self, worker: WorkerId, reason: str | None, **how: bool) -> None:
        process = self.alive.pop(worker)
        index = int(worker.function)
        if process.holds:
            self.stages[index - 1].pending += 1  # back to the group
        if reason is None and index >= 0:
            self.stages[index].closed.add(worker.process)
        self._tell(Exited(worker, reason, **how))

    # -- what the brain wants -------------------------------------------------------------------------------------

    def _tell(self, event: Begin | Ready | Exited | Moved | Command | Tick) -> None:
        self._told += not isinstance(event, Tick)
        for effect in self.run.handle(event, self.now):
            self._told += 1
            assert not self.finished, f"{effect} after the end"
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Launch(worker):
                assert worker not in self.alive, f"{worker} is launched although it lives"
                assert worker not in self.given_up, f"{worker} is launched although it was given up"
                assert not (worker.function == "0" and self.is_ending), "a source is launched although the run stops"
                assert not self.is_closed, f"{worker} is launched although the run is aborted"
                life = self.lives(worker, self.launched[worker])
                self.launched[worker] += 1
                self.alive[worker] = Process(life, self.now + max(life.starts_s, STEP_S))
            case Interrupt(worker):
                assert worker.function == "0"
                if self.alive[worker].life.listens == "when interrupted":
                    self.alive[worker].signal = "interrupted"
            case Kill(worker):
                self.has_failed = True
                self.alive[worker].signal = "killed"
            case GiveUp(worker):
                assert worker not in self.given_up
                assert worker not in self.alive
                self.given_up.add(worker)
                if worker != OBSERVER:
                    self.stages[int(worker.function)].closed.add(worker.process)
            case PauseSources():
                assert not self.is_paused
                self.is_paused = True
            case ResumeSources():
                assert self.is_paused
                self.is_paused = False
            case EndSources():
                assert not self.is_ending
                self.is_ending = True
            case CloseBuffers():
                assert not self.is_closed
                self.is_closed = True
            case Finish():
                assert not self.alive, f"{list(self.alive)} live on after the end"
                self.finished += 1
            case Say():
                assert effect.level in {"info", "warning", "error"}
