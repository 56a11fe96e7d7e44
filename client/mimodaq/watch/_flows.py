"""What only shows over time, of one thing: what is usual, when something last moved, how fast a disk fills.

Pure values; the reports bring the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

USUAL_S: Final = 30.0
"""The usual rate is the mean over about this time, without the time in which nothing came."""
_BAND_SIGMAS: Final = 6.0
_GAP_S: Final = 60.0
"""How long a gap is remembered."""
_MOVES: Final = 5
"""So often something must have moved before one knows how it moves."""
_GAP_AT_FIRST_S: Final = 5.0
"""What is taken for its longest gap until then."""
_DISK_S: Final = 60.0


@dataclass(slots=True)
class Flow:
    """What has come through one buffer or link, or what has been taken out of a buffer."""

    count: int = 0
    at: float = 0.0
    moved: float = 0.0
    """When something was seen to have moved."""
    moves: int = 0
    """How often."""
    usual_hz: float = 0.0
    gap_s: float = 0.0
    """The longest time of late in which nothing moved although something did before and after."""

    def note(self, has_moved: bool, rate_hz: float, now: float) -> None:
        """Look at it once more."""
        if now <= self.at:
            return
        step, self.at = now - self.at, now
        if not has_moved:
            return
        self.gap_s = max(now - self.moved - step, self.gap_s * math.exp(-step / _GAP_S))
        self.moved, self.moves = now, self.moves + 1
        weight = min(1.0, step / USUAL_S) if self.usual_hz else 1.0
        self.usual_hz += weight * (rate_hz - self.usual_hz)

    def take(self, count: int, now: float) -> None:
        """Look at it once more, by its count alone."""
        grown, step = count - self.count, now - self.at
        if step > 0:
            self.note(grown > 0, grown / step, now)
            self.count = max(self.count, count)

    @property
    def overdue(self) -> float:
        """Events that should have come by now, after twice the longest gap; any number if none ever came."""
        gap_s = self.gap_s if self.moves >= _MOVES else max(self.gap_s, _GAP_AT_FIRST_S)
        late_s = self.at - self.moved - 2 * gap_s
        if late_s <= 0:
            return 0.0
        return late_s * self.usual_hz if self.moves else math.inf


@dataclass(slots=True)
class Band:
    """What the rate of a buffer was at first, in one run."""

    since_s: float
    """Running time at which it was first seen."""
    values: int = 0
    mean: float = 0.0
    spread: float = 0.0
    """Sum of squared distances from the mean."""

    def learn(self, rate_hz: float) -> None:
        """Take a rate into the band."""
        self.values += 1
        distance = rate_hz - self.mean
        self.mean += distance / self.values
        self.spread += distance * (rate_hz - self.mean)

    def limits(self) -> tuple[float, float]:
        """Lowest and highest rate that are nothing special; there must have been a value."""
        width = _BAND_SIGMAS * math.sqrt(self.spread / self.values + self.mean) + 0.2 * self.mean
        return max(0.0, self.mean - width), self.mean + width


@dataclass(slots=True)
class Disk:
    """How fast a disk fills."""

    free: int
    at: float
    slope: float | None = None
    """Bytes a second that are used up."""
    told_s: float | None = None
    """How long it lasts by the node's own account."""

    def note(self, free: int, now: float) -> None:
        """Look at it once more."""
        step = now - self.at
        if step < 1.0:
            return
        used = (self.free - free) / step
        if self.slope is None:
            self.slope = used
        self.slope += min(1.0, step / _DISK_S) * (used - self.slope)
        self.free, self.at = free, now
