"""Decide what becomes of a node and its part of a run: setup, rings, workers, the end, and a new life of the daemon.

Pure code around `mimodaq.protocol.run`, which supervises the workers of one run; the processes of links are workers
like the others, a receiver being a source that another host feeds. Who has asked for what is not known here.

Theory of operation
-------------------
* *arm* makes rings and launches everything, the sources held: their rings are paused. *start* lets the sources go,
  which takes no time. So everything slow, and nearly everything that can fail, happens before the first event.
* What must survive the daemon is remembered before it becomes true. A daemon that starts again finds rings and
  workers of its run, and takes them over in the state it remembers; what has died meanwhile is handled as if it
  died now.
* Without a broker everything goes on; nothing here waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from mimodaq.protocol import run as runs
from mimodaq.protocol.messages import Memory, Report
from mimodaq.protocol.node_events import (
    BooksClosed,
    Boot,
    Clear,
    CloseBooks,
    CutLink,
    Effect,
    Fate,
    Figures,
    MakeRings,
    Prepare,
)
from mimodaq.protocol.parts import Ending, RunEnd, WorkerLine, short
from mimodaq.protocol.plan import NodePlan
from mimodaq.protocol.run import Run, Verdict
from mimodaq.protocol.states import State

FORCE_S: Final = 15.0
"""An abort that takes longer than this (a process that cannot be killed) leaves the node in error."""


@dataclass(slots=True)
class NodeRun:
    """A node and its part of a run. Invariant: `run` is set exactly while `state.is_in_run`."""

    name: str
    epoch: int
    state: State = State.IDLE
    setup_id: str | None = None
    plan: NodePlan | None = None
    run: int | None = None
    ended: RunEnd | None = None
    ending: Ending = Ending.NONE
    failure: str = ""
    cut: set[str] = field(default_factory=set)
    part: Run | None = None
    """The workers of the run, from the launch of the first to the closing of the books."""
    figures: Figures = field(default_factory=Figures)
    ticket: int = 0
    """Of the last question to the shell; an answer to an earlier one comes too late."""
    asked_setup: str | None = None
    """The setup that was last asked for."""
    is_resetting: bool = False
    is_closing: bool = False
    """All workers have gone and the books are being closed."""
    force_at: float | None = None
    """When waiting for the end of the run ends."""
    _is_broken: bool = False
    _ran_before_s: float = 0.0
    """Running time of the run in earlier lives."""

    # -- configure and arm ------------------------------------------------------------------------------------

    def configure(self, setup_id: str) -> list[Effect]:
        """Prepare for the runs of a setup."""
        self.state, self.failure, self.setup_id, self.plan = State.CONFIGURING, "", None, None
        self.asked_setup = setup_id
        return [Prepare(self._next_ticket(), setup_id)]

    def prepared(self, plan: NodePlan) -> list[Effect]:
        """The setup is here."""
        self.state, self.plan, self.setup_id = State.CONFIGURED, plan, self.asked_setup
        return []

    def arm(self, run: int, operator: str, comment: str) -> list[Effect]:
        """Make the rings of a run; whose it is and what was said of it is for its record."""
        self.state, self.failure, self.run = State.ARMING, "", run
        self.ending, self.is_closing, self._ran_before_s = Ending.NONE, False, 0.0
        self.figures = replace(self.figures, events=0, buffers=(), links=())  # those of the last run
        self.cut.clear()
        return [MakeRings(self._next_ticket(), run, operator, comment)]

    def launch(self, now: float) -> list[Effect]:
        """The rings are there: start the workers."""
        assert self.plan is not None
        self.part = Run(self.plan.workers())
        return self.feed(runs.Begin(), now)

    def impossible(self, text: str) -> list[Effect]:
        """The shell could not do what it was asked for last."""
        if self.state is State.CONFIGURING:
            self.failure = short(text)
            self._forget_setup()
            return [runs.Say("error", text)]
        if self.state is State.ARMING and self.part is None:
            self.failure = short(text)
            self.ending = Ending.FAILED
            return [runs.Say("error", text), *self._end_unbegun()]
        if self.is_closing:
            finding = (Verdict.INCOMPLETE, f"the record of the run could not be written: {text}")
            return [runs.Say("error", text), *self.books_closed(BooksClosed(self.ticket, findings=(finding,)))]
        return []

    def is_awaited(self, ticket: int, state: State) -> bool:
        """Whether an answer of the shell is one to the last question, and the state still the same."""
        return ticket == self.ticket and self.state is state

    def _next_ticket(self) -> int:
        self.ticket += 1
        return self.ticket

    # -- commands in a run ------------------------------------------------------------------------------------

    def gate(self, target: State, reason: str, now: float) -> list[Effect]:
        """Let the sources go (target running) or hold them (paused)."""
        self.state = target
        return self.feed(runs.Command("pause" if target is State.PAUSED else "resume", reason), now)

    def stop(self, now: float) -> list[Effect]:
        """Leave the run with what is in the buffers; one that has not started is aborted."""
        name = "stop" if self.state in (State.RUNNING, State.PAUSED) else "abort"
        return self._leave(name, "by the broker", now)

    def abort(self, worth: Verdict, now: float) -> list[Effect]:
        """Leave the run at once; `worth` is what the broker makes of it."""
        return self._leave("abort", "by the broker" if worth is Verdict.ABORTED else "ended by the broker", now, worth)

    def reset(self, worth: Verdict, now: float) -> list[Effect]:
        """Forget the setup, after leaving the run if there is one."""
        if self.run is None:
            self._next_ticket()
            self._forget_setup()
            return [Clear()]
        self.is_resetting = True
        return self._leave("abort", "reset", now, worth)

    def _leave(self, command: str, reason: str, now: float, worth: Verdict = Verdict.ABORTED) -> list[Effect]:
        if self.ending is Ending.NONE:
            self.ending = Ending.COMMANDED
        if self.part is None:  # the rings are just being made
            self._next_ticket()
            return self._end_unbegun(worth)
        return self.feed(runs.Command(command, reason, worth), now)

    def cut_link(self, link: str) -> list[Effect]:
        """Give a link up: its other end will not come back. If it is complete here already, nothing is missing."""
        assert self.part is not None
        self.cut.add(link)
        state, _ = self.part.worker_states().get(runs.WorkerId(link, 0), (None, 0))
        if state is runs.WorkerState.FINISHED:
            return []
        self.part.judge(Verdict.INCOMPLETE, f"the link {link} was given up: its other end did not come back")
        return [CutLink(link), runs.Say("error", f"the link {link} is given up: its other end did not come back")]

    # -- the run ----------------------------------------------------------------------------------------------

    def feed(self, event: runs.Event, now: float) -> list[Effect]:
        """Let the run's own brain handle something, and follow it."""
        run = self.part
        if run is None:
            return []
        if isinstance(event, runs.Ready | runs.Exited) and event.worker not in run.worker_states():
            return []
        if isinstance(event, runs.Exited) and event.worker.function in self.cut:
            event = runs.Exited(event.worker, None)  # whatever it says, it was told to go
        effects: list[Effect] = []
        for effect in run.handle(event, now):
            if isinstance(effect, runs.Launch) and effect.worker.function in self.cut:
                effects += self.feed(runs.Exited(effect.worker, None), now)
            elif not isinstance(effect, runs.Finish):
                effects.append(effect)
        return effects + self._follow(run, now)

    def _follow(self, run: Run, now: float) -> list[Effect]:
        """Bring the node's state in line with what the run has come to."""
        if self.is_closing or self.run is None:
            return []
        match run.state:
            case runs.State.RUNNING if self.state is State.ARMING:
                effects = self.feed(runs.Command("pause", "armed"), now)
                self.state = State.READY
                return effects
            case runs.State.STOPPING if self.state in (State.ARMING, State.READY):
                if not _is_failure(run.verdict):
                    run.judge(Verdict.INTERRUPTED, "the sources ended before the run began")
                self.failure = short(self.failure or "; ".join(run.reasons))
                return self.feed(runs.Command("abort", "start failed", None), now)
            case runs.State.STOPPING:
                self._note_ending(run)
                self.state = State.STOPPING
            case runs.State.ABORTING:
                self._note_ending(run)
                self.state = State.ABORTING
                if self.force_at is None:
                    self.force_at = now + FORCE_S
            case runs.State.ENDED:
                self._note_ending(run)
                self.state = State.STOPPING if self.state in (State.RUNNING, State.PAUSED) else self.state
                self.is_closing, self.force_at = True, now + runs.CLOSE_S
                return [CloseBooks(self._next_ticket(), self.run, run.verdict, tuple(map(short, run.reasons)))]
            case _:
                pass
        return []

    def _note_ending(self, run: Run) -> None:
        if self.ending is Ending.NONE:
            is_early = self.state in (State.ARMING, State.READY)
            self.ending = Ending.FAILED if is_early or _is_failure(run.verdict) else Ending.EXHAUSTED
        if self.ending is Ending.FAILED:
            self.failure = short(self.failure or "; ".join(run.reasons))

    def _end_unbegun(self, worth: Verdict = Verdict.INTERRUPTED) -> list[Effect]:
        """Leave a run of which no worker has been launched."""
        assert self.run is not None
        reasons = (self.failure,) if self.failure else ()
        verdict = Verdict.INTERRUPTED if self.ending is Ending.FAILED else worth
        self.ended = RunEnd(self.run, verdict, reasons, self.ending)
        return self._leave_run()

    def books_closed(self, event: BooksClosed) -> list[Effect]:
        """The record of the run is written: leave it."""
        assert self.run is not None
        verdict, reasons = self._worth()
        order = list(Verdict)
        for worse, reason in event.findings:
            verdict = max(verdict, worse, key=order.index)
            reasons = (*reasons, short(reason))
        self.ended = RunEnd(self.run, verdict, reasons, self.ending, event.rings, event.links)
        return self._leave_run()

    def _leave_run(self) -> list[Effect]:
        self.run, self.part, self.force_at, self.is_closing = None, None, None, False
        self.ending = Ending.NONE
        self.cut.clear()
        self.state = State.CONFIGURED
        if self._is_broken:
            self.state = State.ERROR
        if self.is_resetting:
            self._forget_setup()
        return [Clear()]

    def _forget_setup(self) -> None:
        self.state, self.setup_id, self.plan, self.asked_setup = State.IDLE, None, None, None
        self.is_resetting = self._is_broken = False

    def fault(self, text: str, now: float) -> list[Effect]:
        """Something that nothing can go on without does not work any more."""
        self._is_broken = True
        self.failure = short(text)
        effects: list[Effect] = [runs.Say("error", text)]
        if self.run is None:
            self._next_ticket()
            self.state = State.ERROR
            return effects
        self.ending = Ending.FAILED
        if self.part is None:
            self._next_ticket()
            return effects + self._end_unbegun()
        self.part.judge(Verdict.INTERRUPTED, text)
        return effects + self.feed(runs.Command("abort", text, None), now)

    def force(self) -> list[Effect]:
        """Leaving the run takes too long: what hangs cannot be helped, the node says so."""
        assert self.run is not None
        if not self.is_closing:
            self._is_broken = True
            self.failure = f"not all processes of run {self.run} could be ended within {FORCE_S:g} s"
        verdict, reasons = self._worth()
        verdict = max(verdict, Verdict.INCOMPLETE, key=list(Verdict).index)
        text = self.failure or f"the record of run {self.run} was not written in time"
        self._next_ticket()
        self.ended = RunEnd(self.run, verdict, (*reasons, text), self.ending, is_ledger_known=False)
        return [runs.Say("error", text), *self._leave_run()]

    def _worth(self) -> tuple[Verdict, tuple[str, ...]]:
        run = self.part
        return (run.verdict, tuple(map(short, run.reasons[:100]))) if run else (Verdict.GOOD, ())

    # -- a new life -------------------------------------------------------------------------------------------

    def boot(self, event: Boot, now: float) -> list[Effect]:
        """The daemon has started: go on as the life before remembers it."""
        memory, plan = event.memory, event.plan
        if memory is None:
            return [Clear()]
        self.ended, self.failure = memory.ended, memory.failure
        if plan is not None and memory.setup_id is not None:
            self.state, self.setup_id, self.plan = State.CONFIGURED, memory.setup_id, plan
        if memory.run is None:
            return [Clear()]
        if plan is None or not event.are_rings_there or memory.state is State.ARMING:
            return self._lose_run(memory, plan is not None)
        return self._adopt(memory, plan, event, now)

    def _lose_run(self, memory: Memory, has_plan: bool) -> list[Effect]:
        """The run of the life before cannot go on: nothing had begun, or its buffers are gone."""
        assert memory.run is not None
        is_begun = memory.state is not State.ARMING
        text = (
            f"the host was started again during run {memory.run}; what was in its buffers is lost"
            if is_begun and has_plan
            else f"the node daemon was started again during run {memory.run} and could not go on with it"
        )
        self.failure = text
        verdict = max(memory.verdict, Verdict.INTERRUPTED, key=list(Verdict).index)
        reasons = (*memory.reasons, text)
        self.ended = RunEnd(memory.run, verdict, reasons, Ending.FAILED, is_ledger_known=not is_begun)
        return [runs.Say("error", text), Clear()]

    def _adopt(self, memory: Memory, plan: NodePlan, event: Boot, now: float) -> list[Effect]:
        """Go on with the run: all its workers count as ready at once, then what has died since dies now."""
        run = self.part = Run(plan.workers())
        run.handle(runs.Begin(), now)
        for is_source in (False, True):
            for worker in plan.workers():
                if worker.is_source is is_source:
                    run.handle(runs.Ready(worker.id), now)
        for text in memory.reasons:
            run.judge(memory.verdict, text)
        self.run, self.ending, self.cut = memory.run, memory.ending, set(memory.cut)
        self._ran_before_s = memory.running_s
        self.state = memory.state if memory.state in (State.READY, State.PAUSED) else State.RUNNING
        text = f"the node daemon was started again and goes on with run {memory.run} ({memory.state.value})"
        effects: list[Effect] = [runs.Say("warning", text)]
        if memory.state is State.RUNNING:
            effects.append(runs.ResumeSources())  # it may have been killed just before it did
        elif self.state is not State.RUNNING:
            effects += self.feed(runs.Command("pause", "goes on"), now)
        if memory.state is State.ABORTING:
            effects += self.feed(runs.Command("abort", "goes on", None), now)
        elif memory.state is State.STOPPING and memory.ending is not Ending.EXHAUSTED:
            effects += self.feed(runs.Command("stop", "goes on"), now)
        fates = event.fates or {}
        for worker in plan.workers():
            fate = fates.get(worker.id, Fate.DEAD)
            if fate is not Fate.ALIVE and self.part is run:
                reason = None if fate is Fate.FINISHED else "died while the node daemon was away"
                effects += self.feed(runs.Exited(worker.id, reason), now)
        return [*effects, *(CutLink(link) for link in sorted(self.cut))]

    # -- what others see --------------------------------------------------------------------------------------

    def report(self, number: int, now: float) -> Report:
        """What the broker is told."""
        run = self.part
        states = run.worker_states() if run else {}
        figures = self.figures if self.run is not None else replace(self.figures, events=0, buffers=(), links=())
        return Report(
            node=self.name,
            epoch=self.epoch,
            number=number,
            state=State.RESETTING if self.is_resetting else self.state,
            setup_id=self.setup_id,
            run=self.run,
            ending=self.ending,
            failure=self.failure,
            running_s=self.running_s(now),
            events=figures.events,
            ended=self.ended,
            cut=tuple(sorted(self.cut)),
            buffers=figures.buffers,
            workers=tuple(WorkerLine(str(i), state.value, restarts) for i, (state, restarts) in states.items()),
            links=figures.links,
            clock=figures.clock,
            host=figures.host,
        )

    def running_s(self, now: float) -> float:
        """Running time of the run, pauses not counted, over all lives of the daemon."""
        return self._ran_before_s + (self.part.running_s(now) if self.part else 0.0)

    def memory(self, running_s: float) -> Memory:
        """What the next life of the daemon must know."""
        verdict, reasons = self._worth()
        return Memory(
            epoch=self.epoch,
            state=State.ABORTING if self.is_resetting else self.state,
            setup_id=self.setup_id,
            run=self.run,
            ending=self.ending,
            failure=self.failure,
            verdict=verdict,
            reasons=reasons,
            cut=tuple(sorted(self.cut)),
            running_s=running_s,
            ended=self.ended,
        )


def _is_failure(verdict: Verdict) -> bool:
    order = list(Verdict)
    return order.index(verdict) >= order.index(Verdict.INTERRUPTED)
