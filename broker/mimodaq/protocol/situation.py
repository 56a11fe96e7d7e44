"""What the broker knows: its plan, its nodes and what they report, and what that amounts to. Decides nothing.

The base of `mimodaq.protocol.run_control`, which decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mimodaq.protocol.books import Books
from mimodaq.protocol.membership import Membership, Presence
from mimodaq.protocol.messages import Do, NodeLine, Report
from mimodaq.protocol.parts import Ending
from mimodaq.protocol.plan import ClusterPlan
from mimodaq.protocol.states import State, combine
from mimodaq.protocol.steering import Course, Want, is_out, is_there


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which waiting ends."""

    configure_s: float = 60.0
    arm_s: float = 90.0
    act_s: float = 5.0
    """start, pause, resume."""
    stop_s: float = 600.0
    """Draining and closing; then everything is aborted."""
    abort_s: float = 20.0
    """... and then the books are closed without those that have not left."""
    away_s: float = 10.0
    """A lost node is waited for so long before links to it are given up, or a run is closed without it."""
    settle_s: float = 3.0
    """A link whose other end has left the run is given this time to end by itself."""
    learn_s: float = 3.0
    """A broker that has started listens so long before it decides anything."""
    retry_s: float = 1.0


@dataclass(slots=True)
class Pending:
    """A command that a node has been told and has not answered."""

    want: Want
    do: Do
    sent: float


@dataclass(slots=True)
class Node:
    """One node, as the broker knows it."""

    report: Report | None = None
    pending: Pending | None = None
    refused: tuple[Want, float] | None = None
    """What it answered no to, and when."""
    away_since: float | None = None
    """Since when it is lost."""
    out_since: float | None = None
    """Since when it is not in the present run."""
    left_over_since: float | None = None
    """Since when it is known to be in a run that is closed."""


@dataclass(slots=True)
class Situation:
    """The picture a broker has of its cluster."""

    epoch: int
    """Larger than of any broker before, see `membership.next_epoch`."""
    limits: Limits = field(default_factory=Limits)
    aim: State = State.IDLE
    plan: ClusterPlan | None = None
    setup_id: str | None = None
    books: Books | None = None
    members: Membership = field(default_factory=Membership)
    last_closed: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    """All that have ever been heard."""
    optional: frozenset[str] = frozenset()
    """Nodes that a run can go on without."""
    since: float = 0.0
    """When the aim became what it is."""
    learn_until: float | None = None
    """Set while the broker only listens."""
    is_dirty: bool = True
    """Something has changed that decisions depend on."""

    def is_lost(self, name: str) -> bool:
        """Whether a node has been silent for too long."""
        return self.members.presence(name) is Presence.LOST

    def reports(self) -> list[Report]:
        """What the nodes that are there have said."""
        return [n.report for name, n in self.nodes.items() if n.report is not None and not self.is_lost(name)]

    def participants(self) -> frozenset[str]:
        """The nodes of the setup, or those that are in the run if the setup is not known."""
        if self.plan is not None:
            return frozenset(self.plan.nodes)
        if self.books is None:
            return frozenset()
        run = self.books.run
        return frozenset(n for n, node in self.nodes.items() if node.report and node.report.run == run) | frozenset(
            self.books.accounts
        )

    def course(self) -> Course:
        """Where all nodes are to go."""
        sources = self.plan.source_nodes if self.plan else frozenset()
        run = self.books.run if self.books else None
        course = Course(self.aim, self.setup_id, run, sources)
        others = self.participants() - sources
        may = all(self._is_node_there(course, name) for name in others)
        return Course(self.aim, self.setup_id, run, sources, may or self.aim is not State.STARTING)

    def _is_node_there(self, course: Course, name: str) -> bool:
        node = self.nodes.get(name)
        return node is not None and node.report is not None and is_there(course, node.report)

    def not_there(self, without_lost_s: float | None = None, now: float = 0.0) -> list[str]:
        """Nodes of the setup that have not reached the aim; lost ones only so long, if a time is given."""
        course = self.course()
        excluded = self.books.excluded if self.books else set()
        waiting = []
        for name in sorted(self.participants()):
            if name in excluded and self.aim not in (State.STOPPING, State.ABORTING):
                continue
            if without_lost_s is not None and self.is_lost(name):
                node = self.nodes.get(name)
                since = max(node.away_since or 0.0, self.since) if node else self.since
                if now - since >= without_lost_s:
                    continue
                waiting.append(name)
            elif not self._is_node_there(course, name):
                waiting.append(name)
        return waiting

    def trouble(self) -> str:
        """Why configure, arm, start or the ready state cannot go on."""
        run = self.books.run if self.books else None
        for name in sorted(self.participants()):
            node = self.nodes.get(name)
            report = node.report if node else None
            if report is None or self.is_lost(name):
                return f"{name} is not heard"
            ended = report.ended if report.ended is not None and report.ended.run == run else None
            if report.state is State.ERROR:
                return f"{name} is in error: {report.failure}"
            if run is None:
                continue
            has_left = ended is not None and is_out(report, run) and ended.ending is not Ending.EXHAUSTED
            has_lost = self.aim is not State.ARMING and is_out(report, run) and ended is None
            is_leaving = report.run == run and report.ending not in (Ending.NONE, Ending.EXHAUSTED)
            if has_left or has_lost or is_leaving:
                return f"{name}: {report.failure or 'left the run'}"
        return ""

    def unfit(self) -> str:
        """Which nodes of the setup are not fit for a run, and what to do."""
        for name in sorted(self.participants()):
            report = self.nodes[name].report if name in self.nodes else None
            if report is None or self.is_lost(name):
                return f"{name} is not heard; see to its node daemon and its network"
            if report.state is State.ERROR:
                return f"{name} is in error: {report.failure}; reset first"
        return ""

    def cuts(self, now: float) -> dict[str, list[str]]:
        """For each node the links to give up: their other end is gone or has left the run."""
        cuts: dict[str, list[str]] = {}
        if self.plan is None or self.books is None or not self.books.is_started:
            return cuts
        for link in self.plan.links:
            for here, there in ((link.sender, link.receiver), (link.receiver, link.sender)):
                if self._is_cut_off(there, now):
                    cuts.setdefault(here, []).append(link.name)
        return cuts

    def _is_cut_off(self, name: str, now: float) -> bool:
        """Whether the links to a node will not come to an end by themselves."""
        assert self.books is not None
        node = self.nodes.get(name)
        if name in self.books.excluded:
            return True
        if node is None or node.report is None or self.is_lost(name):
            is_over = self.aim in (State.STOPPING, State.ABORTING)
            away_since = node.away_since if node and node.away_since is not None else self.since
            return is_over and now - max(away_since, self.since) >= self.limits.away_s
        return node.out_since is not None and now - node.out_since >= self.limits.settle_s

    def note_account(self, name: str, report: Report, now: float) -> None:
        """Enter in the books what a report says of the present run."""
        if self.books is None:
            return
        node, ended, run = self.nodes[name], report.ended, self.books.run
        if not is_out(report, run):
            node.out_since = None
        elif node.out_since is None:
            node.out_since = now
        if ended is not None and ended.run == run and is_out(report, run):
            self.books.accounts[name] = ended
        if self.plan is not None and name == self.plan.counted_node:
            counted = report.events if report.run == run else self.books.committed(name, self.plan.counted_ring)
            self.books.events = max(self.books.events, counted)

    def state(self) -> State:
        """The state of the cluster: error and offline by one node, else what is being done, else what all are in."""
        states = [self._node_state(name) for name in self.participants()]
        loud = combine(states) if states else State.IDLE
        if loud in (State.ERROR, State.OFFLINE):
            return loud
        if self.learn_until is not None:
            return State.OFFLINE
        if self.aim.is_transitional or not self.not_there():
            return self.aim
        towards = {
            State.CONFIGURED: State.CONFIGURING,
            State.READY: State.ARMING,
            State.RUNNING: State.RESUMING,
            State.PAUSED: State.PAUSING,
        }
        return towards.get(self.aim, State.RESETTING)

    def _node_state(self, name: str) -> State:
        node = self.nodes.get(name)
        is_excluded = self.books is not None and name in self.books.excluded
        if node is None or node.report is None or self.is_lost(name):
            return self.aim if is_excluded else State.OFFLINE
        return node.report.state

    def line(self, name: str, in_setup: bool, now: float) -> NodeLine:
        """What clients are shown of a node."""
        node = self.nodes.get(name)
        report = node.report if node else None
        buffers = report.buffers if report else ()
        presence = self.members.presence(name)
        return NodeLine(
            node=name,
            state=report.state if report and presence is not Presence.LOST else State.OFFLINE,
            presence=presence.value,
            silent_s=min(self.members.silent_s(name, now), 1e9),
            is_in_setup=in_setup,
            is_optional=name in self.optional,
            rate_hz=sum(b.rate_hz for b in buffers),
            fill=max((b.fill for b in buffers), default=0.0),
            dead_fraction=max((b.dead_fraction for b in buffers), default=0.0),
            text=report.failure if report else "",
        )
