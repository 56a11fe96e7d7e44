"""The ring buffers of a run: made from the plan, cleared away after runs that were killed, watched for progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mimodaq.config import Setup
from mimodaq.node._folder import KEPT, Folder, remove_dead_folders
from mimodaq.picoscope import VOLTS, buffer_scale
from mimodaq.protocol.plan import NodePlan, RingPlan
from mimodaq.ring import Ring, RingStatus, SegmentError, left_overs, segment_name


def remove_left_overs() -> list[Path]:
    """Remove the segments that no living process uses, and folders of runs; returns the segments.

    Those of a node daemon that will be started again and go on with them stay.
    """
    removed = []
    for path in left_overs():
        if not _is_kept(path):
            path.unlink(missing_ok=True)
            removed.append(path)
    remove_dead_folders()
    return removed


def _is_kept(path: Path) -> bool:
    try:
        folder = Ring.attach(path.name).description.get("folder")
    except SegmentError:
        return False
    return folder is not None and (Path(folder) / KEPT).exists()


def ring_segment(partition: str, node: str, ring: str) -> str:
    """Name of the segment of a ring."""
    return segment_name(ring, partition=partition, node=node)


def make_ring(setup: Setup, plan: RingPlan, run: int, segment: str, folder: Folder) -> Ring:
    """Make a ring. Raises NoSpace when /dev/shm cannot hold it."""
    buffer = setup.buffers[plan.buffer]
    scale = buffer_scale(setup, plan.buffer)
    return Ring.create(
        segment,
        buffer.event_dtype,
        buffer.slots,
        groups=plan.groups,
        expected_writers=plan.writers,
        buffer=plan.name,
        description={
            "samples": buffer.samples,
            "plain": buffer.plain,
            "run": run,
            "folder": str(folder.path),
            **({VOLTS: scale} if scale else {}),
        },
        limit=plan.limit,
    )


class Progress:
    """Which functions and links have got on since the last look."""

    def __init__(self, plan: NodePlan) -> None:
        self._sources = (*plan.source_rings, *plan.fed_rings)
        self._links: dict[tuple[str, str], tuple[str, ...]] = {}
        """By ring and reader group: the links that are members of it."""
        for link in plan.outgoing:
            key = (link.from_ring, link.group)
            self._links[key] = (*self._links.get(key, ()), link.name)
        self._before: dict[tuple[str, str, str], int] = {}

    def look(self, statuses: Mapping[str, RingStatus]) -> frozenset[str]:
        """Functions that have finished events or, if they are sources, made some; links that have moved some."""
        moved: set[str] = set()
        now: dict[tuple[str, str, str], int] = {}
        for name, status in statuses.items():
            for group in status.groups:
                key = (name, "group", group.name)
                now[key] = group.released
                if group.released > self._before.get(key, 0):
                    moved.update((group.name, *self._links.get((name, group.name), ())))
        for name in self._sources:
            for writer in statuses[name].writers:
                key = (name, "writer", writer.label)
                now[key] = writer.events
                if writer.events > self._before.get(key, 0):
                    moved.add(writer.label.rpartition("[")[0] or writer.label)
        self._before = now
        return frozenset(moved)
