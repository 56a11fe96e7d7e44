"""When the next events of a simulated source are due: at fixed or random intervals of a given mean.

Pure: time is an argument, in seconds of any clock that does not jump. The caller sleeps.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MOST_LATE_S: Final = 0.1
"""Events later than this are not made up: after a pause or a full buffer there is no burst."""


class Pacer:
    """A schedule of events with a mean distance of `mean_s` seconds; 0 means that all are due at once.

    With `random` the distances are exponential, as between the decays of a source; otherwise all are equal.
    """

    def __init__(self, mean_s: float, random: bool, seed: int, now: float) -> None:
        if mean_s < 0:
            raise ValueError(f"pacing events: the mean time between events is {mean_s} s; give 0 or more")
        self._mean_s = mean_s
        self._random = np.random.default_rng(seed) if random else None
        self._next = now + self._interval()

    def wait(self, now: float) -> float:
        """Give the seconds until the next event is due; 0 if it is."""
        return max(self._next - now, 0.0) if self._mean_s else 0.0

    def due(self, now: float, most: int) -> int:
        """Take the events that are due, at most `most`, off the schedule and give their number."""
        if not self._mean_s:
            return most
        self._next = max(self._next, now - MOST_LATE_S)
        n = 0
        while n < most and self._next <= now:
            self._next += self._interval()
            n += 1
        return n

    def _interval(self) -> float:
        return self._mean_s * (float(self._random.standard_exponential()) if self._random else 1.0)
