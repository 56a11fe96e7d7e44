"""Decide what the cluster does: carry out the operator's commands on all nodes, end runs, judge them.

Pure code: the shell feeds messages and answers with the monotonic time they came at, and carries out the effects.

Theory of operation
-------------------
* The broker has an *aim*, a state; the nodes have what they report. `steering.want` compares the two for each node and
  says what to tell it. All nodes are told at once; a node that hangs holds up nobody and is named at the deadline.
* Commands of operators change the aim. While the aim is an -ing state the command is going on; when every node is
  there, or the deadline has passed, its client gets the one answer, and the aim becomes a steady state. An aim that is
  steady is kept: a node that was away when the sources were held is told so when it is back.
* start is all-or-nothing: nodes without sources first, and if any node fails or is lost before the last has started,
  all abort. stop always ends: first by itself (the end of the stream travels from the sources on), then links whose
  other end is gone are given up, then everything is aborted, then the books are closed without those that hang.
* The nodes are the truth. A broker that starts knows only which runs are closed; it listens, and takes over the run
  that nodes are in, in the state they are in. A node in a run that is closed is told to leave it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, assert_never

from mimodaq.protocol.books import Books
from mimodaq.protocol.charge import Charge
from mimodaq.protocol.cluster_events import (
    Asked,
    AskRunNumber,
    Boot,
    Effect,
    Event,
    Heard,
    Impossible,
    LateAccount,
    Leave,
    LoadSetup,
    Publish,
    Reply,
    RunNumber,
    SaveRun,
    Say,
    Send,
    SetupLoaded,
    Wake,
)
from mimodaq.protocol.membership import Joined, Late, Lost
from mimodaq.protocol.messages import Answer, Ask, Beat, Cluster, Do, Done, Report, Verb
from mimodaq.protocol.parts import OnLoss, RequestId, short
from mimodaq.protocol.plan import ClusterPlan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.situation import Node, Pending, Situation
from mimodaq.protocol.states import State, refusal
from mimodaq.protocol.steering import (
    Want,
    aim_from,
    has_failed,
    has_run_dry,
    is_out,
    want,
)

LOOK_S: Final = 0.25
"""How often everything is compared even if nothing was heard."""
GATHER_S: Final = 0.005
"""Reports that come within this time are looked at together: many nodes change at once."""
PUBLISH_S: Final = 1.0
CLIENTS_KEPT: Final = 256


@dataclass(slots=True)
class _Operation:
    """A command that is going on."""

    client: str
    ask: Ask


@dataclass(slots=True)
class ClusterBrain(Situation):
    """One life of a broker. Invariant: `books` is open exactly while `aim.is_in_run`."""

    charge: Charge = field(default_factory=Charge)
    _on_loss: OnLoss = OnLoss.PAUSE
    _operation: _Operation | None = None
    _problem: str = ""
    """Why the last command failed, or what the run is held for."""
    _held_for: set[str] = field(default_factory=set)
    """Lost nodes for which the sources are held, until they are back."""
    _accounts_missing: dict[str, int] = field(default_factory=dict)
    _ticket: int = 0
    _request: int = 0
    _answers: OrderedDict[str, tuple[int, Answer | None]] = field(default_factory=OrderedDict)
    _number: int = 0
    _look_at: float = 0.0
    _looked: float = float("-inf")
    _publish_at: float = 0.0
    _shown: tuple[object, ...] = ()
    _is_dirty: bool = True
    _to_load: str | None = None
    _leave_by: float | None = None
    """Set when the nodes have been told to leave: then the broker goes, too."""
    _delayed: deque[Asked] = field(default_factory=lambda: deque(maxlen=CLIENTS_KEPT))
    """Commands that came while the state of the nodes was being learned."""
    _open: Boot = field(default_factory=Boot)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        match event:
            case Boot(last_closed):
                self.last_closed, self._open = last_closed, event
                self._learn_until, self._since = now + self.limits.learn_s, now
                effects: list[Effect] = []
            case Heard(message):
                effects = self._heard(message, now)
            case Asked():
                effects = self._asked(event, now)
            case SetupLoaded(ticket, plan):
                effects = self._setup_loaded(plan, now) if ticket == self._ticket else []
            case RunNumber(ticket, number):
                effects = self._numbered(number, now) if ticket == self._ticket else []
            case Impossible(ticket, text):
                effects = self._impossible(text, now) if ticket == self._ticket else []
            case Wake():
                effects = []
            case _:
                assert_never(event)
        for change in self.members.tick(now):
            effects += self._presence_changed(change, now)
        if self._is_dirty:
            self._look_at = min(self._look_at, max(now, self._looked + GATHER_S))
        if now >= self._look_at:
            effects += self._go_on(now)
        return effects + self._publish(now)

    def deadline(self, now: float) -> float:
        """When `handle` is next needed at the latest."""
        member = self.members.deadline()
        return min(self._look_at, self._publish_at, member if member is not None else self._look_at)

    # -- what comes in ----------------------------------------------------------------------------------------

    def _heard(self, message: Beat | Report | Done, now: float) -> list[Effect]:
        report = message.report if isinstance(message, Done) else message
        name = report.node
        node = self._nodes.setdefault(name, Node())
        is_known = node.report is not None and node.report.epoch == report.epoch and not self._is_lost(name)
        if isinstance(report, Beat) and not is_known:
            return []  # it counts as being there once it has said in what state it is
        is_news, changes = self.members.hear(name, report.epoch, report.number, now)
        effects: list[Effect] = []
        for change in changes:
            effects += self._presence_changed(change, now)
        if is_news and isinstance(report, Report):
            self._is_dirty = self._is_dirty or _differs(node.report, report)
            node.report = report
            effects += self._take_account(name, report, now)
        if isinstance(message, Done):
            effects += self._done(name, node, message, now)
        return effects

    def _done(self, name: str, node: Node, done: Done, now: float) -> list[Effect]:
        pending = node.pending
        if pending is None or pending.do.request != done.request:
            return []  # of an earlier command, or of an earlier broker
        node.pending, self._is_dirty = None, True
        if done.ok:
            return []
        node.refused = (pending.want, now)
        verb = pending.want.verb.value
        effects: list[Effect] = [Say("error", f"{name}: {verb}: {done.text}")]
        if pending.want.run is not None and (self.books is None or pending.want.run != self.books.run):
            return effects
        if verb in ("configure", "arm", "start") and self.aim in (State.CONFIGURING, State.ARMING, State.STARTING):
            effects += self._give_up(f"{name}: {done.text}", now)
        return effects

    def _take_account(self, name: str, report: Report, now: float) -> list[Effect]:
        ended, node = report.ended, self._nodes[name]
        if self.books is not None:
            run = self.books.run
            if not is_out(report, run):
                node.out_since = None
            elif node.out_since is None:
                node.out_since = now
            if ended is not None and ended.run == run and is_out(report, run):
                self.books.accounts[name] = ended
            if self.plan is not None and name == self.plan.counted_node:
                counted = report.events if report.run == run else self.books.committed(name, self.plan.counted_ring)
                self.books.events = max(self.books.events, counted)
        if ended is not None and self._accounts_missing.get(name) == ended.run and report.run != ended.run:
            del self._accounts_missing[name]
            return [LateAccount(ended.run, name, ended)]
        return []

    def _presence_changed(self, change: Joined | Late | Lost, now: float) -> list[Effect]:
        node = self._nodes[change.node]
        self._is_dirty = True
        match change:
            case Joined(name, is_restarted):
                node.away_since, node.pending, node.refused = None, None, None
                return [Say("info", f"{name} {'was started again' if is_restarted else 'is there'}")]
            case Late(name, silent_s):
                return [Say("warning", f"{name} has been silent for {silent_s:.1f} s")]
            case Lost(name, silent_s):
                node.away_since, node.pending = now, None
                return [Say("error", f"{name} is lost: not heard for {silent_s:.1f} s")]
            case _:
                assert_never(change)

    # -- commands ---------------------------------------------------------------------------------------------

    def _asked(self, asked: Asked, now: float) -> list[Effect]:
        ask, client = asked.ask, asked.client
        number, answer = self._answers.get(client, (0, None))
        if ask.number <= number:
            return [Reply(client, answer)] if answer is not None and ask.number == number else []
        self._answers[client] = (ask.number, None)
        self._answers.move_to_end(client)
        if len(self._answers) > CLIENTS_KEPT:
            self._answers.popitem(last=False)
        return self._consider(asked, now)

    def _consider(self, asked: Asked, now: float) -> list[Effect]:
        """Carry out or refuse a command; one that needs to know the nodes waits while a new broker is learning them."""
        ask, client = asked.ask, asked.client
        if self._learn_until is not None and ask.command not in ("abort", "reset", "take", "surrender"):
            self._delayed.append(asked)
            return []
        if ask.command == "take":
            words = self.charge.take(asked.operator, asked.may_command, ask.force, now)
        elif ask.command == "surrender":
            words = self.charge.surrender(asked.operator)
        else:
            words = self.charge.refusal(asked.operator, asked.may_command, ask.command, now)
            if words is None:
                words = self._refusal(ask)
            if words is None:
                return self._begin(_Operation(client, ask), asked.operator, now)
        self._is_dirty = True
        return self._reply(_Operation(client, ask), words is None, words or f"{ask.command}: done")

    def _refusal(self, ask: Ask) -> str | None:
        """Why a command is not possible now."""
        command = ask.command
        if self._learn_until is not None:
            return None
        words = refusal(command, self.aim)
        if words is not None:
            return words
        if command == "configure" and ask.setup_id is None:
            return "configure: no setup was named"
        if command in ("arm", "start", "resume"):
            missing = self._unfit()
            if missing:
                return f"{command} is not possible: {missing}"
        return None

    def _begin(self, operation: _Operation, operator: str, now: float) -> list[Effect]:
        effects = self._finish(False, f"overtaken by {operation.ask.command} of {operator}")
        self._operation, self._problem, self._is_dirty = operation, "", True
        ask = operation.ask
        match ask.command:
            case "configure":
                assert ask.setup_id is not None
                self._optional, self._on_loss = frozenset(ask.optional), ask.on_loss
                self._set_aim(State.CONFIGURING, now)
                self._to_load = ask.setup_id
                return [*effects, LoadSetup(self._next_ticket(), ask.setup_id)]
            case "arm":
                return effects + self._begin_arming(now)
            case "start":
                return effects + (self._begin_starting(now) if self.books is not None else self._begin_arming(now))
            case "pause" | "resume":
                self._held_for.clear()
                self._set_aim(State.PAUSING if ask.command == "pause" else State.RESUMING, now)
                return effects
            case "stop":
                return effects + self._begin_stopping(f"stopped by {operator}", now)
            case "abort":
                return effects + self._begin_aborting(f"aborted by {operator}", now)
            case "reset":
                return effects + self._begin_resetting(f"reset by {operator}", now)
            case _:
                return effects + self._shut_down(now)

    def _begin_arming(self, now: float) -> list[Effect]:
        self._set_aim(State.ARMING, now)
        known = [r.run for r in self._reports() if r.run is not None]
        known += [r.ended.run for r in self._reports() if r.ended is not None]
        return [AskRunNumber(self._next_ticket(), max([self.last_closed, *known]) + 1)]

    def _numbered(self, number: int, now: float) -> list[Effect]:
        if self.aim is not State.ARMING or self.books is not None or self.setup_id is None:
            return []
        operation = self._operation
        self.books = Books(number, self.setup_id, self.charge.holder or "", optional=self._optional)
        self.books.on_loss = self._on_loss
        self.books.comment = operation.ask.comment if operation else ""
        self._set_aim(State.ARMING, now)
        return [SaveRun(self.books.row(now)), Say("info", f"run {number}: arming")]

    def _begin_starting(self, now: float) -> list[Effect]:
        self._set_aim(State.STARTING, now)
        return []

    def _begin_stopping(self, reason: str, now: float) -> list[Effect]:
        """Stop the run; one that has not started is aborted."""
        if self.books is None or self.aim in (State.ARMING, State.READY, State.STARTING):
            return self._begin_aborting(reason, now)
        if self.aim in (State.STOPPING, State.ABORTING):
            return []
        self.books.is_stopping = True
        self.books.end_reason = self.books.end_reason or short(reason)
        self._held_for.clear()
        self._set_aim(State.STOPPING, now)
        return [SaveRun(self.books.row(now)), Say("info", f"run {self.books.run}: stopping: {reason}")]

    def _begin_aborting(self, reason: str, now: float) -> list[Effect]:
        self._next_ticket()
        self._learn_until = None
        if self.books is None and self._open.open_run is not None and self._open.open_run.run > self.last_closed:
            self.books = Books.reopen(self._open.open_run)
            self.setup_id = self.books.setup_id
        if self.books is None:  # nothing has a run number yet
            self._set_aim(State.CONFIGURED if self.plan is not None else State.RESETTING, now)
            return self._finish(True, reason) if self.aim is State.CONFIGURED else []
        self.books.is_stopping = True
        self.books.end_reason = self.books.end_reason or short(reason)
        self.books.judge(Verdict.ABORTED, reason)
        self._held_for.clear()
        self._set_aim(State.ABORTING, now)
        return [SaveRun(self.books.row(now)), Say("warning", f"run {self.books.run}: aborting: {reason}")]

    def _begin_resetting(self, reason: str, now: float) -> list[Effect]:
        effects = self._begin_aborting(reason, now) if self.books is not None or self._learn_until is not None else []
        self._next_ticket()
        self._set_aim(State.RESETTING, now)
        return effects

    def _shut_down(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for name, node in self._nodes.items():
            if not self._is_lost(name):
                effects += self._send(name, node, Want(Verb.SHUTDOWN), now)
        self._leave_by, self._is_dirty = now + self.limits.act_s, True
        return effects

    def _go_on_leaving(self, now: float) -> list[Effect]:
        """Tell the nodes again, until all have answered or it takes too long; then leave."""
        assert self._leave_by is not None
        effects: list[Effect] = []
        waiting = []
        for name, node in sorted(self._nodes.items()):
            pending = node.pending
            if pending is None or pending.want.verb is not Verb.SHUTDOWN or self._is_lost(name):
                continue
            waiting.append(name)
            if now - pending.sent >= self.limits.retry_s:
                pending.sent = now
                effects.append(Send(name, pending.do))
        if waiting and now < self._leave_by:
            return effects
        text = "the nodes have left; the broker leaves"
        if waiting:
            text = f"the broker leaves; {', '.join(waiting)} did not answer"
        return [*effects, *self._finish(not waiting, text), Leave()]

    def _give_up(self, text: str, now: float) -> list[Effect]:
        """configure, arm or start has failed on a node: undo it on all."""
        self._problem = short(text)
        if self.aim is State.CONFIGURING:
            self._next_ticket()
            effects = self._finish(False, text)
            self._set_aim(State.RESETTING, now)
            return effects
        what = "arm" if self.aim is State.ARMING else "start"
        if self.books is None:
            self._next_ticket()
            self._set_aim(State.CONFIGURED, now)
            return self._finish(False, text)
        return self._begin_aborting(f"{what} failed: {text}", now)

    # -- answers of the shell ---------------------------------------------------------------------------------

    def _setup_loaded(self, plan: ClusterPlan, now: float) -> list[Effect]:
        self._is_dirty = True
        self.plan, self.setup_id, self._to_load = plan, self._to_load, None
        if self._learn_until is not None or self.aim is not State.CONFIGURING:
            return []
        self._set_aim(State.CONFIGURING, now)
        missing = self._unfit()
        unknown = sorted(self._optional - set(plan.nodes))
        if unknown:
            missing = f"{unknown[0]} is to be optional, but the setup has no such host"
        return self._give_up(missing, now) if missing else []

    def _impossible(self, text: str, now: float) -> list[Effect]:
        self._is_dirty = True
        if self._learn_until is not None:
            self._to_load = None
            return [Say("error", text), *self._take_over(None, now)]
        return [Say("error", text), *self._give_up(text, now)]

    # -- going on ---------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> list[Effect]:
        """Bring aim and nodes together until nothing changes any more."""
        self._look_at, self._looked = now + LOOK_S, now
        if self._leave_by is not None:
            return self._go_on_leaving(now)
        effects: list[Effect] = []
        for _ in range(8):  # every pass moves the aim on by one; a run has fewer than eight steps
            self._is_dirty = False
            if self._learn_until is not None:
                effects += self._learn(now)
            elif self._delayed:
                effects += self._consider(self._delayed.popleft(), now)
                self._is_dirty = True
            else:
                effects += self._advance(now)
            if not self._is_dirty:
                break
        if self._learn_until is None:
            effects += self._steer(now)
        return effects

    def _steer(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        course, cuts, participants = self._course(), self._cuts(now), self._participants()
        for name, node in self._nodes.items():
            report = node.report
            if report is None or self._is_lost(name) or report.epoch != self.members.epoch(name):
                continue
            is_excluded = self.books is not None and name in self.books.excluded
            if report.run is not None and (report.run != course.run or is_excluded):
                wish = self._want_left_over(name, node, report, report.run, now)
            else:
                node.left_over_since = None
                wish = want(course, report, in_setup=name in participants, cut=cuts.get(name, ()))
            pending = node.pending
            if wish is None:
                is_going_on = report.state.is_transitional  # its answer is still to come
                if pending is not None and pending.want.verb is not Verb.STOP and not is_going_on:
                    node.pending = None
            elif pending is not None and pending.want == wish:
                if now - pending.sent >= self.limits.retry_s:
                    pending.sent = now
                    effects.append(Send(name, pending.do))
            elif node.refused is None or node.refused[0] != wish or now - node.refused[1] >= self.limits.retry_s:
                effects += self._send(name, node, wish, now)
        return effects

    def _send(self, name: str, node: Node, wish: Want, now: float) -> list[Effect]:
        self._request += 1
        request = RequestId(self.epoch, self._request)
        do = Do(request, self.members.epoch(name), wish.verb, wish.run, wish.setup_id, wish.link)
        node.pending, node.refused = Pending(wish, do, now), None
        return [Send(name, do)]

    def _advance(self, now: float) -> list[Effect]:
        """See whether the aim has been reached, cannot be reached, or must change."""
        match self.aim:
            case State.CONFIGURING if self._to_load is None and self.plan is not None:
                return self._advance_to(State.CONFIGURED, self.limits.configure_s, "configured", now)
            case State.CONFIGURING if now - self._since >= self.limits.configure_s:
                return self._give_up("the setup could not be loaded in time", now)
            case State.ARMING:
                return self._advance_to(State.READY, self.limits.arm_s, "is ready", now)
            case State.READY:
                bad = self._trouble()
                return self._give_up(bad, now) if bad else []
            case State.STARTING:
                return self._advance_to(State.RUNNING, self.limits.act_s, "is running", now)
            case State.PAUSING | State.RESUMING:
                return self._watch_run(now) or self._advance_gate(now)
            case State.RUNNING | State.PAUSED:
                return self._watch_run(now)
            case State.STOPPING | State.ABORTING:
                return self._advance_end(now)
            case State.RESETTING:
                return self._advance_reset(now)
            case _:
                return []

    def _advance_to(self, goal: State, limit_s: float, words: str, now: float) -> list[Effect]:
        """One step of configure, arm or start: all there, or one failed, or too late."""
        if goal is not State.CONFIGURED and self.books is None:
            late = now - self._since >= self.limits.act_s
            return self._give_up("no run number was allotted in time", now) if late else []
        waiting = self._not_there()
        if not waiting:
            return self._arrive(goal, words, now)
        trouble = self._trouble()
        if not trouble and now - self._since >= limit_s:
            trouble = f"{', '.join(waiting)} did not get there within {limit_s:g} s"
        return self._give_up(trouble, now) if trouble else []

    def _arrive(self, goal: State, words: str, now: float) -> list[Effect]:
        self._set_aim(goal, now)
        if goal is State.CONFIGURED:
            return self._finish(True, f"the setup is {words}")
        assert self.books is not None
        self.books.is_started = goal is State.RUNNING
        effects: list[Effect] = [Say("info", f"run {self.books.run} {words}"), SaveRun(self.books.row(now))]
        if goal is State.READY and self._operation is not None and self._operation.ask.command == "start":
            return effects + self._begin_starting(now)
        return effects + self._finish(True, f"run {self.books.run} {words}")

    def _advance_gate(self, now: float) -> list[Effect]:
        goal = State.PAUSED if self.aim is State.PAUSING else State.RUNNING
        waiting = self._not_there()
        is_late = now - self._since >= self.limits.act_s
        if waiting and not is_late:
            return []
        text = f"the sources are {'held' if goal is State.PAUSED else 'running'}"
        if waiting:
            text = f"{', '.join(waiting)} did not answer within {self.limits.act_s:g} s and will be told when possible"
        self._set_aim(goal, now)
        return self._finish(not waiting, text)

    def _watch_run(self, now: float) -> list[Effect]:
        """End a run whose condition is fulfilled, and react to nodes that fail or are lost."""
        books, plan = self.books, self.plan
        assert books is not None
        effects: list[Effect] = []
        for name in sorted(self._participants() - books.excluded):
            node = self._nodes.get(name)
            report = node.report if node else None
            if node is None or report is None or self._is_lost(name):
                effects += self._lost_in_run(name, node.away_since if node else None, now)
            elif has_failed(report, books.run):
                ended = report.ended.reasons if report.ended and report.ended.run == books.run else ()
                text = f"{name}: {report.failure or '; '.join(ended) or 'left the run'}"
                if name not in books.optional:
                    books.judge(Verdict.INTERRUPTED, text)
                    return effects + self._begin_stopping(text, now)
                effects += self._exclude(name, text)
            if self.aim is State.STOPPING:
                return effects
        if self._held_for and not any(self._is_lost(name) for name in self._held_for):
            effects.append(Say("info", f"{', '.join(sorted(self._held_for))} is back: resuming"))
            self._held_for.clear()
            self._set_aim(State.RESUMING, now)
        return effects + self._end_if_due(books, plan, now)

    def _end_if_due(self, books: Books, plan: ClusterPlan | None, now: float) -> list[Effect]:
        if plan is None:
            return self._begin_stopping("the broker does not have the setup of this run any more", now)
        if plan.duration_s is not None and books.running_s(now) >= plan.duration_s:
            return self._begin_stopping(f"{plan.duration_s:g} s are over", now)
        if plan.events_limit and books.events >= plan.events_limit:
            return self._begin_stopping(f"{plan.events_limit} events are taken", now)
        sources = [self._nodes.get(name) for name in plan.source_nodes - books.excluded]
        if all(n is not None and n.report is not None and has_run_dry(n.report, books.run) for n in sources):
            return self._begin_stopping("the sources have no more events", now)
        return []

    def _lost_in_run(self, name: str, since: float | None, now: float) -> list[Effect]:
        books = self.books
        assert books is not None
        if name in books.optional:
            books.judge(Verdict.DEGRADED, f"{name} was lost during the run")
            is_gone = since is None or now - since >= self.limits.away_s
            return self._exclude(name, f"{name} is lost") if is_gone else []
        if books.on_loss is OnLoss.STOP:
            books.judge(Verdict.INTERRUPTED, f"{name} was lost during the run")
            return self._begin_stopping(f"{name} is lost", now)
        if name in self._held_for or self.aim in (State.PAUSING, State.PAUSED):
            return []
        self._held_for.add(name)
        effects = self._finish(False, f"{name} is lost")
        self._problem = f"held because {name} is lost; goes on when it is back"
        self._set_aim(State.PAUSING, now)
        return [*effects, Say("error", f"{name} is lost: the sources are held until it is back")]

    def _exclude(self, name: str, text: str) -> list[Effect]:
        assert self.books is not None
        self.books.excluded.add(name)
        self.books.judge(Verdict.DEGRADED, f"went on without {text}")
        self._is_dirty = True
        return [Say("error", f"the run goes on without {name}, which is optional: {text}")]

    # -- ending -----------------------------------------------------------------------------------------------

    def _advance_end(self, now: float) -> list[Effect]:
        books = self.books
        assert books is not None
        waiting = self._not_there(without_lost_s=self.limits.away_s if self.aim is State.STOPPING else 0.0, now=now)
        if not waiting:
            return self._close_books(now)
        late = now - self._since
        if self.aim is State.STOPPING and late >= self.limits.stop_s:
            text = f"{', '.join(waiting)} did not stop within {self.limits.stop_s:g} s"
            books.judge(Verdict.INCOMPLETE, f"forced: {text}")
            self._set_aim(State.ABORTING, now)
            return [Say("error", f"{text}: aborting"), SaveRun(books.row(now))]
        if self.aim is State.ABORTING and late >= self.limits.abort_s:
            text = f"{', '.join(waiting)} did not leave the run within {self.limits.abort_s:g} s"
            books.judge(Verdict.INCOMPLETE, text)
            self._problem = text
            return [Say("error", text), *self._close_books(now)]
        return []

    def _close_books(self, now: float) -> list[Effect]:
        books = self.books
        assert books is not None
        participants = self._participants()
        books.clock(False, now)
        books.settle(participants, self.plan.links if self.plan else ())
        self._accounts_missing.update((name, books.run) for name in participants if name not in books.accounts)
        self.last_closed = max(self.last_closed, books.run)
        reasons = f" ({'; '.join(books.reasons[:5])})" if books.reasons else ""
        level = "info" if books.verdict is Verdict.GOOD else "warning"
        text = f"run {books.run} ended: {books.verdict.value}{reasons}"
        row = books.row(now, is_over=True)
        self.books = None
        for node in self._nodes.values():
            node.out_since = None
        if self.aim is not State.RESETTING:
            self._set_aim(State.CONFIGURED if self.plan is not None else State.IDLE, now)
        command = self._operation.ask.command if self._operation else "stop"
        effects: list[Effect] = [SaveRun(row), Say(level, text)]
        if self.aim is State.RESETTING:
            return effects
        return effects + self._finish(command in ("stop", "abort"), self._problem or text, row.run)

    def _advance_reset(self, now: float) -> list[Effect]:
        is_late = now - self._since >= self.limits.abort_s
        waiting = [
            name
            for name, node in sorted(self._nodes.items())
            if node.report is not None and not self._is_lost(name) and node.report.state is not State.IDLE
        ]
        if waiting and not is_late:
            return []
        effects = self._close_books(now) if self.books is not None else []
        self.plan, self.setup_id, self._to_load = None, None, None
        self._set_aim(State.IDLE, now)
        text = f"{', '.join(waiting)} did not answer the reset" if waiting else "everything is reset"
        return effects + self._finish(not waiting, self._problem or text)

    # -- a new broker -----------------------------------------------------------------------------------------

    def _learn(self, now: float) -> list[Effect]:
        """Listen; then take over what there is."""
        assert self._learn_until is not None
        if now < self._learn_until:
            return []
        row = self._open.open_run
        reports = self._reports()
        runs = [r.run for r in reports if r.run is not None and r.run > self.last_closed]
        run = max(runs, default=row.run if row is not None and row.run > self.last_closed else None)
        row = row if row is not None and row.run == run else None
        setups = [r.setup_id for r in reports if r.setup_id is not None and (run is None or r.run == run)]
        setup_id = setups[0] if setups else row.setup_id if row else None
        if setup_id is None:
            return self._take_over(run, now)
        if self.plan is None or self.setup_id != setup_id:
            if self._to_load != setup_id:
                self._to_load = setup_id
                return [LoadSetup(self._next_ticket(), setup_id)]
            return []
        if run is not None:
            missing = [name for name in self.plan.nodes if self._is_lost(name)]
            patience = self._learn_until + self.limits.away_s
            if missing and (now < patience or len(missing) == len(self.plan.nodes)):
                return []
        return self._take_over(run, now)

    def _take_over(self, run: int | None, now: float) -> list[Effect]:
        self._learn_until, self._is_dirty = None, True
        if run is None:
            self._set_aim(State.CONFIGURING if self.plan is not None else State.IDLE, now)
            return [Say("info", "the broker has started; there is no run")]
        row = self._open.open_run
        self.books = Books.reopen(row) if row is not None and row.run == run else Books(run, self.setup_id or "")
        self._optional, self._on_loss = self.books.optional, self.books.on_loss
        reports = [r for r in self._reports() if r.node in self._participants()]
        for report in reports:
            if report.run == run:
                self.books.learn_running(report.running_s)
            self._take_account(report.node, report, now)
        aim = aim_from(reports, run, self.plan.source_nodes if self.plan else frozenset(), self.books.is_stopping)
        self.books.is_started = self.books.is_started or aim not in (State.READY, State.ABORTING)
        self._set_aim(aim, now)
        if aim is State.ABORTING:
            self.books.judge(Verdict.ABORTED, "the broker was started again while the run was being started")
        text = f"the broker has started and goes on with run {run} ({aim.value})"
        return [Say("warning", text), SaveRun(self.books.row(now))]

    # -- helpers ----------------------------------------------------------------------------------------------

    def _set_aim(self, aim: State, now: float) -> None:
        self.aim, self._since, self._is_dirty = aim, now, True
        if self.books is not None:
            self.books.clock(aim in (State.RUNNING, State.PAUSING), now)

    def _next_ticket(self) -> int:
        self._ticket += 1
        return self._ticket

    def _finish(self, ok: bool, text: str, run: int | None = None) -> list[Effect]:
        """Answer the client whose command was going on, if there is one."""
        operation, self._operation = self._operation, None
        if operation is None:
            return []
        if run is None and self.books is not None:
            run = self.books.run
        return self._reply(operation, ok, text, run)

    def _reply(self, operation: _Operation, ok: bool, text: str, run: int | None = None) -> list[Effect]:
        answer = Answer(operation.ask.number, ok, short(text), run)
        number, _ = self._answers.get(operation.client, (0, None))
        if number == operation.ask.number:
            self._answers[operation.client] = (number, answer)
        return [Reply(operation.client, answer)]

    # -- what is shown ----------------------------------------------------------------------------------------

    def cluster(self, now: float) -> Cluster:
        """The snapshot for the clients."""
        self._number += 1
        books, participants = self.books, self._participants()
        names = sorted(set(self._nodes) | participants)
        waiting = self._not_there() if self.aim.is_transitional else []
        return Cluster(
            epoch=self.epoch,
            number=self._number,
            state=self.state(),
            aim=self.aim,
            for_s=now - self._since,
            run=books.run if books else None,
            running_s=books.running_s(now) if books else 0.0,
            events=books.events if books else 0,
            in_charge=self.charge.holder or "",
            text=short(self._problem or (f"waiting for {', '.join(waiting)}" if waiting else "")),
            setup_id=self.setup_id,
            reasons=tuple(books.reasons[:100]) if books else (),
            nodes=tuple(self._line(name, name in participants, now) for name in names),
        )

    def _publish(self, now: float) -> list[Effect]:
        run = self.books.run if self.books else None
        shown = (self.aim, run, self.charge.holder, self._problem, self._operation is None)
        if shown == self._shown and now < self._publish_at:
            return []
        self._shown, self._publish_at = shown, now + PUBLISH_S
        return [Publish(self.cluster(now))]


def _differs(old: Report | None, new: Report) -> bool:
    """Whether a report says something that decisions depend on."""
    if old is None:
        return True
    return (old.epoch, old.state, old.run, old.setup_id, old.ending, old.ended, old.cut) != (
        new.epoch,
        new.state,
        new.run,
        new.setup_id,
        new.ending,
        new.ended,
        new.cut,
    ) or old.events != new.events
