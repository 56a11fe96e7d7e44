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
from ._flows import Band, Disk, Flow
from ._snapshot import Snapshot

HELD_UP: Final = 0.9
"""A buffer that is so full holds up who writes it."""
REPORT_S: Final = 1.0
"""A node reports so often."""
NAMED: Final = 20.0
"""So many events overdue are no chance: whoever does not let them through is named."""
LEARN_S: Final = 300.0
"""What is special about a rate is learnt in the first five minutes."""
_LEAST_VALUES: Final = 0.2
"""A band needs so many values for each second it was learnt in."""

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
        | {"is_cause", "untaken", "untaken_s", "readers"}
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
class Figures:
    """Follows the snapshots of one cluster; forgets what is no longer reported."""

    upstream: Mapping[Subject, tuple[Subject, ...]] = field(default_factory=dict)
    """What each buffer and link gets its events from: if that stands still too, nothing is missing here."""
    sources: frozenset[Subject] = frozenset()
    """Buffers that sources write: their dead time is that of the experiment. Without any, the worst of all counts."""
    downstream: Mapping[Subject, tuple[Subject, ...]] = field(default_factory=dict)
    """Where the events of each buffer go: one that is held up by the next is no cause of trouble."""
    readers: Mapping[Subject, tuple[str, ...]] = field(default_factory=dict)
    """Functions and links that take the events out of each buffer."""
    learn_s: float = LEARN_S
    """The band of a rate is what it was for so long, in running time, from when it was first seen in a run."""
    _flows: dict[Subject, Flow] = field(default_factory=dict)
    _taken: dict[Subject, Flow] = field(default_factory=dict)
    """Of each buffer: what the slowest of its readers has finished with."""
    _held_up: set[Subject] = field(default_factory=set)
    """What is full or cut off at present."""
    _bands: dict[Subject, Band] = field(default_factory=dict)
    """Of the buffers of this run."""
    _disks: dict[str, Disk] = field(default_factory=dict)
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
        reports = [
            (snapshot.reports[line.node], snapshot.reported[line.node])
            for line in cluster.nodes
            if line.node in snapshot.reports and line.presence != "lost"
        ]
        for report, at in reports:  # all, before any is judged: what is missing here depends on what moves there
            self._note(report, cluster, at)
        for line in cluster.nodes:
            yield Subject("node", line.node), self._node(line, snapshot.reports.get(line.node), snapshot)
        there: set[Subject] = set()
        for report, at in reports:
            for subject, figures in self._parts(report, cluster, at):
                there.add(subject)
                yield subject, figures
        for known in (self._flows, self._taken, self._first):
            for gone in known.keys() - there:
                del known[gone]
        for node in self._disks.keys() - snapshot.reports.keys():
            del self._disks[node]

    def usual_hz(self, subject: Subject) -> float:
        """The rate that is usual for a buffer or link; 0 if not known."""
        flow = self._flows.get(subject)
        return flow.usual_hz if flow else 0.0

    def disk_left_s(self, node: str) -> float | None:
        """How long the disk of a node lasts at the rate of the last minute; None if it does not fill.

        A node that writes files of a run knows it best: what journals will become, and what must stay free.
        """
        disk = self._disks.get(node)
        if disk is not None and disk.told_s is not None:
            return disk.told_s
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
        """Another run, or the sources were held or let go: how it moved until now says nothing about what comes."""
        if cluster.run != self._run:
            self._first.clear()
            self._bands.clear()
        self._flows.clear()
        self._taken.clear()
        self._run, self._is_running = cluster.run, cluster.state is State.RUNNING

    def _node(self, line: NodeLine, report: Report | None, snapshot: Snapshot) -> dict[str, Value]:
        clock = report.clock if report else None
        host = report.host if report else None
        if host and host.disk_free_bytes is not None:
            at = snapshot.reported[line.node]
            disk = self._disks.setdefault(line.node, Disk(host.disk_free_bytes, at))
            disk.note(host.disk_free_bytes, at)
            disk.told_s = host.disk_left_s
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
            "disk_left_s": self._disk_figure(line.node),
        }

    def _disk_figure(self, node: str) -> float | None:
        """How long a disk lasts: for ever if it does not fill, not known if nothing is known of it."""
        left_s = self.disk_left_s(node)
        return math.inf if left_s is None and node in self._disks else left_s

    def _parts(self, report: Report, cluster: Cluster, at: float) -> Iterator[tuple[Subject, Mapping[str, Value]]]:
        is_running, in_run = _is_running(report, cluster), report.state.is_in_run
        for buffer in report.buffers:
            subject = Subject("buffer", report.node, buffer.name)
            yield subject, self._buffer(subject, buffer, at, is_running, in_run, cluster.running_s)
        for link in report.links:
            subject = Subject("link", report.node, link.name)
            yield subject, self._link(subject, link, at, is_running, in_run, cluster.running_s)
        for worker in report.workers:
            subject = Subject("worker", report.node, worker.name)
            yield subject, self._worker(subject, worker, in_run)

    # -- what moves -----------------------------------------------------------------------------------------------

    def _note(self, report: Report, cluster: Cluster, at: float) -> None:
        """Take up what a report says of everything events pass."""
        is_running = _is_running(report, cluster)
        for buffer in report.buffers:
            subject = Subject("buffer", report.node, buffer.name)
            flow = self._flows.get(subject)
            if flow is None or buffer.committed < flow.count:
                self._flows[subject] = Flow(buffer.committed, at, at)
                self._taken[subject] = Flow(buffer.committed - buffer.lag, at, at)
                continue
            is_new = at > flow.at
            flow.note(buffer.committed != flow.count, buffer.rate_hz, at)
            flow.count = buffer.committed
            self._taken[subject].take(buffer.committed - buffer.lag, at)
            if is_new and is_running and buffer.rate_hz > 0:
                band = self._bands.setdefault(subject, Band(cluster.running_s))
                if cluster.running_s - band.since_s < self.learn_s:
                    band.learn(buffer.rate_hz)
        for link in report.links:  # it has no count, and has moved if its rate says so
            subject = Subject("link", report.node, link.name)
            self._flows.setdefault(subject, Flow(0, at, at)).note(link.rate_hz > 0, link.rate_hz, at)

    def _missing(self, subject: Subject) -> float:
        """How many events should have come since the last one, by the usual rate; none where they are held up."""
        flow = self._flows.get(subject)
        if flow is None:
            return 0.0
        full = (subject, *self.downstream.get(subject, ())) if subject.kind == "link" else (subject,)
        if any(place.kind == "buffer" and place in self._held_up for place in full):
            return 0.0
        return max(0.0, min(flow.at, self._fed_until(subject, flow)) - flow.moved) * flow.usual_hz

    def _fed_until(self, subject: Subject, flow: Flow) -> float:
        """Until when there was something to come, as far as that is sure.

        What is on the same node has been looked at in the same moment. Reports of another node come at other times, and
        what moved since the last one may have moved at its beginning. A node that is lost says nothing.
        """
        before = self.upstream.get(subject)
        if not before:
            return flow.at
        until = flow.moved
        for other in before:
            feeding = self._flows.get(other)
            if feeding is None:
                continue
            if other.node != subject.node:
                until = max(until, feeding.moved - REPORT_S)
            elif feeding.moved == feeding.at:
                until = flow.at
        return until

    def _untaken(self, subject: Subject, buffer: BufferLine) -> float:
        """How many of the events that wait should have been taken by now; none where that is said further down."""
        after = self.downstream.get(subject, ())
        if not self._held_up.isdisjoint(after) or any(self._missing(other) > NAMED for other in after):
            return 0.0
        return min(float(buffer.lag), self._taken[subject].overdue)

    def _grown(self, subject: Subject, count: int) -> int:
        first = self._first.setdefault(subject, count)
        if count < first:
            self._first[subject] = first = count
        return count - first

    # -- of one thing ---------------------------------------------------------------------------------------------

    def _buffer(
        self, subject: Subject, b: BufferLine, at: float, is_running: bool, in_run: bool, running_s: float
    ) -> dict[str, Value]:
        flow, taken = self._flows[subject], self._taken[subject]
        limits = self._limits(subject, running_s)
        return {
            "committed": b.committed,
            "rate_hz": b.rate_hz,
            "usual_hz": flow.usual_hz,
            "low_hz": limits[0] if limits else None,
            "high_hz": limits[1] if limits else None,
            "bytes_per_s": b.bytes_per_s,
            "fill": b.fill,
            "dead_fraction": b.dead_fraction,
            "redelivered": b.redelivered,
            "quarantined": b.quarantined,
            "new_quarantined": self._grown(subject, b.quarantined),
            "lag": b.lag,
            "idle_s": at - flow.moved,
            "missing": self._missing(subject) if is_running else 0.0,
            "untaken": self._untaken(subject, b) if is_running else 0.0,
            "untaken_s": at - taken.moved,
            "readers": ", ".join(self.readers.get(subject, ())) or "who reads it",
            "is_running": is_running,
            "in_run": in_run,
            "blamed": ", ".join(b.blamed),
            "is_cause": self._held_up.isdisjoint(self.downstream.get(subject, ())),
            "running_s": running_s,
        }

    def _limits(self, subject: Subject, running_s: float) -> tuple[float, float] | None:
        """The rates of a buffer that are nothing special; None until they are learnt, or if too little has come."""
        band = self._bands.get(subject)
        if band is None or running_s - band.since_s < self.learn_s:
            return None
        return band.limits() if band.values >= _LEAST_VALUES * self.learn_s else None

    def _link(
        self, subject: Subject, link: LinkLine, at: float, is_running: bool, in_run: bool, running_s: float
    ) -> dict[str, Value]:
        flow = self._flows[subject]
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
            "missing": self._missing(subject) if is_running else 0.0,
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


def _is_running(report: Report, cluster: Cluster) -> bool:
    return cluster.state is State.RUNNING and report.state is State.RUNNING
