"""What is going on in a run at one moment: immutable values, made from the segments alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mimodaq.ring import RingStatus


@dataclass(frozen=True, slots=True)
class BufferFigures:
    """One buffer at one moment."""

    name: str
    committed: int
    rate_hz: float
    """Events a second since the last snapshot."""
    bytes_per_s: float
    fill: float
    """Fraction of the slots in use."""
    dead_fraction: float
    """Fraction of the time since the last snapshot in which writers waited for a free slot."""
    blamed: tuple[str, ...]
    """Functions they waited for, worst first."""
    redelivered: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One worker at one moment."""

    name: str
    state: str
    restarts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment."""

    state: str
    run: int
    running_s: float
    """Running time without pauses."""
    buffers: tuple[BufferFigures, ...]
    workers: tuple[WorkerFigures, ...]
    events: int
    """Events of the counted buffer."""
    events_limit: int | None
    duration_s: float | None

    @property
    def progress(self) -> float | None:
        """Fraction of the run that is done, if an end condition is known."""
        parts = []
        if self.events_limit:
            parts.append(self.events / self.events_limit)
        if self.duration_s:
            parts.append(self.running_s / self.duration_s)
        return min(1.0, max(parts)) if parts else None


def buffer_figures(now: RingStatus, before: RingStatus | None, seconds: float) -> BufferFigures:
    """Rates and fractions from two looks at a ring `seconds` apart."""
    seconds = max(seconds, 1e-6)
    events = now.committed - (before.committed if before else 0)
    waited = now.waited_s - (before.waited_s if before else 0.0)
    blame: Mapping[str, float] = {g.name: g.blamed_s for g in before.groups} if before else {}
    blamed = {g.name: g.blamed_s - blame.get(g.name, 0.0) for g in now.groups}
    worst = sorted((n for n, s in blamed.items() if s > 0), key=lambda n: -blamed[n])
    return BufferFigures(
        name=now.name,
        committed=now.committed,
        rate_hz=events / seconds,
        bytes_per_s=events * now.event_bytes / seconds,
        fill=now.fill,
        dead_fraction=min(1.0, waited / seconds / max(1, len(now.writers))),
        blamed=tuple(worst),
        redelivered=sum(g.redelivered for g in now.groups),
        quarantined=sum(g.quarantined for g in now.groups),
    )
