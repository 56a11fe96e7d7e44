"""Decide what a node does: carry out the broker's commands, answer them, tell how it is, remember.

Pure code: the shell feeds events with the monotonic time they happened at, and carries out the effects in order. What
becomes of the node and its part of a run is decided in `node_run`.

Theory of operation
-------------------
* The node's state is the truth. Commands only move it; every command may come twice, late, or from the past
  (`node_requests`). A command whose end has been reached already is answered with yes.
* A command that takes time is answered when the node has arrived, wherever that is.
* A change of what the next life of the daemon must know is remembered before anything else is done about it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from mimodaq.protocol import run as runs
from mimodaq.protocol.membership import BEAT_S
from mimodaq.protocol.messages import Beat, Do, Memory, Report, Verb
from mimodaq.protocol.node_events import (
    BooksClosed,
    Boot,
    Clear,
    Effect,
    Event,
    Fault,
    Impossible,
    InRun,
    Leave,
    Looked,
    Prepared,
    Remember,
    RingsMade,
    Send,
    Wake,
)
from mimodaq.protocol.node_requests import Requests
from mimodaq.protocol.node_run import FORCE_S, NodeRun
from mimodaq.protocol.parts import Ending, RunEnd
from mimodaq.protocol.plan import NodePlan
from mimodaq.protocol.run import Run
from mimodaq.protocol.states import State, refusal

__all__ = ["FORCE_S", "REPORT_S", "NodeBrain"]

REPORT_S: Final = 1.0


class NodeBrain:
    """One life of a node daemon. Invariant: a request is answered at most once with the same words."""

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.epoch = epoch
        """Larger than in any life before, see `membership.next_epoch`."""
        self.node = NodeRun(name, epoch)
        """What has become of the node."""
        self._requests = Requests(epoch)
        self._number = 0
        self._beat_at = self._report_at = 0.0
        self._shown: tuple[object, ...] = ()
        self._memory: Memory | None = None

    @property
    def state(self) -> State:
        """What the node is in."""
        return self.node.state

    @property
    def setup_id(self) -> str | None:
        """The setup that the node is configured for."""
        return self.node.setup_id

    @property
    def plan(self) -> NodePlan | None:
        """What this node has to do for that setup."""
        return self.node.plan

    @property
    def run(self) -> int | None:
        """The run that the node is in."""
        return self.node.run

    @property
    def ended(self) -> RunEnd | None:
        """What became of its part of the last run."""
        return self.node.ended

    @property
    def ending(self) -> Ending:
        """Why its part of the run is over, or about to be."""
        return self.node.ending

    @property
    def failure(self) -> str:
        """What has not worked, in words."""
        return self.node.failure

    @property
    def cut(self) -> set[str]:
        """Links of the run that were given up."""
        return self.node.cut

    @property
    def part(self) -> Run | None:
        """The node's part of the run, from the launch of its first worker to the closing of the books."""
        return self.node.part

    @property
    def is_closing(self) -> bool:
        """Whether all workers have gone and the books are being closed."""
        return self.node.is_closing

    def restarts_of(self, worker: runs.WorkerId) -> int:
        """How often a worker of the run was started again."""
        return self.node.part.worker_states()[worker][1] if self.node.part is not None else 0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        node = self.node
        match event:
            case Boot(memory):
                self._memory = memory
                effects = node.boot(event, now)
            case Do():
                effects = self._told(event, now)
            case Prepared(ticket, plan):
                effects = node.prepared(plan) if node.is_awaited(ticket, State.CONFIGURING) else []
            case RingsMade(ticket):
                effects = node.launch(now) if node.is_awaited(ticket, State.ARMING) else []
            case Impossible(ticket, text):
                effects = node.impossible(text) if ticket == node.ticket else []
            case InRun(run, what):
                effects = node.feed(what, now) if run == node.run else []
            case BooksClosed():
                effects = node.books_closed(event) if event.ticket == node.ticket and node.is_closing else []
            case Looked(figures):
                node.figures = figures.rounded()
                effects = []
            case Fault(text):
                effects = node.fault(text, now)
            case Wake():
                effects = []
            case _:
                assert_never(event)
        if node.force_at is not None and now >= node.force_at:
            effects += node.force()
        effects += self._answer_waiting(now)
        effects += self._tell(now)
        return self._remember(now) + effects

    def deadline(self, now: float) -> float:
        """When `handle` is next needed at the latest."""
        node = self.node
        dues = [self._beat_at, self._report_at]
        if node.part is not None and node.part.state is not runs.State.ENDED:
            dues.append(node.part.deadline(now))
        if node.force_at is not None:
            dues.append(node.force_at)
        return min(dues)

    # -- commands ---------------------------------------------------------------------------------------------

    def _told(self, do: Do, now: float) -> list[Effect]:
        known = self._requests.accept(do)
        if known is not None:
            return known
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
        node = self.node
        is_same = do.setup_id == (node.setup_id if node.state is State.CONFIGURED else node.asked_setup)
        if node.state in (State.CONFIGURED, State.CONFIGURING) and is_same:
            self._requests.wait(do)
            return []
        words = refusal("configure", node.state) if node.state is not State.CONFIGURING else None
        if words is None and do.setup_id is None:
            words = "configure: no setup was named"
        if words is not None or do.setup_id is None:
            return self._answer(do, words, now)
        self._requests.wait(do)
        return node.configure(do.setup_id)

    def _arm(self, do: Do, now: float) -> list[Effect]:
        node = self.node
        if node.run is not None and node.run == do.run:
            self._requests.wait(do)
            return []
        words = refusal("arm", node.state)
        if words is None and do.run is None:
            words = "arm: no run number was given"
        if words is None and node.ended is not None and do.run is not None and do.run <= node.ended.run:
            words = f"arm: run {do.run} is over; the last one here was {node.ended.run}"
        if words is not None or do.run is None:
            return self._answer(do, words, now)
        self._requests.wait(do)
        return node.arm(do.run, do.operator, do.comment)

    def _gate(self, do: Do, now: float) -> list[Effect]:
        """Start, pause or resume: let the sources go or hold them."""
        node = self.node
        if do.run != node.run or node.run is None:
            where = f"run {node.run}" if node.run is not None else "no run"
            return self._answer(do, f"{do.verb.value} of run {do.run}: this node is in {where}", now)
        has_gone_on = node.state in (State.STOPPING, State.ABORTING)
        is_start = do.verb is Verb.START
        target = State.PAUSED if do.verb is Verb.PAUSE else State.RUNNING
        if node.state is target or (is_start and (has_gone_on or node.state is State.PAUSED)):
            return self._answer(do, None, now)
        words = refusal(do.verb.value, node.state)
        if words is not None:
            return self._answer(do, words, now)
        effects = node.gate(target, do.verb.value, now)
        return effects + self._answer(do, None, now)

    def _end(self, do: Do, now: float) -> list[Effect]:
        """Stop or abort: leave the run."""
        node, is_stop = self.node, do.verb is Verb.STOP
        if node.run is None or do.run != node.run:
            return self._answer(do, None, now)
        self._requests.wait(do)
        if node.state is State.ABORTING or (is_stop and node.state is State.STOPPING):
            return []
        return node.stop(now) if is_stop else node.abort(do.worth, now)

    def _cut(self, do: Do, now: float) -> list[Effect]:
        node, plan, link = self.node, self.node.plan, do.link
        if plan is None or link is None or do.run != node.run or node.part is None or link in node.cut:
            return self._answer(do, None, now)
        if link not in {one.name for one in (*plan.outgoing, *plan.incoming)}:
            return self._answer(do, f"cut: there is no link {link!r} here", now)
        self._requests.wait(do)
        return node.cut_link(link)

    def _reset(self, do: Do, now: float) -> list[Effect]:
        self._requests.wait(do)
        if self.node.is_resetting or self.node.state is State.IDLE:
            return []
        return self.node.reset(do.worth, now)

    # -- answers, reports, memory -----------------------------------------------------------------------------

    def _answer(self, do: Do, words: str | None, now: float) -> list[Effect]:
        return [self._requests.answer(do.request, words, self._report(now))]

    def _answer_waiting(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for request, verb in self._requests.waiting():
            words = self._outcome(verb)
            if words is not None:
                effects.append(self._requests.answer(request, words or None, self._report(now)))
        return effects

    def _outcome(self, verb: Verb) -> str | None:
        """None while a command goes on, "" when it has succeeded, else why not."""
        node = self.node
        if verb is Verb.CUT:
            return ""
        if node.state.is_transitional:
            return None
        goals = {Verb.CONFIGURE: State.CONFIGURED, Verb.ARM: State.READY, Verb.RESET: State.IDLE}
        goal = goals.get(verb)
        if goal is None:  # stop, abort: out of the run, whatever came of it
            return "" if node.run is None else None
        return "" if node.state is goal else node.failure or f"{verb.value} ended in {node.state.value}"

    def _report(self, now: float) -> Report:
        self._number += 1
        return self.node.report(self._number, now)

    def _tell(self, now: float) -> list[Effect]:
        """Beats, the report once a second, and a report at once when something has changed."""
        node = self.node
        shown = (node.state, node.run, node.setup_id, node.ending, node.is_resetting, len(node.cut), node.failure)
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
        """Remember what has changed; running time alone is no change."""
        memory = self.node.memory(self._memory.running_s if self._memory else 0.0)
        if memory == self._memory:
            return []
        self._memory = replace(memory, running_s=self.node.running_s(now))
        return [Remember(self._memory)]
