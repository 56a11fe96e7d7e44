"""What the nodes and the broker of the simulated cluster report of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mimodaq.config import Setup
from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine, WorkerLine
from mimodaq.protocol.plan import ClusterPlan, NodePlan, make_plan
from mimodaq.protocol.states import State
from mimodaq.watch import Subject

from ._control import Control
from ._faults import Fault, What
from ._flow import Flow, Ring

BEGAN_S: Final = 100.0
"""The clock of the simulation when it begins."""
_EPOCH: Final = 1
_LATE_S, _LOST_S = 0.75, 2.5
_WRITER: Final = "daq1"
_FILE_BYTES: Final = 4000
"""On disk, for each event of the last buffer."""


@dataclass(slots=True)
class Reporter:
    """Looks at the flow of events, and tells."""

    setup: Setup
    flow: Flow
    control: Control
    now: float = BEGAN_S
    looked: float = BEGAN_S
    """When the rates began to be counted."""
    number: int = 0
    on: set[Fault] = field(default_factory=set)
    """Faults that are there."""
    restarts: dict[str, int] = field(default_factory=dict)
    written_bytes: int = 0
    _plan: ClusterPlan = field(init=False)

    def __post_init__(self) -> None:
        self._plan = make_plan(self.setup)

    def publish(self) -> list[Report | Cluster]:
        """Reports of all nodes that are heard, then the snapshot; rates count anew from here."""
        self.number += 1
        reports: list[Report | Cluster] = [self.report(node) for node in self._plan.nodes if not self.is_lost(node)]
        reports.append(self.cluster())
        merged = self.flow.rings.get(Subject("buffer", _WRITER, "merged"))
        self.written_bytes += int(merged.given * _FILE_BYTES) if merged else 0
        self.flow.looked()
        self.looked = self.now
        return reports

    def cluster(self) -> Cluster:
        """What the broker says of all."""
        control = self.control
        lines = tuple(self._line(node) for node in self._plan.nodes)
        lost = [line.node for line in lines if line.presence == "lost"]
        return Cluster(
            epoch=_EPOCH,
            number=self.number,
            state=control.state,
            aim=control.state,
            for_s=self.now - control.since,
            run=control.run,
            running_s=control.running_s,
            events=self.events,
            in_charge=control.charge.holder or "",
            text=f"waiting for {', '.join(lost)}" if lost else "",
            setup_id=control.setup_id,
            reasons=tuple(f"{worker} died {n}x" for worker, n in self.restarts.items()) if control.run else (),
            nodes=lines,
        )

    def _line(self, node: str) -> NodeLine:
        silent = self._silent_s(node)
        presence = "lost" if silent >= _LOST_S else "late" if silent >= _LATE_S else "here"
        state = State.OFFLINE if presence == "lost" else self.control.state
        rings = self._rings(node)
        return NodeLine(
            node=node,
            state=state,
            presence=presence,
            silent_s=silent or 0.1,
            is_in_setup=True,
            is_optional=node in self.control.optional,
            rate_hz=sum(ring.given for _, ring in rings) / self._since_look,
            fill=max((ring.lag / ring.slots for _, ring in rings), default=0.0),
            dead_fraction=max((ring.dead_fraction for _, ring in rings), default=0.0),
        )

    def report(self, node: str) -> Report:
        """What a node says of itself."""
        control = self.control
        in_run = control.state.is_in_run
        plan = self._plan.nodes[node]
        return Report(
            node=node,
            epoch=_EPOCH,
            number=self.number,
            state=control.state,
            setup_id=control.setup_id,
            run=control.run,
            running_s=control.running_s,
            buffers=tuple(self._buffer(subject) for subject, _ in self._rings(node)) if in_run else (),
            workers=tuple(self._workers(plan)) if in_run else (),
            links=tuple(self._link(node, e.name) for e in (*plan.outgoing, *plan.incoming)) if in_run else (),
            clock=ClockLine(self._clock_s(node), 0.0004, 0),
            host=self._host(node),
        )

    def _buffer(self, subject: Subject) -> BufferLine:
        ring = self.flow.rings[subject]
        rate = ring.given / self._since_look
        blamed = tuple(sorted(ring.blamed, key=lambda g: -ring.blamed[g])) if ring.dead_fraction > 0.001 else ()
        return BufferLine(
            name=subject.name,
            committed=int(ring.committed),
            rate_hz=rate,
            bytes_per_s=rate * ring.event_bytes,
            fill=min(1.0, ring.lag / ring.slots),
            dead_fraction=min(1.0, max(0.0, ring.dead_fraction)),
            blamed=blamed,
            lag=int(ring.lag),
        )

    def _workers(self, plan: NodePlan) -> list[WorkerLine]:
        return [WorkerLine(str(w.id), "working", self.restarts.get(str(w.id), 0)) for w in plan.workers()]

    def _link(self, node: str, name: str) -> LinkLine:
        link = next(e for e in self.flow.graph.edges if e.is_link and e.via == name)
        is_up = name not in self.flow.broken
        rate = self.flow.through.get(Subject("link", node, name), 0.0) / self._since_look
        ring = self.flow.rings[link.source]
        return LinkLine(
            name=name,
            connected=is_up,
            rate_hz=rate,
            bytes_per_s=rate * ring.event_bytes,
            lag=int(ring.lag) if node == link.source.node else 0,
            unacknowledged=0,
            reconnects=0 if is_up else 3,
            redelivered=0,
            round_trip_s=0.0006,
        )

    def _host(self, node: str) -> HostLine:
        hot = self._has(What.HOT, node)
        load = min(1.0, 0.05 + sum(ring.given for _, ring in self._rings(node)) / self._since_look / 8000)
        warm = 44 + 18 * load + (hot and 24)
        free = int(212e9 - self.written_bytes)
        disk = free if node == _WRITER else 48_000_000_000
        return HostLine(cpu=round(load, 2), memory=0.38, temperature_c=round(warm, 1), disk_free_bytes=disk)

    def _clock_s(self, node: str) -> float:
        return 0.09 if self._has(What.CLOCK, node) else {"pi-1": 0.0001, "pi-2": -0.0002}.get(node, 0.0)

    def _rings(self, node: str) -> list[tuple[Subject, Ring]]:
        return [(subject, ring) for subject, ring in self.flow.rings.items() if subject.node == node]

    @property
    def events(self) -> int:
        """Events of the counted buffer in this run."""
        plan = self._plan
        ring = self.flow.rings.get(Subject("buffer", plan.counted_node, self.setup.counted_buffer))
        return int(ring.committed) if ring else 0

    @property
    def _since_look(self) -> float:
        return max(self.now - self.looked, 0.05)

    def _has(self, what: What, target: str) -> bool:
        return any(fault.what is what and fault.target == target for fault in self.on)

    def is_lost(self, node: str) -> bool:
        """Whether nobody hears a node."""
        return self._has(What.LOST, node)

    def _silent_s(self, node: str) -> float:
        faults = [f for f in self.on if f.what is What.LOST and f.target == node]
        return self.now - BEGAN_S - faults[0].at_s if faults else 0.0

    def node_of(self, name: str) -> str:
        """Where a function, link or buffer is."""
        for edge in self.flow.graph.edges:
            if name in {edge.via, edge.source.name, edge.target.name}:
                return edge.source.node
        return "broker"
