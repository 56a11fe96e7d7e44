"""Counts of `build_events`: every event read is in exactly one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mimodaq.functions.building._builder import Built, Mask, Quality


class Books:
    """Counts what became of the events of each source, and of the events built."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = sources
        n = len(sources)
        self._built: npt.NDArray[np.int64] = np.zeros(n, np.int64)
        self._dropped = self._built.copy()
        self._late = self._built.copy()
        self._duplicate = self._built.copy()
        self._events = np.zeros(len(Quality), np.int64)
        self._written = self._events.copy()

    def enter(self, built: Built, is_kept: Mask) -> None:
        """Enter decided events; `is_kept`: which of them are written."""
        has = built.members >= 0
        is_event = built.quality <= Quality.INCOMPLETE
        self._built += has[is_event & is_kept].sum(axis=0)
        self._dropped += has[is_event & ~is_kept].sum(axis=0)
        self._late += has[built.quality == Quality.LATE].sum(axis=0)
        self._duplicate += has[built.quality == Quality.DUPLICATE].sum(axis=0)
        self._events += np.bincount(built.quality, minlength=len(Quality))
        self._written += np.bincount(built.quality[is_kept], minlength=len(Quality))

    def figures(self, read: Sequence[int]) -> dict[str, Any]:
        """For the run record: per buffer read = built + dropped + late + duplicate + undecided; events by quality.

        Events are undecided only if the run was aborted.
        """
        decided = self._built + self._dropped + self._late + self._duplicate
        return {
            "sources": {
                name: {
                    "read": read[i],
                    "built": int(self._built[i]),
                    "dropped": int(self._dropped[i]),
                    "late": int(self._late[i]),
                    "duplicate": int(self._duplicate[i]),
                    "undecided": read[i] - int(decided[i]),
                }
                for i, name in enumerate(self._sources)
            },
            "events": {quality.name.lower(): int(self._events[quality]) for quality in Quality},
            "written": {quality.name.lower(): int(self._written[quality]) for quality in Quality},
        }
