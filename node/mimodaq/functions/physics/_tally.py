"""The counts of one function while a run goes on: each event once, also when its process dies, for everybody to see.

They are kept in a file in memory that is replaced after every batch and before the batch is released. A process that
is started again goes on from it: only events of the last batch can be handed to it once more, and their numbers are
in the file. (Another member of the reader group, on another host, that gets them does not know.) Whoever looks on
(the window of a node, `mimodaq plot` on the same computer) reads that file; the worker has nothing to do for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._draw import HistogramPicture
from mimodaq.functions.physics._histogram import HistogramStyle
from mimodaq.functions.physics._io import Events, FunctionIO
from mimodaq.protocol.counts import LIVE, Counts, CountsError, file_of, pack, unpack

_MODE: Final = 0o700
_NONE: Final[npt.NDArray[np.int64]] = np.empty(0, np.int64)


class Tally:
    """Histograms of fields of a buffer, and the file where they are kept."""

    def __init__(self, io: FunctionIO, ring: str, styles: Mapping[str, HistogramStyle], title: str) -> None:
        """Begin, or go on where a process that died has stopped."""
        self.pictures = {field: HistogramPicture(style, style.histogram()) for field, style in styles.items()}
        self.events = 0
        self._log = io.log
        self._function, self._ring, self._title = io.name, ring, title
        self._is_sample = not io.readers
        self._in_hand = _NONE
        self._doubtful = _NONE
        """Counted by a process that died, and perhaps not released by it."""
        self._path = self._place(io)
        if self._path is not None:
            self._go_on(self._path)

    def _place(self, io: FunctionIO) -> Path | None:
        if io.run_folder is None:
            return None
        path = io.run_folder / LIVE / file_of(io.name, io.process)
        try:
            path.parent.mkdir(mode=_MODE, exist_ok=True)
        except OSError as error:
            self._give_up(error)
            return None
        return path

    def _go_on(self, path: Path) -> None:
        try:
            before = unpack(path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, CountsError) as error:
            self._log.warning("histograms: what was counted before is lost: %s", error)
            return
        for field, picture in self.pictures.items():
            counted = before.of(field)
            if counted is not None:
                picture.histogram.merge(counted.histogram)
        self.events = before.events
        self._doubtful = np.array([n for begin, end in before.in_hand for n in range(begin, end)], np.int64)
        self._log.info("histograms: going on with the %d events that were counted before", self.events)

    def add(self, events: Events, numbers: npt.NDArray[np.int64]) -> None:
        """Count events with these numbers in their ring; those of the call before have been released meanwhile."""
        if not len(events):
            return
        if len(self._doubtful):
            self._doubtful = np.setdiff1d(self._doubtful, self._in_hand)
            events = events[~np.isin(numbers, self._doubtful)]
        for field, picture in self.pictures.items():
            picture.histogram.fill(events[field])
        self.events += len(events)
        self._in_hand = _NONE if self._is_sample else numbers
        self._publish(is_final=False)

    def finish(self) -> None:
        """Say that nothing more will come."""
        self._publish(is_final=True)

    def _publish(self, *, is_final: bool) -> None:
        if self._path is None:
            return
        fields = tuple(p.style.counts(field, p.histogram) for field, p in self.pictures.items())
        in_hand = _ranges(np.union1d(self._doubtful, self._in_hand) if len(self._doubtful) else self._in_hand)
        counts = Counts(
            self._function, self._ring, fields, self._title, self.events, self._is_sample, is_final, in_hand
        )
        new = self._path.with_name(f".{self._path.name}")
        try:
            new.write_bytes(pack(counts))
            os.replace(new, self._path)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """The counts go on without the file: it is for those who look on, and for a process that is started again."""
        self._path = None
        self._log.warning("histograms: nobody can look at the counts during the run: %s", error)


def _ranges(numbers: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as ranges (begin, end)."""
    if not len(numbers):
        return ()
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    parts = np.split(numbers, breaks)
    return tuple((int(part[0]), int(part[-1]) + 1) for part in parts)
