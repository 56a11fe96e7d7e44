"""Decide what a node does: carry out the broker's commands, keep its part of a run going, with or without a broker.

Pure code around `mimodaq.protocol.run`, which supervises the workers of one run; the processes of links are workers
like the others, a receiver being a source that another host feeds.

Theory of operation
-------------------
* *arm* makes rings and launches everything, the sources held: their rings are paused. *start* lets the sources go,
  which takes no time. So everything slow, and nearly everything that can fail, happens before the first event.
* The node's state is the truth. Commands only move it; every command may come twice, late, or from the past: each one
  says which broker, which request, which life of this node and which run it means. A command whose end has been
  reached already is answered with yes.
* What must survive the daemon is remembered before it becomes true. A daemon that starts again finds rings and
  workers of its run, and takes them over in the state it remembers; what has died meanwhile is handled as if it
  died now.
* Without a broker everything goes on; nothing here waits for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from mimodaq.protocol import run as runs
from mimodaq.protocol.membership import BEAT_S
from mimodaq.protocol.messages import Beat, Do, Done, Memory, Report, Verb
from mimodaq.protocol.node_events import (
    BooksClosed,
    Boot,
    Clear,
    CloseBooks,
    CutLink,
    Effect,
    Event,
    Fate,
    Fault,
    Figures,
    Impossible,
    InRun,
    Leave,
    Looked,
    MakeRings,
    Prepare,
    Prepared,
    Remember,
    RingsMade,
    Send,
    Wake,
)
from mimodaq.protocol.parts import Ending, RequestId, RunEnd, WorkerLine, short
from mimodaq.protocol.plan import NodePlan
from mimodaq.protocol.run import Run, Verdict
from mimodaq.protocol.states import State, refusal

REPORT_S: Final = 1.0
FORCE_S: Final = 15.0
"""An abort that takes longer than this (a process that cannot be killed) leaves the node in error."""
ANSWERS_KEPT: Final = 32


@dataclass(slots=True)
class NodeBrain:
    """One life of a node daemon.

    Invariants: `run` is set exactly while `state.is_in_run`; a request is answered at most once with the same words.
    """

    name: str
    epoch: int
    """Larger than in any life before, see `membership.next_epoch`."""
    state: State = State.IDLE
    setup_id: str | None = None
    plan: NodePlan | None = None
    run: int | None = None
    ended: RunEnd | None = None
    ending: Ending = Ending.NONE
    failure: str = ""
    cut: set[str] = field(default_factory=set)
    _run: Run | None = None
    _ran_before_s: float = 0.0
    """Running time of the run in earlier lives."""
    _ticket: int = 0
    _asked_setup: str | None = None
    _is_resetting: bool = False
    _is_broken: bool = False
    _is_closing: bool = False
    _force_at: float | None = None
    _broker: int = 0
    _last_request: int = 0
    _waiting: dict[RequestId, Verb] = field(default_factory=dict)
    _answers: OrderedDict[RequestId, Done] = field(default_factory=OrderedDict)
    _number: int = 0
    _figures: Figures = field(default_factory=Figures)
    _beat_at: float = 0.0
    _report_at: float = 0.0
    _shown: tuple[object, ...] = ()
    _memory: Memory | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        match event:
            case Boot():
                effects = self._boot(event, now)
            case Do():
                effects = self._told(event, now)
            case Prepared(ticket, plan):
                effects = self._prepared(plan) if self._is_awaited(ticket, State.CONFIGURING) else []
            case RingsMade(ticket):
                effects = self._launch(now) if self._is_awaited(ticket, State.ARMING) else []
            case Impossible(ticket, text):
                effects = self._impossible(text) if ticket == self._ticket else []
            case InRun(run, what):
                effects = self._feed(what, now) if run == self.run else []
            case BooksClosed():
                effects = self._books_closed(event) if event.ticket == self._ticket and self._is_closing else []
            case Looked(figures):
                self._figures = figures.rounded()
                effects = []
            case Fault(text):
                effects = self._fault(text, now)
            case Wake():
                effects = []
            case _:
                assert_never(event)
        if self._force_at is not None and now >= self._force_at:
            effects += self._force()
        effects += self._answer_waiting(now)
        effects += self._tell(now)
        return self._remember(now) + effects

    def deadline(self, now: float) -> float:
        """When `handle` is next needed at the latest."""
        dues = [self._beat_at, self._report_at]
        if self._run is not None and self._run.state is not runs.State.ENDED:
            dues.append(self._run.deadline(now))
        if self._force_at is not None:
            dues.append(self._force_at)
        return min(dues)

    @property
    def part(self) -> Run | None:
        """The node's part of the run, from the launch of its first worker to the closing of the books."""
        return self._run

    @property
    def is_closing(self) -> bool:
        """Whether all workers have gone and the books are being closed."""
        return self._is_closing

    def restarts_of(self, worker: runs.WorkerId) -> int:
        """How often a worker of the run was started again."""
        return self._run.worker_states()[worker][1] if self._run is not None else 0

    # -- commands ---------------------------------------------------------------------------------------------

    def _told(self, do: Do, now: float) -> list[Effect]:
        request = do.request
        if do.node_epoch != self.epoch or request.epoch < self._broker:
            return []  # meant for another life of this node, or from a broker that has been replaced
        if request.epoch > self._broker:
            self._broker, self._last_request = request.epoch, 0
            self._waiting.clear()
        if request.number <= self._last_request:
            again = self._answers.get(request)
            return [Send(again)] if again else []  # being carried out, or overtaken by a later command
        self._last_request = request.number
        match do.verb:
            case Verb.CONFIGURE:
                return self._configure(do, now)
            case Verb.ARM:
                return self._arm(do, now)
            case Verb.START | Verb.PAUSE | Verb.RESUME:
                return self._gate(do, now)
            case Verb.STOP | Verb.ABORT:
                return self._end(do, now)
            case Verb.CUT:
                return self._cut(do, now)
            case Verb.RESET:
                return self._reset(do, now)
            case Verb.SHUTDOWN:
                words = refusal("shutdown", self.state)
                return self._answer(do, words, now) + ([] if words else [Clear(), Leave()])
            case _:
                assert_never(do.verb)

    def _configure(self, do: Do, now: float) -> list[Effect]:
        is_same = do.setup_id == self.setup_id if self.state is State.CONFIGURED else do.setup_id == self._asked_setup
        if self.state in (State.CONFIGURED, State.CONFIGURING) and is_same:
            self._waiting[do.request] = do.verb
            return []
        words = refusal("configure", self.state) if self.state is not State.CONFIGURING else None
        if words is None and do.setup_id is None:
            words = "configure: no setup was named"
        if words is not None or do.setup_id is None:
            return self._answer(do, words, now)
        self._waiting[do.request] = do.verb
        self.state, self.failure, self.setup_id, self.plan = State.CONFIGURING, "", None, None
        self._asked_setup = do.setup_id
        return [Prepare(self._next_ticket(), do.setup_id)]

    def _arm(self, do: Do, now: float) -> list[Effect]:
        if self.run is not None and self.run == do.run:
            self._waiting[do.request] = do.verb
            return []
        words = refusal("arm", self.state)
        if words is None and do.run is None:
            words = "arm: no run number was given"
        if words is None and self.ended is not None and do.run is not None and do.run <= self.ended.run:
            words = f"arm: run {do.run} is over; the last one here was {self.ended.run}"
        if words is not None or do.run is None:
            return self._answer(do, words, now)
        self._waiting[do.request] = do.verb
        self.state, self.failure, self.run = State.ARMING, "", do.run
        self.ending, self._is_closing, self._ran_before_s = Ending.NONE, False, 0.0
        self._figures = replace(self._figures, events=0, buffers=(), links=())  # those of the last run
        self.cut.clear()
        return [MakeRings(self._next_ticket(), do.run)]

    def _gate(self, do: Do, now: float) -> list[Effect]:
        """Start, pause or resume: let the sources go or hold them."""
        if do.run != self.run or self.run is None:
            return self._answer(do, self._not_in(do), now)
        has_gone_on = self.state in (State.STOPPING, State.ABORTING)
        is_start = do.verb is Verb.START
        target = State.PAUSED if do.verb is Verb.PAUSE else State.RUNNING
        if self.state is target or (is_start and (has_gone_on or self.state is State.PAUSED)):
            return self._answer(do, None, now)
        words = refusal(do.verb.value, self.state)
        if words is not None:
            return self._answer(do, words, now)
        self.state = target
        effects = self._feed(runs.Command("pause" if target is State.PAUSED else "resume", do.verb.value), now)
        return effects + self._answer(do, None, now)

    def _end(self, do: Do, now: float) -> list[Effect]:
        """Stop or abort: leave the run."""
        if self.run is None or do.run != self.run:
            return self._answer(do, None, now)
        self._waiting[do.request] = do.verb
        if self.state is State.ABORTING or (do.verb is Verb.STOP and self.state is State.STOPPING):
            return []
        if self.ending is Ending.NONE:
            self.ending = Ending.COMMANDED
        if self._run is None:  # the rings are just being made
            self._next_ticket()
            return self._end_unbegun()
        name = "stop" if do.verb is Verb.STOP and self.state in (State.RUNNING, State.PAUSED) else "abort"
        return self._feed(runs.Command(name, "by the broker"), now)

    def _cut(self, do: Do, now: float) -> list[Effect]:
        plan, link = self.plan, do.link
        if plan is None or link is None or do.run != self.run or self._run is None or link in self.cut:
            return self._answer(do, None, now)
        if link not in {one.name for one in (*plan.outgoing, *plan.incoming)}:
            return self._answer(do, f"cut: there is no link {link!r} here", now)
        self._waiting[do.request] = do.verb
        self.cut.add(link)
        self._run.judge(Verdict.INCOMPLETE, f"the link {link} was given up: its other end did not come back")
        return [CutLink(link), runs.Say("error", f"the link {link} is given up: its other end did not come back")]

    def _reset(self, do: Do, now: float) -> list[Effect]:
        self._waiting[do.request] = do.verb
        if self._is_resetting or self.state is State.IDLE:
            return []
        if self.run is None:
            self._next_ticket()
            self._forget_setup()
            return [Clear()]
        self._is_resetting = True
        if self.ending is Ending.NONE:
            self.ending = Ending.COMMANDED
        if self._run is None:
            self._next_ticket()
            return self._end_unbegun()
        return self._feed(runs.Command("abort", "reset"), now)

    # -- configure and arm ------------------------------------------------------------------------------------

    def _is_awaited(self, ticket: int, state: State) -> bool:
        return ticket == self._ticket and self.state is state

    def _prepared(self, plan: NodePlan) -> list[Effect]:
        self.state, self.plan, self.setup_id = State.CONFIGURED, plan, self._asked_setup
        return []

    def _launch(self, now: float) -> list[Effect]:
        assert self.plan is not None
        self._run = Run(self.plan.workers())
        return self._feed(runs.Begin(), now)

    def _impossible(self, text: str) -> list[Effect]:
        if self.state is State.CONFIGURING:
            self.failure = short(text)
            self._forget_setup()
            return [runs.Say("error", text)]
        if self.state is State.ARMING and self._run is None:
            self.failure = short(text)
            self.ending = Ending.FAILED
            return [runs.Say("error", text), *self._end_unbegun()]
        if self._is_closing:
            finding = (Verdict.INCOMPLETE, f"the record of the run could not be written: {text}")
            return [runs.Say("error", text), *self._books_closed(BooksClosed(self._ticket, findings=(finding,)))]
        return []

    def _end_unbegun(self) -> list[Effect]:
        """Leave a run of which no worker has been launched."""
        assert self.run is not None
        reasons = (self.failure,) if self.failure else ()
        verdict = Verdict.INTERRUPTED if self.ending is Ending.FAILED else Verdict.ABORTED
        self.ended = RunEnd(self.run, verdict, reasons, self.ending)
        return self._leave_run()

    # -- the run ----------------------------------------------------------------------------------------------

    def _feed(self, event: runs.Event, now: float) -> list[Effect]:
        """Let the run's own brain handle something, and follow it."""
        run = self._run
        if run is None:
            return []
        if isinstance(event, runs.Ready | runs.Exited) and event.worker not in run.worker_states():
            return []
        if isinstance(event, runs.Exited) and event.worker.function in self.cut:
            event = runs.Exited(event.worker, None)  # whatever it says, it was told to go
        effects: list[Effect] = []
        for effect in run.handle(event, now):
            if isinstance(effect, runs.Launch) and effect.worker.function in self.cut:
                effects += self._feed(runs.Exited(effect.worker, None), now)
            elif not isinstance(effect, runs.Finish):
                effects.append(effect)
        return effects + self._follow(run, now)

    def _follow(self, run: Run, now: float) -> list[Effect]:
        """Bring the node's state in line with what the run has come to."""
        if self._is_closing or self.run is None:
            return []
        match run.state:
            case runs.State.RUNNING if self.state is State.ARMING:
                effects = self._feed(runs.Command("pause", "armed"), now)
                self.state = State.READY
                return effects
            case runs.State.STOPPING if self.state in (State.ARMING, State.READY):
                reason = "; ".join(run.reasons) or "the sources ended before the run began"
                self.failure = short(self.failure or reason)
                return self._feed(runs.Command("abort", reason), now)
            case runs.State.STOPPING:
                self._note_ending(run)
                self.state = State.STOPPING
            case runs.State.ABORTING:
                self._note_ending(run)
                self.state = State.ABORTING
                if self._force_at is None:
                    self._force_at = now + FORCE_S
            case runs.State.ENDED:
                self._note_ending(run)
                self.state = State.STOPPING if self.state in (State.RUNNING, State.PAUSED) else self.state
                self._is_closing, self._force_at = True, now + runs.CLOSE_S
                return [CloseBooks(self._next_ticket(), self.run, run.verdict, tuple(map(short, run.reasons)))]
            case _:
                pass
        return []

    def _note_ending(self, run: Run) -> None:
        if self.ending is Ending.NONE:
            order = list(Verdict)
            is_failure = order.index(run.verdict) >= order.index(Verdict.INTERRUPTED)
            is_early = self.state in (State.ARMING, State.READY)
            self.ending = Ending.FAILED if is_failure or is_early else Ending.EXHAUSTED
        if self.ending is Ending.FAILED:
            self.failure = short(self.failure or "; ".join(run.reasons))

    def _books_closed(self, event: BooksClosed) -> list[Effect]:
        assert self.run is not None
        verdict, reasons = self._worth()
        order = list(Verdict)
        for worse, reason in event.findings:
            verdict = max(verdict, worse, key=order.index)
            reasons = (*reasons, short(reason))
        self.ended = RunEnd(self.run, verdict, reasons, self.ending, event.rings, event.links)
        return self._leave_run()

    def _leave_run(self) -> list[Effect]:
        self.run, self._run, self._force_at, self._is_closing = None, None, None, False
        self.ending = Ending.NONE
        self.cut.clear()
        self.state = State.CONFIGURED
        if self._is_broken:
            self.state = State.ERROR
        if self._is_resetting:
            self._forget_setup()
        return [Clear()]

    def _forget_setup(self) -> None:
        self.state, self.setup_id, self.plan, self._asked_setup = State.IDLE, None, None, None
        self._is_resetting = self._is_broken = False

    def _fault(self, text: str, now: float) -> list[Effect]:
        self._is_broken = True
        self.failure = short(text)
        effects: list[Effect] = [runs.Say("error", text)]
        if self.run is None:
            self._next_ticket()
            self.state = State.ERROR
            return effects
        self.ending = Ending.FAILED
        if self._run is None:
            self._next_ticket()
            return effects + self._end_unbegun()
        self._run.judge(Verdict.INTERRUPTED, text)
        return effects + self._feed(runs.Command("abort", text), now)

    def _force(self) -> list[Effect]:
        """Leaving the run takes too long: what hangs cannot be helped, the node says so."""
        assert self.run is not None
        if not self._is_closing:
            self._is_broken = True
            self.failure = f"not all processes of run {self.run} could be ended within {FORCE_S:g} s"
        verdict, reasons = self._worth()
        verdict = max(verdict, Verdict.INCOMPLETE, key=list(Verdict).index)
        text = self.failure or f"the record of run {self.run} was not written in time"
        self._next_ticket()
        self.ended = RunEnd(self.run, verdict, (*reasons, text), self.ending, is_ledger_known=False)
        return [runs.Say("error", text), *self._leave_run()]

    def _worth(self) -> tuple[Verdict, tuple[str, ...]]:
        run = self._run
        return (run.verdict, tuple(map(short, run.reasons[:100]))) if run else (Verdict.GOOD, ())

    # -- a new life -------------------------------------------------------------------------------------------

    def _boot(self, event: Boot, now: float) -> list[Effect]:
        memory, plan = event.memory, event.plan
        self._memory = memory
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
        run = self._run = Run(plan.workers())
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
            effects += self._feed(runs.Command("pause", "goes on"), now)
        if memory.state is State.ABORTING:
            effects += self._feed(runs.Command("abort", "goes on"), now)
        elif memory.state is State.STOPPING and memory.ending is not Ending.EXHAUSTED:
            effects += self._feed(runs.Command("stop", "goes on"), now)
        fates = event.fates or {}
        for worker in plan.workers():
            fate = fates.get(worker.id, Fate.DEAD)
            if fate is not Fate.ALIVE and self._run is run:
                reason = None if fate is Fate.FINISHED else "died while the node daemon was away"
                effects += self._feed(runs.Exited(worker.id, reason), now)
        return [*effects, *(CutLink(link) for link in sorted(self.cut))]

    # -- answers, reports, memory -------------------------------------------------------------------------------

    def _next_ticket(self) -> int:
        self._ticket += 1
        return self._ticket

    def _not_in(self, do: Do) -> str:
        where = f"run {self.run}" if self.run is not None else "no run"
        return f"{do.verb.value} of run {do.run}: this node is in {where}"

    def _answer(self, do: Do, words: str | None, now: float) -> list[Effect]:
        done = self._answers[do.request] = self._done(do.request, words, now)
        return [Send(done)]

    def _done(self, request: RequestId, words: str | None, now: float) -> Done:
        return Done(request, words is None, short(words or ""), self._report(now))

    def _answer_waiting(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for request, verb in list(self._waiting.items()):
            words = self._outcome(verb)
            if words is None:
                continue
            del self._waiting[request]
            done = self._answers[request] = self._done(request, words or None, now)
            effects.append(Send(done))
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return effects

    def _outcome(self, verb: Verb) -> str | None:
        """None while a command goes on, "" when it has succeeded, else why not."""
        if verb is Verb.CUT:
            return ""
        if self.state.is_transitional:
            return None
        goals = {Verb.CONFIGURE: State.CONFIGURED, Verb.ARM: State.READY, Verb.RESET: State.IDLE}
        goal = goals.get(verb)
        if goal is None:  # stop, abort: out of the run, whatever came of it
            return "" if self.run is None else None
        return "" if self.state is goal else self.failure or f"{verb.value} ended in {self.state.value}"

    def _report(self, now: float) -> Report:
        self._number += 1
        run = self._run
        states = run.worker_states() if run else {}
        figures = self._figures if self.run is not None else replace(self._figures, events=0, buffers=(), links=())
        return Report(
            node=self.name,
            epoch=self.epoch,
            number=self._number,
            state=State.RESETTING if self._is_resetting else self.state,
            setup_id=self.setup_id,
            run=self.run,
            ending=self.ending,
            failure=self.failure,
            running_s=self._running_s(now),
            events=figures.events,
            ended=self.ended,
            cut=tuple(sorted(self.cut)),
            buffers=figures.buffers,
            workers=tuple(WorkerLine(str(i), state.value, restarts) for i, (state, restarts) in states.items()),
            links=figures.links,
            clock=figures.clock,
            host=figures.host,
        )

    def _running_s(self, now: float) -> float:
        return self._ran_before_s + (self._run.running_s(now) if self._run else 0.0)

    def _tell(self, now: float) -> list[Effect]:
        """Beats, the report once a second, and a report at once when something has changed."""
        shown = (self.state, self.run, self.setup_id, self.ending, self._is_resetting, len(self.cut), self.failure)
        if shown != self._shown or now >= self._report_at:
            self._shown = shown
            self._report_at, self._beat_at = now + REPORT_S, now + BEAT_S
            return [Send(self._report(now))]
        if now >= self._beat_at:
            self._beat_at = now + BEAT_S
            self._number += 1
            return [Send(Beat(self.name, self.epoch, self._number))]
        return []

    def _remember(self, now: float) -> list[Effect]:
        verdict, reasons = self._worth()
        memory = Memory(
            epoch=self.epoch,
            state=State.ABORTING if self._is_resetting else self.state,
            setup_id=self.setup_id,
            run=self.run,
            ending=self.ending,
            failure=self.failure,
            verdict=verdict,
            reasons=reasons,
            cut=tuple(sorted(self.cut)),
            running_s=self._memory.running_s if self._memory else 0.0,
            ended=self.ended,
        )
        if memory == self._memory:
            return []
        self._memory = replace(memory, running_s=self._running_s(now))
        return [Remember(self._memory)]
