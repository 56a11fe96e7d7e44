"""The events of one source that wait for their partners: views into their slots, which are not released yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.building._builder import Ints
from mimodaq.ring import Batch


class Piece(NamedTuple):
    """Events that lie in one batch."""

    where: Ints
    """Which of the numbers asked for they are."""
    batch: Batch
    rows: Ints
    """Where in the batch they are."""
    times: Ints
    """Their corrected times in ticks."""


class Hand:
    """Finds events by their number: the first one put in is number 0."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._batches: list[Batch] = []
        self._times: list[Ints] = []
        self._next = 0
        self.released = 0
        """Number of the first event that is still in hand."""

    def put(self, batch: Batch, times: Ints) -> None:
        """Take the next events into the hand."""
        self._begins.append(self._next)
        self._batches.append(batch)
        self._times.append(times)
        self._next += len(batch.events)

    def pieces(self, numbers: Ints) -> Iterator[Piece]:
        """The events with these numbers, batch by batch."""
        if not len(numbers):
            return
        which = np.searchsorted(self._begins, numbers, side="right") - 1
        order = np.argsort(which, kind="stable")
        borders = np.flatnonzero(np.diff(which[order])) + 1
        for where in np.split(order, borders):
            index = int(which[where[0]])
            rows = numbers[where] - self._begins[index]
            yield Piece(where, self._batches[index], rows, self._times[index][rows])

    def release(self, end: int) -> int:
        """Forget the events before number `end`, whose slots are to be released; returns how many these are."""
        n = end - self.released
        self.released = end
        done = int(np.searchsorted([*self._begins[1:], self._next], end, side="right"))
        del self._begins[:done], self._batches[:done], self._times[:done]
        return n


def ticks(seconds: npt.NDArray[np.float64], per_second: int) -> Ints:
    """Times in seconds as whole numbers of ticks, rounded; one that is no number, or absurd, becomes 0."""
    whole = np.floor(np.where(np.abs(seconds) < (1 << 62) / per_second, seconds, 0.0))
    fraction = np.where(whole == np.floor(seconds), seconds - whole, 0.0)
    rest: Ints = np.rint(fraction * per_second).astype(np.int64)
    return rest + whole.astype(np.int64) * per_second
