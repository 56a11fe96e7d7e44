"""The ring buffers of a run: made from the setup, cleared away after runs that were killed, watched for progress."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mimodaq.config import Setup
from mimodaq.node._plan import is_counted_exactly
from mimodaq.ring import Ring, RingStatus, left_overs, segment_name


def remove_left_overs() -> list[Path]:
    """Remove the segments that no living process uses; returns them."""
    removed = left_overs()
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def make_ring(setup: Setup, name: str, run: int) -> Ring:
    """Make the ring of buffer `name`. Raises NoSpace when /dev/shm cannot hold it."""
    buffer = setup.buffers[name]
    is_limited = name == setup.counted_buffer and is_counted_exactly(setup)
    return Ring.create(
        segment_name(name, partition=f"{os.getpid()}-{run}"),
        buffer.event_dtype,
        buffer.slots,
        groups=[f.name for f in setup.readers(name)],
        expected_writers=sum(f.processes for f in setup.writers(name)),
        buffer=name,
        description={"samples": buffer.samples, "plain": buffer.plain, "run": run},
        limit=(setup.events_limit or 0) if is_limited else 0,
    )


class Progress:
    """Which functions have got on since the last look."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = sources
        """Buffers that sources write."""
        self._before: dict[str, int] = {}

    def look(self, statuses: Mapping[str, RingStatus]) -> frozenset[str]:
        """Functions that have finished events, or, if they are sources, made some."""
        now = {(f"{s.name} {g.name}", g.name): g.released for s in statuses.values() for g in s.groups}
        for name in self._sources:
            for writer in statuses[name].writers:
                now[f"{name} {writer.label}", writer.label.rpartition("[")[0]] = writer.events
        moved = frozenset(function for (key, function), events in now.items() if events > self._before.get(key, 0))
        self._before = {key: events for (key, _), events in now.items()}
        return moved
