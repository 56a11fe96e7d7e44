"""Snapshots by hand: a cluster of which every figure can be said, one second after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State
from mimodaq.watch import Act, Alarms, Assembler, Level


def node_line(node: str, **changes: object) -> NodeLine:
    line = NodeLine(
        node=node,
        state=State.RUNNING,
        presence="here",
        silent_s=0.1,
        is_in_setup=True,
        is_optional=False,
        rate_hz=100.0,
        fill=0.1,
        dead_fraction=0.0,
    )
    return replace(line, **changes)


def buffer_line(name: str, committed: int = 1000, rate_hz: float = 100.0, **changes: object) -> BufferLine:
    line = BufferLine(
        name=name, committed=committed, rate_hz=rate_hz, bytes_per_s=rate_hz * 8, fill=0.1, dead_fraction=0.0
    )
    return replace(line, **changes)


def link_line(name: str, **changes: object) -> LinkLine:
    line = LinkLine(
        name=name,
        connected=True,
        rate_hz=100.0,
        bytes_per_s=800.0,
        lag=0,
        unacknowledged=0,
        reconnects=0,
        redelivered=0,
        round_trip_s=0.001,
    )
    return replace(line, **changes)


@dataclass
class Story:
    """One node that is told what to report; every `tell` is one second."""

    alarms: Alarms = field(default_factory=Alarms)
    now: float = 1000.0
    number: int = 0
    events: int = 0
    run: int | None = 7
    state: State = State.RUNNING
    assembler: Assembler = field(default_factory=Assembler)
    acts: list[tuple[float, Act]] = field(default_factory=list)

    def tell(
        self,
        *buffers: BufferLine,
        links: tuple[LinkLine, ...] = (),
        workers: tuple[WorkerLine, ...] = (),
        clock: ClockLine | None = None,
        host: HostLine | None = None,
        node: NodeLine | None = None,
        seconds: float = 1.0,
        **cluster: object,
    ) -> list[Act]:
        self.now += seconds
        self.number += 1
        line = node or node_line("pi", state=self.state)
        report = Report(
            node="pi",
            epoch=1,
            number=self.number,
            state=self.state,
            run=self.run,
            buffers=buffers,
            links=links,
            workers=workers,
            clock=clock,
            host=host,
        )
        whole = Cluster(
            epoch=1,
            number=self.number,
            state=self.state,
            aim=self.state,
            for_s=5.0,
            run=self.run,
            running_s=self.now - 1000.0,
            events=self.events,
            in_charge="",
            text="",
            setup_id=None,
            reasons=(),
            nodes=(line,),
        )
        self.assembler.handle(report, self.now)
        self.assembler.handle(replace(whole, **cluster), self.now)
        return self.look()

    def silence(self, seconds: float) -> list[Act]:
        """Nobody says anything."""
        self.now += seconds
        return self.look()

    def look(self) -> list[Act]:
        acts = self.alarms.handle(self.assembler.snapshot(self.now, int(self.now * 1e9)))
        self.acts += [(self.now, act) for act in acts]
        return acts

    def raised(self) -> set[tuple[str, str]]:
        """Rule and subject of every alarm that holds."""
        return {(a.rule.name, str(a.subject)) for a in self.alarms.all() if a.is_active and a.level > Level.NOTE}
