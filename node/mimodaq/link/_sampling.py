"""Histograms that a window fills beside the ring for who asks: a sample of the events, of which only counts travel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from mimodaq.link._copies import Lookout
from mimodaq.protocol.counts import Counts, CountsError, FieldCounts, read_wanted
from mimodaq.protocol.histogram import heights, label_of
from mimodaq.ring import RingError

EVERY_S: Final = 0.25
"""A ring is looked at so often."""
_EVENTS: Final = 200
_BYTES: Final = 1_000_000
"""At one look: so much is copied, beside nothing to what the run moves itself."""
_FORGOTTEN_S: Final = 10.0
_MOST: Final = 32
"""Samples at the same time."""


class Sample:
    """The histograms of one question, filled from the events of one ring."""

    def __init__(self, ring: str, lookout: Lookout, wanted: str) -> None:
        """Raises CountsError for histograms that this ring cannot have."""
        self._ring, self._lookout = ring, lookout
        fields = lookout.ring.dtype.names or ()
        self._histograms = {one.field: one.histogram() for one in read_wanted(wanted, fields)}
        self._most = max(1, min(_EVENTS, _BYTES // lookout.ring.dtype.itemsize))
        self._seen = -1
        self._events = 0
        self._is_final = False

    def turn(self, now: float) -> None:
        """Fill in some recent events. Raises RingError after an abort."""
        recent = self._lookout.look(self._most, self._seen, now)
        self._seen, self._is_final = recent.newest, recent.is_ended
        if not len(recent.events):
            return
        self._events += len(recent.events)
        for field, histogram in self._histograms.items():
            histogram.fill(heights(recent.events[field]))

    def counts(self) -> Counts:
        """What has been counted."""
        dtype = self._lookout.ring.dtype
        fields = tuple(
            FieldCounts(field, histogram.settled(), label_of(field, dtype[field].shape))
            for field, histogram in self._histograms.items()
        )
        return Counts("", self._ring, fields, "", self._events, is_sample=True, is_final=self._is_final)


class Samples:
    """All that is asked for at one node; what nobody asks for any more is forgotten."""

    def __init__(self, lookout: Callable[[str], Lookout]) -> None:
        """`lookout` gives that of a ring of the node, or raises RingError."""
        self._lookout = lookout
        self._samples: dict[tuple[str, str, int], Sample] = {}
        self._asked: dict[tuple[str, str, int], float] = {}
        self._due = 0.0

    def counts(self, ring: str, wanted: str, beginning: int, now: float) -> Counts:
        """What has been counted for this question so far; begins to count if it is new.

        Raises RingError or CountsError when that cannot be had.
        """
        key = (ring, wanted, beginning)
        if key not in self._samples:
            if len(self._samples) >= _MOST:
                raise CountsError(f"{_MOST} samples are taken here already; come back when others have left")
            sample = Sample(ring, self._lookout(ring), wanted)
            sample.turn(now)
            self._samples[key] = sample
        self._asked[key] = now
        return self._samples[key].counts()

    def wait_s(self, now: float) -> float:
        """Time until `turn` is due."""
        return max(0.0, self._due - now) if self._samples else math.inf

    def turn(self, now: float) -> None:
        """Fill all of them, if that is due."""
        if now < self._due:
            return
        self._due = now + EVERY_S
        for key, sample in list(self._samples.items()):
            if now - self._asked[key] >= _FORGOTTEN_S:
                self.forget(key)
                continue
            try:
                sample.turn(now)
            except RingError:
                self.forget(key)  # the next question for it says why

    def forget(self, key: tuple[str, str, int]) -> None:
        """Count no more for this question."""
        del self._samples[key], self._asked[key]

    def forget_ring(self, ring: str) -> None:
        """Another ring has this name now."""
        for key in [key for key in self._samples if key[0] == ring]:
            self.forget(key)
