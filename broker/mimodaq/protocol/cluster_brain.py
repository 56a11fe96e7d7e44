"""Decide what the cluster does: carry out the operator's commands on all nodes, end runs, judge them.

Pure code: the shell feeds messages and answers with the monotonic time they came at, and carries out the effects.

Theory of operation
-------------------
* The broker has an *aim*, a state; the nodes have what they report. `run_control` decides on the aim, `steering.want`
  compares the two for each node and says what to tell it, `dispatch` tells it. All nodes are told at once; a node that
  hangs holds up nobody and is named at the deadline.
* An aim that is steady is kept: a node that was away when the sources were held is told so when it is back.
* The nodes are the truth. A broker that starts knows only which runs are closed; it listens, and takes over the run
  that nodes are in. A node in a run that is closed is told to leave it.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from mimodaq.protocol.books import Books
from mimodaq.protocol.cluster_events import (
    Asked,
    Boot,
    Effect,
    Event,
    Heard,
    Impossible,
    Leave,
    Publish,
    RunNumber,
    Say,
    SetupLoaded,
    Wake,
)
from mimodaq.protocol.dispatch import Dispatch, note_answer
from mimodaq.protocol.membership import Joined, Late, Lost, Membership
from mimodaq.protocol.messages import Beat, Cluster, Done, Report
from mimodaq.protocol.parts import short
from mimodaq.protocol.run_control import RunControl
from mimodaq.protocol.situation import Limits, Node
from mimodaq.protocol.states import State

LOOK_S: Final = 0.25
"""How often everything is compared even if nothing was heard."""
GATHER_S: Final = 0.005
"""Reports that come within this time are looked at together: many nodes change at once."""
PUBLISH_S: Final = 1.0
_STEPS: Final = 8
"""Every pass moves the aim on by one; a run has fewer steps than this."""


class ClusterBrain:
    """One life of a broker."""

    def __init__(self, epoch: int, limits: Limits | None = None, *, members: Membership | None = None) -> None:
        self.control = RunControl(epoch, limits or Limits(), members=members or Membership())
        """Where the cluster is to go, and what is known of it."""
        self._desk = self.control.desk
        self._dispatch = Dispatch()
        self._number = 0
        self._look_at = 0.0
        self._looked = float("-inf")
        self._publish_at = 0.0
        self._shown: tuple[object, ...] = ()
        self._leave_by: float | None = None
        """Set when the nodes have been told to leave: then the broker goes, too."""

    @property
    def epoch(self) -> int:
        """Larger than of any broker before, see `membership.next_epoch`."""
        return self.control.epoch

    @property
    def aim(self) -> State:
        """Where the cluster is to go."""
        return self.control.aim

    @property
    def setup_id(self) -> str | None:
        """The setup that the cluster is configured for."""
        return self.control.setup_id

    @property
    def books(self) -> Books | None:
        """The run that is going on."""
        return self.control.books

    @property
    def members(self) -> Membership:
        """Which nodes are there."""
        return self.control.members

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen beside the setup when it was configured, as plain values."""
        return {"optional": sorted(self.control.optional), "on_loss": self.control.on_loss.value}

    def state(self) -> State:
        """The state of the cluster: error and offline by one node, else what is being done, else what all are in."""
        return self.control.state()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        control = self.control
        match event:
            case Boot(last_closed, open_run):
                control.boot(last_closed, open_run, now)
                effects: list[Effect] = []
            case Heard(message):
                effects = self._heard(message, now)
            case Asked():
                effects = self._asked(event, now)
            case SetupLoaded(ticket, plan):
                effects = control.setup_loaded(plan, now) if ticket == control.ticket else []
            case RunNumber(ticket, number):
                effects = control.numbered(number, now) if ticket == control.ticket else []
            case Impossible(ticket, text):
                effects = control.impossible(text, now) if ticket == control.ticket else []
            case Wake():
                effects = []
            case _:
                assert_never(event)
        for change in control.members.tick(now):
            effects += self._presence_changed(change, now)
        if control.is_dirty:
            self._look_at = min(self._look_at, max(now, self._looked + GATHER_S))
        if now >= self._look_at:
            effects += self._go_on(now)
        return effects + self._publish(now)

    def deadline(self, now: float) -> float:
        """When `handle` is next needed at the latest."""
        member = self.members.deadline()
        return min(self._look_at, self._publish_at, member if member is not None else self._look_at)

    # -- nodes ------------------------------------------------------------------------------------------------

    def _heard(self, message: Beat | Report | Done, now: float) -> list[Effect]:
        control = self.control
        report = message.report if isinstance(message, Done) else message
        name = report.node
        node = control.nodes.setdefault(name, Node())
        is_known = node.report is not None and node.report.epoch == report.epoch and not control.is_lost(name)
        if isinstance(report, Beat) and not is_known:
            return []  # it counts as being there once it has said in what state it is
        is_news, changes = control.members.hear(name, report.epoch, report.number, now)
        effects: list[Effect] = []
        for change in changes:
            effects += self._presence_changed(change, now)
        if is_news and isinstance(report, Report):
            control.is_dirty = control.is_dirty or node.report is None or _decisive(node.report) != _decisive(report)
            node.report = report
            control.note_account(name, report, now)
            effects += control.late_account(name, report)
        if isinstance(message, Done):
            effects += self._done(name, node, message, now)
        return effects

    def _done(self, name: str, node: Node, done: Done, now: float) -> list[Effect]:
        wish = note_answer(node, done, now)
        if wish is None:
            return []
        self.control.is_dirty = True
        return [] if done.ok else self.control.refused(name, wish, done.text, now)

    def _presence_changed(self, change: Joined | Late | Lost, now: float) -> list[Effect]:
        node = self.control.nodes[change.node]
        self.control.is_dirty = True
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

    # -- clients ----------------------------------------------------------------------------------------------

    def _asked(self, asked: Asked, now: float) -> list[Effect]:
        known = self._desk.accept(asked)
        return self._consider(asked, now) if known is None else known

    def _consider(self, asked: Asked, now: float) -> list[Effect]:
        """Carry out or refuse a command; one that needs to know the nodes waits while a new broker is learning them."""
        ask, control, charge = asked.ask, self.control, self._desk.charge
        if ask.command == "mark":
            return self._mark(asked)
        if control.learn_until is not None and ask.command not in ("abort", "reset", "take", "surrender"):
            self._desk.delayed.append(asked)
            return []
        if ask.command == "take":
            words = charge.take(asked.operator, asked.may_command, ask.force, now)
        elif ask.command == "surrender":
            words = charge.surrender(asked.operator)
        else:
            words = charge.refusal(asked.operator, asked.may_command, ask.command, now)
            if words is None:
                words = control.refusal(ask)
            if words is None:
                effects = control.begin(asked, now)
                return effects + self._shut_down(now) if ask.command == "shutdown" else effects
        control.is_dirty = True
        return self._desk.reply(asked, words is None, words or f"{ask.command}: done")

    def _mark(self, asked: Asked) -> list[Effect]:
        """Write a remark into the log. It changes nothing, so who writes need not be in charge."""
        text, books, words = asked.ask.comment.strip(), self.control.books, None
        if not asked.may_command:
            words = f"mark: {asked.operator} is an observer and may watch, not write into the log"
        elif not text:
            words = "mark: there is no text"
        where = f"run {books.run}: " if books is not None else ""
        said = [] if words else [Say("info", short(f"{where}mark by {asked.operator}: {text}"))]
        return [*said, *self._desk.reply(asked, words is None, words or "mark: done")]

    def _shut_down(self, now: float) -> list[Effect]:
        self._leave_by = now + self.control.limits.act_s
        return self._dispatch.shut_down(self.control, now)

    # -- going on ---------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> list[Effect]:
        """Bring aim and nodes together until nothing changes any more."""
        self._look_at, self._looked = now + LOOK_S, now
        if self._leave_by is not None:
            return self._go_on_leaving(self._leave_by, now)
        control = self.control
        effects: list[Effect] = []
        for _ in range(_STEPS):
            control.is_dirty = False
            if control.learn_until is not None:
                effects += control.learn(now)
            elif self._desk.delayed:
                effects += self._consider(self._desk.delayed.popleft(), now)
                control.is_dirty = True
            else:
                effects += control.advance(now)
            if not control.is_dirty:
                break
        if control.learn_until is None:
            effects += self._dispatch.steer(control, now)
        return effects

    def _go_on_leaving(self, leave_by: float, now: float) -> list[Effect]:
        """Tell the nodes again, until all have answered or it takes too long; then leave."""
        effects, waiting = self._dispatch.shut_down_again(self.control, now)
        if waiting and now < leave_by:
            return effects
        text = "the nodes have left; the broker leaves"
        if waiting:
            text = f"the broker leaves; {', '.join(waiting)} did not answer"
        return [*effects, *self.control.finish(not waiting, text), Leave()]

    # -- what is shown ----------------------------------------------------------------------------------------

    def cluster(self, now: float) -> Cluster:
        """The snapshot for the clients."""
        self._number += 1
        control = self.control
        books, participants = control.books, control.participants()
        names = sorted(set(control.nodes) | participants)
        waiting = control.not_there() if control.aim.is_transitional else []
        return Cluster(
            epoch=control.epoch,
            number=self._number,
            state=control.state(),
            aim=control.aim,
            for_s=now - control.since,
            run=books.run if books else None,
            running_s=books.running_s(now) if books else 0.0,
            events=books.events if books else 0,
            in_charge=self._desk.charge.holder or "",
            text=short(control.problem or (f"waiting for {', '.join(waiting)}" if waiting else "")),
            setup_id=control.setup_id,
            reasons=tuple(books.reasons[:100]) if books else (),
            nodes=tuple(control.line(name, name in participants, now) for name in names),
        )

    def _publish(self, now: float) -> list[Effect]:
        control = self.control
        run = control.books.run if control.books else None
        shown = (control.aim, run, self._desk.charge.holder, control.problem, self._desk.command is None)
        if shown == self._shown and now < self._publish_at:
            return []
        self._shown, self._publish_at = shown, now + PUBLISH_S
        return [Publish(self.cluster(now))]


def _decisive(report: Report) -> tuple[object, ...]:
    """What decisions depend on of a report."""
    return (
        report.epoch,
        report.state,
        report.run,
        report.setup_id,
        report.ending,
        report.ended,
        report.cut,
        report.events,
    )
