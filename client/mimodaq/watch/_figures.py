"""Every figure of a snapshot that a rule can be about, and those that only show over time.

Pure code: the only clock is the time in the snapshots. What only shows over time: how long nothing has moved and how
much should have come meanwhile, the rate that is usual, how long the disk will last, what grew since the run began.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State

from ._expression import Value
from ._snapshot import Snapshot

USUAL_S: Final = 30.0
"""The usual rate is the mean over about this time, without the time in which nothing came."""
LEARN_S: Final = 300.0
"""The band of a rate is what it was in the first five minutes of a run."""
HELD_UP: Final = 0.9
"""A buffer that is so full holds up who writes it."""
_DISK_S: Final = 60.0
_BAND_SIGMAS: Final = 6.0

FIGURES: Final[Mapping[str, frozenset[str]]] = {
    "cluster": frozenset(
        {"state", "aim", "is_stale", "silent_s", "for_s", "run", "running_s", "events", "in_charge", "reasons"}
        | {"dead_fraction", "dead_buffer", "in_run"}
    ),
    "node": frozenset(
        {"state", "presence", "silent_s", "is_optional", "is_in_setup", "clock_offset_s", "clock_jitter_s"}
        | {"clock_jumps", "cpu", "memory", "temperature_c", "disk_free_bytes", "disk_left_s", "in_run"}
    ),
    "buffer": frozenset(
        {"committed", "rate_hz", "usual_hz", "low_hz", "high_hz", "bytes_per_s", "fill", "dead_fraction", "redelivered"}
        | {"quarantined", "new_quarantined", "lag", "idle_s", "missing", "is_running", "in_run", "blamed", "running_s"}
        | {"is_cause"}
    ),
    "link": frozenset(
        {"is_connected", "rate_hz", "usual_hz", "bytes_per_s", "lag", "unacknowledged", "reconnects", "redelivered"}
        | {"round_trip_s", "idle_s", "missing", "is_running", "in_run", "is_cause", "running_s"}
    ),
    "worker": frozenset({"state", "restarts", "new_restarts", "in_run"}),
}
"""What there is, by kind of thing."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """The thing a figure is of."""

    kind: str
    node: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.node} {self.name}" if self.name else self.node or "cluster"


@dataclass(slots=True)
class _Flow:
    """What has come through one buffer or link."""

    count: int = 0
    at: float = 0.0
    moved: float = 0.0
    """When something was seen to have moved."""
    usual_hz: float = 0.0
    seen: int = 0
    """Seconds the band has been learnt from."""
    mean: float = 0.0
    spread: float = 0.0
    """Sum of squared distances from the mean."""

    def note(self, has_moved: bool, rate_hz: float, now: float) -> None:
        if now <= self.at:
            return
        step, self.at = now - self.at, now
        if not has_moved:
            return
        self.moved = now
        weight = min(1.0, step / USUAL_S) if self.usual_hz else 1.0
        self.usual_hz += weight * (rate_hz - self.usual_hz)

    def learn(self, rate_hz: float) -> None:
        self.seen += 1
        distance = rate_hz - self.mean
        self.mean += distance / self.seen
        self.spread += distance * (rate_hz - self.mean)

    def band(self) -> tuple[float, float] | None:
        if self.seen < 60:
            return None
        width = _BAND_SIGMAS * math.sqrt(self.spread / self.seen + self.mean) + 0.2 * self.mean
        return max(0.0, self.mean - width), self.mean + width


@dataclass(slots=True)
class _Disk:
    free: int
    at: float
    slope: float | None = None
    """Bytes a second that are used up."""

    def note(self, free: int, now: float) -> None:
        step = now - self.at
        if step < 1.0:
            return
        used = (self.free - free) / step
        if self.slope is None:
            self.slope = used
        self.slope += min(1.0, step / _DISK_S) * (used - self.slope)
        self.free, self.at = free, now


@dataclass(slots=True)
class Figures:
    """Follows the snapshots of one cluster; forgets what is no longer reported."""

    upstream: Mapping[Subject, tuple[Subject, ...]] = field(default_factory=dict)
    """What each buffer and link gets its events from: if that stands still too, nothing is missing here."""
    sources: frozenset[Subject] = frozenset()
    """Buffers that sources write: their dead time is that of the experiment. Without any, the worst of all counts."""
    downstream: Mapping[Subject, tuple[Subject, ...]] = field(default_factory=dict)
    """Where the events of each buffer go: one that is held up by the next is no cause of trouble."""
    _flows: dict[Subject, _Flow] = field(default_factory=dict)
    _held_up: set[Subject] = field(default_factory=set)
    """What is full or cut off at present."""
    _disks: dict[str, _Disk] = field(default_factory=dict)
    _first: dict[Subject, int] = field(default_factory=dict)
    """Counts that only matter when they grow, as they were when first seen in this run."""
    _run: int | None = None
    _is_running: bool = False

    def of(self, snapshot: Snapshot) -> Iterator[tuple[Subject, Mapping[str, Value]]]:
        """All subjects with their figures. Of a stale snapshot only the cluster itself: nothing else is known."""
        cluster = snapshot.cluster
        yield Subject("cluster"), self._cluster(snapshot)
        if cluster is None or snapshot.is_stale:
            return
        self._held_up = self._find_held_up(snapshot)
        if cluster.run != self._run or (cluster.state is State.RUNNING) != self._is_running:
            self._begin(cluster)
        there = {Subject("cluster")}
        for line in cluster.nodes:
            report = snapshot.reports.get(line.node)
            yield Subject("node", line.node), self._node(line, report, snapshot)
            if report is None or line.presence == "lost":
                continue
            for subject, figures in self._parts(report, cluster, snapshot.reported[line.node]):
                there.add(subject)
                yield subject, figures
        for known in (self._flows, self._first):
            for gone in known.keys() - there:
                del known[gone]
        for node in self._disks.keys() - snapshot.reports.keys():
            del self._disks[node]

    def usual_hz(self, subject: Subject) -> float:
        """The rate that is usual for a buffer or link; 0 if not known."""
        flow = self._flows.get(subject)
        return flow.usual_hz if flow else 0.0

    def disk_left_s(self, node: str) -> float | None:
        """How long the disk of a node lasts at the rate of the last minute; None if it does not fill."""
        disk = self._disks.get(node)
        return disk.free / disk.slope if disk and disk.slope and disk.slope > 1000 else None

    def _cluster(self, snapshot: Snapshot) -> dict[str, Value]:
        cluster = snapshot.cluster
        dead, buffer = max(self._dead(snapshot), default=(0.0, Subject("buffer")))
        return {
            "is_stale": snapshot.is_stale,
            "silent_s": snapshot.age_s,
            "state": snapshot.state.value,
            "in_run": snapshot.state.is_in_run,
            "aim": cluster.aim.value if cluster else None,
            "for_s": cluster.for_s if cluster else None,
            "run": cluster.run or 0 if cluster else None,
            "running_s": cluster.running_s if cluster else None,
            "events": cluster.events if cluster else None,
            "in_charge": cluster.in_charge if cluster else None,
            "reasons": len(cluster.reasons) if cluster else None,
            "dead_fraction": dead,
            "dead_buffer": str(buffer),
        }

    def _dead(self, snapshot: Snapshot) -> Iterator[tuple[float, Subject]]:
        for node, report in snapshot.reports.items():
            for buffer in report.buffers:
                subject = Subject("buffer", node, buffer.name)
                if not self.sources or subject in self.sources:
                    yield buffer.dead_fraction, subject

    def _find_held_up(self, snapshot: Snapshot) -> set[Subject]:
        """Full buffers; links that are cut off, or lead to a full buffer."""
        held_up: set[Subject] = set()
        for node, report in snapshot.reports.items():
            held_up.update(Subject("buffer", node, b.name) for b in report.buffers if b.fill > HELD_UP)
        for node, report in snapshot.reports.items():
            for link in report.links:
                subject = Subject("link", node, link.name)
                if not link.connected or not held_up.isdisjoint(self.downstream.get(subject, ())):
                    held_up.add(subject)
        return held_up

    def _begin(self, cluster: Cluster) -> None:
        """Another run, or the sources were held or let go: what was usual says nothing about what comes."""
        if cluster.run != self._run:
            self._first.clear()
        self._flows.clear()
        self._run, self._is_running = cluster.run, cluster.state is State.RUNNING

    def _node(self, line: NodeLine, report: Report | None, snapshot: Snapshot) -> dict[str, Value]:
        clock = report.clock if report else None
        host = report.host if report else None
        if host and host.disk_free_bytes is not None:
            at = snapshot.reported[line.node]
            self._disks.setdefault(line.node, _Disk(host.disk_free_bytes, at)).note(host.disk_free_bytes, at)
        return {
            "state": line.state.value,
            "presence": line.presence,
            "silent_s": line.silent_s,
            "is_optional": line.is_optional,
            "is_in_setup": line.is_in_setup,
            "in_run": line.state.is_in_run,
            "clock_offset_s": clock.offset_s if clock else None,
            "clock_jitter_s": clock.jitter_s if clock else None,
            "clock_jumps": clock.jumps if clock else None,
            "cpu": host.cpu if host else None,
            "memory": host.memory if host else None,
            "temperature_c": host.temperature_c if host else None,
            "disk_free_bytes": host.disk_free_bytes if host else None,
            "disk_left_s": self.disk_left_s(line.node),
        }

    def _parts(self, report: Report, cluster: Cluster, at: float) -> Iterator[tuple[Subject, Mapping[str, Value]]]:
        is_running = cluster.state is State.RUNNING and report.state is State.RUNNING
        in_run = report.state.is_in_run
        for buffer in report.buffers:
            subject = Subject("buffer", report.node, buffer.name)
            flow = self._flow(subject, buffer.committed, buffer.rate_hz, at)
            if is_running and cluster.running_s < LEARN_S and flow.at == at and buffer.rate_hz > 0:
                flow.learn(buffer.rate_hz)
            yield subject, self._buffer(subject, buffer, flow, at, is_running, in_run, cluster.running_s)
        for link in report.links:
            subject = Subject("link", report.node, link.name)
            flow = self._flow(subject, None, link.rate_hz, at)
            yield subject, self._link(subject, link, flow, at, is_running, in_run, cluster.running_s)
        for worker in report.workers:
            subject = Subject("worker", report.node, worker.name)
            yield subject, self._worker(subject, worker, in_run)

    def _flow(self, subject: Subject, count: int | None, rate_hz: float, at: float) -> _Flow:
        """What is known of a flow after a look at it; without a count it has moved if its rate says so."""
        flow = self._flows.get(subject)
        if flow is None or (count is not None and count < flow.count):
            self._flows[subject] = flow = _Flow(count or 0, at, at)
        else:
            flow.note(rate_hz > 0 if count is None else count != flow.count, rate_hz, at)
            flow.count = count or 0
        return flow

    def _missing(self, subject: Subject, flow: _Flow, at: float) -> float:
        """How many events should have come since the last one, by the usual rate; none where they are held up."""
        full = (subject, *self.downstream.get(subject, ())) if subject.kind == "link" else (subject,)
        if any(place.kind == "buffer" and place in self._held_up for place in full):
            return 0.0
        before = [self._flows[other] for other in self.upstream.get(subject, ()) if other in self._flows]
        if before and all(other.moved < other.at for other in before):
            return 0.0
        return (at - flow.moved) * flow.usual_hz

    def _grown(self, subject: Subject, count: int) -> int:
        first = self._first.setdefault(subject, count)
        if count < first:
            self._first[subject] = first = count
        return count - first

    def _buffer(
        self, subject: Subject, b: BufferLine, flow: _Flow, at: float, is_running: bool, in_run: bool, running_s: float
    ) -> dict[str, Value]:
        band = flow.band()
        return {
            "committed": b.committed,
            "rate_hz": b.rate_hz,
            "usual_hz": flow.usual_hz,
            "low_hz": band[0] if band and running_s >= LEARN_S else None,
            "high_hz": band[1] if band and running_s >= LEARN_S else None,
            "bytes_per_s": b.bytes_per_s,
            "fill": b.fill,
            "dead_fraction": b.dead_fraction,
            "redelivered": b.redelivered,
            "quarantined": b.quarantined,
            "new_quarantined": self._grown(subject, b.quarantined),
            "lag": b.lag,
            "idle_s": at - flow.moved,
            "missing": self._missing(subject, flow, at) if is_running else 0.0,
            "is_running": is_running,
            "in_run": in_run,
            "blamed": ", ".join(b.blamed),
            "is_cause": self._held_up.isdisjoint(self.downstream.get(subject, ())),
            "running_s": running_s,
        }

    def _link(
        self, subject: Subject, link: LinkLine, flow: _Flow, at: float, is_running: bool, in_run: bool, running_s: float
    ) -> dict[str, Value]:
        return {
            "running_s": running_s,
            "is_connected": link.connected,
            "rate_hz": link.rate_hz,
            "usual_hz": flow.usual_hz,
            "bytes_per_s": link.bytes_per_s,
            "lag": link.lag,
            "unacknowledged": link.unacknowledged,
            "reconnects": link.reconnects,
            "redelivered": link.redelivered,
            "round_trip_s": link.round_trip_s,
            "idle_s": at - flow.moved,
            "missing": self._missing(subject, flow, at) if is_running else 0.0,
            "is_running": is_running,
            "in_run": in_run,
            "is_cause": not any(
                before.kind == "link" and before in self._held_up for before in self.upstream.get(subject, ())
            ),  # else its sender says it
        }

    def _worker(self, subject: Subject, worker: WorkerLine, in_run: bool) -> dict[str, Value]:
        return {
            "state": worker.state,
            "restarts": worker.restarts,
            "new_restarts": self._grown(subject, worker.restarts),
            "in_run": in_run,
        }
