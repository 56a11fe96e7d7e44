"""Runs that go on on this computer, for who looks on without a broker: their rings, their folder, their directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mimodaq.node._folder import RUN_DIRECTORY, living_folders, partition_of
from mimodaq.ring import Ring, SegmentError, segments_of


@dataclass(frozen=True, slots=True)
class RunHere:
    """One run on this computer, or this computer's part of one."""

    run: int
    folder: Path
    """In memory; it goes when the run is over."""
    rings: Mapping[str, Ring]
    """By name."""
    directory: Path | None
    """Where it writes its files; None while that is being made."""


def runs_here() -> list[RunHere]:
    """The runs of this user on this computer, the newest first."""
    found = []
    for folder in living_folders():
        rings: dict[str, Ring] = {}
        for segment in segments_of(partition_of(folder)):
            try:
                ring = Ring.attach(segment)
            except SegmentError:
                continue  # it has gone meanwhile
            rings[ring.name] = ring
        if rings:
            run = int(next(iter(rings.values())).description.get("run", 0))
            link = folder / RUN_DIRECTORY
            found.append(RunHere(run, folder, rings, link.resolve() if link.is_symlink() else None))
    return found
