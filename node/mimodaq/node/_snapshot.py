"""What is going on in a run at one moment: immutable values, made from the segments alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mimodaq.protocol.parts import BufferLine, WorkerLine
from mimodaq.ring import RingStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment."""

    state: str
    run: int
    running_s: float
    """Running time without pauses."""
    buffers: tuple[BufferLine, ...]
    workers: tuple[WorkerLine, ...]
    events: int
    """Events of the counted buffer."""
    events_limit: int | None
    duration_s: float | None
    disk_free_bytes: int | None = None
    """Where events are written."""
    disk_left_s: float | None = None
    """How long until the run must end for want of space; None if that is not known or the disk does not fill."""

    @property
    def progress(self) -> float | None:
        """Fraction of the run that is done, if an end condition is known."""
        parts = []
        if self.events_limit:
            parts.append(self.events / self.events_limit)
        if self.duration_s:
            parts.append(self.running_s / self.duration_s)
        return min(1.0, max(parts)) if parts else None


def buffer_figures(name: str, now: RingStatus, before: RingStatus | None, seconds: float) -> BufferLine:
    """Figures of ring `name` from two looks at it `seconds` apart."""
    seconds = max(seconds, 1e-6)
    events = now.committed - (before.committed if before else 0)
    waited = now.waited_s - (before.waited_s if before else 0.0)
    blame: Mapping[str, float] = {g.name: g.blamed_s for g in before.groups} if before else {}
    blamed = {g.name: g.blamed_s - blame.get(g.name, 0.0) for g in now.groups}
    worst = sorted((n for n, s in blamed.items() if s > 0), key=lambda n: -blamed[n])
    return BufferLine(
        name=name,
        committed=now.committed,
        rate_hz=events / seconds,
        bytes_per_s=events * now.event_bytes / seconds,
        fill=now.fill,
        dead_fraction=min(1.0, waited / seconds / max(1, len(now.writers))),
        blamed=tuple(worst),
        redelivered=sum(g.redelivered for g in now.groups),
        quarantined=sum(g.quarantined for g in now.groups),
        lag=max((g.pending + g.reading for g in now.groups), default=0),
    )
