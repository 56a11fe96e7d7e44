"""Compare a node's clock with the broker's, and notice when a clock jumps.

Pure code. Offsets come from request and answer, as in NTP (RFC 5905): the node notes when it asked (A) and when the
answer came (D), the broker when the question came (B) and when it answered (C); offset = ((B - A) + (C - D)) / 2, true
within half of the way there and back. How long the way took is measured by the node's monotonic clock. Of the
last samples the one with the shortest way counts (RFC 5905, clock filter); jitter is the root mean square distance of
the others from it. Wall times are data here: nothing waits by them.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

SAMPLES: Final = 8
"""Samples the filter looks at."""
ASK_S: Final = 2.0
"""Seconds between two questions."""
LIMIT_S: Final = 0.05
"""Offset above which the operator is warned."""
JUMP_S: Final = 0.1
"""A step of a wall clock against the monotonic clock that counts as a jump, not as drift."""
WAY_MAX_S: Final = 5.0
"""An answer that took longer says nothing."""
RATES_DIFFER: Final = 1e-3
"""Two clocks may differ so much in rate (NTP slews by up to half of it): what was measured on both can be off by
this fraction."""
ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on a host's two clocks."""

    monotonic_s: float
    utc_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known about a node's wall clock."""

    offset_s: float
    """Broker's time minus the node's: what must be added to the node's times."""
    jitter_s: float
    way_s: float
    """There and back, of the sample that counts; the offset is true within half of it."""
    samples: int
    jumps: int
    """Jumps of either clock so far."""
    measured_ns: int
    """When the last sample was taken, by the node's wall clock."""

    def is_off(self, limit_s: float = LIMIT_S) -> bool:
        """Whether the clock is certainly wrong by more than `limit_s`."""
        return abs(self.offset_s) - self.way_s / 2 > limit_s


def is_jump(step_s: float, ways_s: float) -> bool:
    """Whether two offsets that differ by `step_s` tell of a jump; `ways_s` = the ways of both together."""
    return abs(step_s) > JUMP_S + ways_s / 2


@dataclass(frozen=True, slots=True)
class _Sample:
    offset_s: float
    way_s: float


@dataclass(slots=True)
class ClockWatch:
    """The node's side of the exchange. One question is open at a time; a newer one replaces it."""

    _samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _number: int = 0
    _asked: Moment | None = None
    _last: Moment | None = None
    _jumps: int = 0
    _measured_ns: int = 0
    _next: float = 0.0

    def ask(self, moment: Moment) -> int:
        """The number of a question sent at `moment`."""
        self._number += 1
        self._asked = moment
        self._next = moment.monotonic_s + ASK_S
        return self._number

    def deadline(self) -> float:
        """Monotonic time at which to ask next."""
        return self._next

    def answer(self, number: int, received_utc_ns: int, sent_utc_ns: int, moment: Moment) -> float | None:
        """The answer to question `number` came at `moment`; answers by how much a clock has jumped, if one has.

        Times are the broker's. An answer to another question, from the past or of an impossible length is ignored.
        """
        asked = self._asked
        if asked is None or number != self._number:
            return None
        self._asked = None
        all_s = moment.monotonic_s - asked.monotonic_s
        way_s = all_s - (sent_utc_ns - received_utc_ns) / 1e9
        own_s = (moment.utc_ns - asked.utc_ns) / 1e9
        least_s = -(all_s * RATES_DIFFER + ROUNDING_S)  # a way of no length may come out a little below zero
        if not least_s <= way_s <= WAY_MAX_S or abs(own_s - all_s) > JUMP_S:
            return None  # one of the clocks was set in between, or the answer is nonsense
        way_s = max(way_s, 0.0)
        offset_s = ((received_utc_ns - asked.utc_ns) + (sent_utc_ns - moment.utc_ns)) / 2e9
        before = self.clock()
        self._samples.append(_Sample(offset_s, way_s))
        self._measured_ns = moment.utc_ns
        if before is None or not is_jump(offset_s - before.offset_s, way_s + before.way_s):
            return None
        self._restart_from(self._samples[-1])
        return offset_s - before.offset_s

    def look(self, moment: Moment) -> float | None:
        """Compare the node's two clocks; answers by how much its wall clock has jumped since the last look."""
        last, self._last = self._last, moment
        if last is None:
            return None
        step = (moment.utc_ns - last.utc_ns) / 1e9 - (moment.monotonic_s - last.monotonic_s)
        if abs(step) <= JUMP_S:
            return None
        self._asked = None
        self._restart_from(None)
        return step

    def clock(self) -> Clock | None:
        """What is known now; None before the first answer and right after a jump of the node's clock."""
        if not self._samples:
            return None
        best = min(self._samples, key=lambda s: s.way_s)
        square = sum((s.offset_s - best.offset_s) ** 2 for s in self._samples)
        jitter_s = math.sqrt(square / max(1, len(self._samples) - 1))
        return Clock(best.offset_s, jitter_s, best.way_s, len(self._samples), self._jumps, self._measured_ns)

    def _restart_from(self, sample: _Sample | None) -> None:
        self._jumps += 1
        self._samples.clear()
        if sample is not None:
            self._samples.append(sample)
