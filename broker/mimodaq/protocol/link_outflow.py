"""How far the events of a link have come at its sending end: handed over, sent, acknowledged. Numbers, no messages.

Events are numbered in the order in which the sender's place in its reader group was handed them. What is on the way is
bounded by what the other end has room for (`limit`) and by the window of the settings.

A batch costs both ends some hundred steps of Python, however large it is, so a fast link has large ones. On a slow one
they must be small: an end is taken for gone after a time in which a batch must have passed (`Pace`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.link_common import Settings

_TAKE_BATCHES: Final = 4
"""Events for at most so many batches are taken from the ring in one go."""


@dataclass(slots=True)
class Pace:
    """How many events a batch may have: as many as the link has lately carried in `period_s`, within limits."""

    least: int
    most: int
    period_s: float
    batch_events: int = field(init=False)
    _carried: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self.batch_events = self.least

    def carried(self, count: int, now: float) -> None:
        """So many more events are known to be on the other side at monotonic time `now`."""
        self._carried += count
        elapsed_s = now - self._since
        if elapsed_s >= self.period_s:
            self.batch_events = max(self.least, min(self.most, int(self._carried * self.period_s / elapsed_s)))
            self._carried, self._since = 0, now

    def begin_again(self) -> None:
        """What the line carries now is not known."""
        self.batch_events, self._carried = self.least, 0


@dataclass(slots=True)
class Outflow:
    """The events of one place. Invariant: released <= sent <= taken, and nothing beyond `most_sent` is released."""

    pace: Pace
    window_events: int
    window_batches: int
    released: int
    """Events with smaller numbers are committed on the other side."""
    taken: int
    """Events with smaller numbers were handed to the place."""
    sent: int = 0
    """Events with smaller numbers were sent since the other end last said where to begin."""
    most_sent: int = 0
    """... or at any time: what a predecessor was handed, it may have sent."""
    limit: int = 0
    """Events with smaller numbers have a free slot on the other side."""
    _ends: deque[int] = field(default_factory=deque)
    """Where the batches on the way end."""

    def __post_init__(self) -> None:
        self.sent, self.most_sent = self.released, self.taken

    @classmethod
    def of(cls, settings: Settings, event_bytes: int, released: int, taken: int) -> Outflow:
        """The events of a place of which so many were handed to it and released before."""
        pace = Pace(settings.batch_events(event_bytes), settings.most_batch_events(event_bytes), settings.batch_s)
        return cls(pace, settings.window_events(event_bytes), settings.window_batches, released, taken)

    @property
    def unacknowledged(self) -> int:
        """Events taken and not known to be on the other side."""
        return self.taken - self.released

    @property
    def wanted(self) -> int:
        """How many more events may be taken: none while there are some that could not be sent yet."""
        if self.sent < self.taken or len(self._ends) >= self.window_batches:
            return 0
        room = min(self.limit, self.released + self.window_events) - self.taken
        return max(0, min(room, _TAKE_BATCHES * self.pace.batch_events))

    def batches(self) -> Iterator[tuple[int, int, int]]:
        """What may be sent now, as first, count, and how many of them had been sent before; then they count as sent."""
        ceiling = min(self.taken, self.limit)
        while self.sent < ceiling and len(self._ends) < self.window_batches:
            first, count = self.sent, min(self.pace.batch_events, ceiling - self.sent)
            again = max(0, min(self.most_sent, first + count) - first)
            self.sent = first + count
            self.most_sent = max(self.most_sent, self.sent)
            self._ends.append(self.sent)
            yield first, count, again

    def release_to(self, position: int, now: float) -> int:
        """The other end has committed everything before `position`; how many events that releases."""
        count = position - self.released
        if count <= 0:
            return 0
        self.pace.carried(count, now)
        self.released = position
        self.sent = max(self.sent, position)
        while self._ends and self._ends[0] <= position:
            self._ends.popleft()
        return count

    def begin_again(self) -> None:
        """Whatever was on the way is sent again."""
        self.sent = self.released
        self.pace.begin_again()
        self._ends.clear()
