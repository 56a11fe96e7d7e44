"""Decide which events of several sources belong together.

Pure code: no buffers, no clock. The shell hands in keys with the monotonic time, and gets back which of them make an
event.

A *hit* is an event of one source. Its key is its trigger counter, or its corrected time in ticks. All hits sorted by
key are cut into events from the lowest on: an event begins with the first hit that is in none, and takes in every hit
up to `window` above it (for counters the window is 0: the same counter). From each source it takes the first hit; a
further one is a duplicate. Events are given out in the order of their keys, each as soon as nothing that a source
still has to deliver can change it: every source has its hit in it, or is past it, or has ended. A source is past a
key when it has delivered one that is higher by more than `disorder`. So the result does not depend on which source
was read first.

Two things end the waiting for a silent source: an event that has waited `max_wait_s` for sources that have nothing at
this moment is given out as it is, and so are the lowest ones when a source has `max_pending` hits waiting and none of
the sources has anything new. What comes below the last event given out (the *line*) is late.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_SOURCES: Final = 62
"""So many have a bit in a mask of int64."""
_GIVEN_UP_AT_ONCE: Final = 0.25
"""Part of `max_pending` that is given up when a source is at its bound, so that this does not happen for every hit."""


class Quality(enum.IntEnum):
    """What became of the hits of an event."""

    COMPLETE = 0
    """Every source has a hit in it."""
    INCOMPLETE = 1
    """Some sources are missing."""
    LATE = 2
    """A single hit that came after its event, or a higher one, had been given out."""
    DUPLICATE = 3
    """A single hit whose source has an earlier one in the same event."""


@dataclass(frozen=True, slots=True)
class Built:
    """Decided events. Over a whole stream every hit is a member of exactly one of them."""

    members: Ints
    """Number of the hit of each source, shape (events, sources); -1 = none. Hits are numbered from 0 as handed in."""
    quality: npt.NDArray[np.uint8]
    """`Quality` of each event."""
    keys: Ints
    """Key of the first hit of each event."""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def nothing(cls, sources: int) -> Self:
        """No events."""
        return cls(np.empty((0, sources), np.int64), np.empty(0, np.uint8), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Hits:
    """Hits side by side, shape (n,) each."""

    key: Ints
    source: Ints
    number: Ints
    arrived: npt.NDArray[np.float64]
    """Monotonic time in s at which it was handed in."""

    def __len__(self) -> int:
        return len(self.key)

    def pick(self, which: Mask | Ints) -> _Hits:
        return _Hits(self.key[which], self.source[which], self.number[which], self.arrived[which])

    @classmethod
    def join(cls, parts: Sequence[_Hits]) -> _Hits:
        return cls(
            np.concatenate([part.key for part in parts]),
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.number for part in parts]),
            np.concatenate([part.arrived for part in parts]),
        )


_NONE: Final = _Hits(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class Builder:
    """Builds events of the hits of `sources` sources; see the module for what an event is.

    `window` and `disorder` are in units of the key. Invariant: no source has more than `max_pending` hits undecided.
    """

    def __init__(
        self, sources: int, *, window: int = 0, disorder: int = 0, max_wait_s: float = 1.0, max_pending: int = 4096
    ) -> None:
        if not 1 <= sources <= MOST_SOURCES or window < 0 or disorder < 0 or max_wait_s <= 0 or max_pending < 1:
            raise ValueError(
                f"a builder of {sources} sources (1 to {MOST_SOURCES}) with window {window}, disorder {disorder}, "
                f"max_wait_s {max_wait_s}, max_pending {max_pending} cannot be"
            )
        self.sources = sources
        self.window = window
        self.disorder = disorder
        self.max_wait_s = max_wait_s
        self.max_pending = max_pending
        self.out_of_order = [0] * sources
        """Hits of each source that came further below an earlier one than `disorder`."""
        self.timed_out = 0
        """Events given out because they had waited `max_wait_s`."""
        self.crowded_out = 0
        """Events given out because a source had `max_pending` hits waiting."""
        self._pending = _NONE  # sorted by key, equal keys as they came
        self._inbox: list[_Hits] = []
        self._waiting = [0] * sources
        self._handed = [0] * sources
        self._seen: list[int | None] = [None] * sources
        self._ended = [False] * sources
        self._idle = [False] * sources
        self._news = False
        self._line: int | None = None
        self._last_begin = 0
        self._last_sources = 0

    def room(self, source: int) -> int:
        """How many hits of a source may be handed in now."""
        return self.max_pending - self._waiting[source]

    def handed(self, source: int) -> int:
        """How many hits of a source were handed in so far."""
        return self._handed[source]

    def add(self, source: int, keys: Ints, now: float) -> None:
        """Hand in the next hits of a source, in the order of its stream. Raises ValueError if there is no room."""
        n = len(keys)
        if n > self.room(source) or self._ended[source]:
            raise ValueError(f"source {source} has room for {self.room(source)} hits and has not ended, not for {n}")
        if not n:
            return
        first = self._handed[source]
        self._inbox.append(
            _Hits(keys, np.full(n, source), np.arange(first, first + n), np.full(n, now, dtype=np.float64))
        )
        self._handed[source] += n
        self._waiting[source] += n
        self._idle[source] = False
        self._news = True
        self._follow(source, keys)

    def idle(self, source: int) -> None:
        """Tell that a source has nothing at this moment: only then events give up waiting for it."""
        self._idle[source] = True

    def end(self, source: int) -> None:
        """Tell that a source has ended: nothing of it is waited for."""
        self._ended[source] = True
        self._news = True

    def deadline(self) -> float | None:
        """Monotonic time at which the next event has waited long enough; None if none waits."""
        arrived = [hits.arrived.min() for hits in (self._pending, *self._inbox) if len(hits)]
        return float(min(arrived)) + self.max_wait_s if arrived else None

    def undecided_from(self, source: int) -> int:
        """Number of the first hit of a source that is not decided; all earlier ones were given out."""
        numbers = [hits.number[hits.source == source] for hits in (self._pending, *self._inbox)]
        return min((int(n.min()) for n in numbers if len(n)), default=self._handed[source])

    def decide(self, now: float, *, is_dry: bool = False) -> Built:
        """Give out what can be decided; `is_dry`: no source has had anything new for a while."""
        deadline = self.deadline()
        is_due = deadline is not None and now >= deadline
        is_full = is_dry and not all(self.room(source) for source in range(self.sources))
        if not (self._news or is_due or is_full):
            return Built.nothing(self.sources)
        self._news = False
        singles = self._sort_in()
        if not len(self._pending):
            return singles
        cut = _Cut(self._pending, self.window, self.sources)
        is_ready, is_excused = self._judge(cut)
        prefix = len(is_ready) if is_ready.all() else int(is_ready.argmin())
        given = np.zeros(len(cut.begin), np.bool_)
        if is_due:
            # what lies beyond everything a source has reached is a stray (a corrupt time) and draws no line
            expired = is_excused & (cut.oldest() <= now - self.max_wait_s)
            within = cut.begin <= self._top()
            last = np.flatnonzero(expired & within)
            given |= expired & ~within
            self.timed_out += int(given.sum())
            if len(last) and last[-1] >= prefix:
                self.timed_out += int(last[-1]) + 1 - prefix
                prefix = int(last[-1]) + 1
        if is_full:
            enough = self._crowd(cut, prefix)
            self.crowded_out += enough - prefix
            prefix = enough
        given[:prefix] = True
        if prefix:
            self._line = min(int(cut.end[prefix - 1]), self._top() + self.window)
            self._last_begin = int(cut.begin[prefix - 1])
            self._last_sources = sum(1 << source for source in np.flatnonzero(cut.has[prefix - 1]).tolist())
        return self._give_out(cut, given, singles)

    # -- the steps ----------------------------------------------------------------------------------------------

    def _follow(self, source: int, keys: Ints) -> None:
        """Note how far a source has come.

        After a hit out of order its position is that of the hit, so that one corrupt time does not spoil the rest.
        """
        seen = self._seen[source]
        highest = np.maximum.accumulate(keys if seen is None else np.concatenate(([seen], keys)))
        before = highest[:-1] if seen is not None else np.concatenate((keys[:1], highest[:-1]))
        if not (keys < before - self.disorder).any():
            self._seen[source] = int(highest[-1])
            return
        for key in keys.tolist():
            if seen is not None and key < seen - self.disorder:
                self.out_of_order[source] += 1
                seen = key
            else:
                seen = key if seen is None else max(seen, key)
        self._seen[source] = seen
        if self._line is not None and self._line > self._top() + self.window:
            self._line, self._last_sources = self._top() + self.window, 0

    def _top(self) -> int:
        """The highest position of all sources."""
        return max(seen for seen in self._seen if seen is not None)

    def _sort_in(self) -> Built:
        """Put what was handed in among the pending; gives what is below the line: late, or duplicates."""
        if not self._inbox:
            return Built.nothing(self.sources)
        new = _Hits.join(self._inbox)
        self._inbox.clear()
        singles = Built.nothing(self.sources)
        if self._line is not None:
            below = new.key <= self._line
            if below.any():
                hits = new.pick(below)
                self._forget(hits.source)
                again = (hits.key >= self._last_begin) & ((self._last_sources >> hits.source) & 1 == 1)
                singles = self._alone(hits, np.where(again, Quality.DUPLICATE, Quality.LATE).astype(np.uint8))
                new = new.pick(~below)
        pending = _Hits.join([self._pending, new])
        self._pending = pending.pick(np.argsort(pending.key, kind="stable"))
        return singles

    def _judge(self, cut: _Cut) -> tuple[Mask, Mask]:
        """Which events nothing can change any more; and which wait only for sources that have nothing now."""
        is_ready = np.ones(len(cut.begin), np.bool_)
        is_excused = is_ready.copy()
        for source in range(self.sources):
            if self._ended[source]:
                continue
            seen = self._seen[source]
            if seen is None:
                is_through = np.zeros(len(cut.begin), np.bool_)
            else:
                floor = seen - self.disorder
                is_through = (cut.end < floor) | (cut.has[:, source] & (cut.first_key[:, source] <= floor))
            is_ready &= is_through
            if not (self._idle[source] or self.room(source) == 0):
                is_excused &= is_through
        return is_ready, is_excused

    def _crowd(self, cut: _Cut, prefix: int) -> int:
        """How many events to give out, `prefix` at least, so that sources at their bound have room again."""
        keep = self.max_pending - max(1, int(self.max_pending * _GIVEN_UP_AT_ONCE))
        for source in range(self.sources):
            events = cut.index[cut.hits.source == source]
            if len(events) - int(np.searchsorted(events, prefix)) >= self.max_pending:
                prefix = int(events[len(events) - keep - 1]) + 1
        return prefix

    def _give_out(self, cut: _Cut, given: Mask, singles: Built) -> Built:
        out = given[cut.index]
        more = out & cut.is_further
        further = self._alone(cut.hits.pick(more), np.full(int(more.sum()), Quality.DUPLICATE, np.uint8))
        has = cut.has[given]
        members = np.where(has, cut.hits.number[cut.first[given]], -1)
        quality = np.where(has.all(axis=1), Quality.COMPLETE, Quality.INCOMPLETE).astype(np.uint8)
        self._forget(cut.hits.source[out])
        self._pending = cut.hits.pick(~out)
        return Built(
            np.concatenate((members, further.members, singles.members)),
            np.concatenate((quality, further.quality, singles.quality)),
            np.concatenate((cut.begin[given], further.keys, singles.keys)),
        )

    def _forget(self, sources: Ints) -> None:
        """Take hits of these sources off the count of those that wait."""
        for source, count in enumerate(np.bincount(sources, minlength=self.sources).tolist()):
            self._waiting[source] -= count

    def _alone(self, hits: _Hits, quality: npt.NDArray[np.uint8]) -> Built:
        """Events of one hit each."""
        members = np.full((len(hits), self.sources), -1, np.int64)
        members[np.arange(len(hits)), hits.source] = hits.number
        return Built(members, quality, hits.key)


class _Cut:
    """Sorted hits, cut into events."""

    def __init__(self, hits: _Hits, window: int, sources: int) -> None:
        n = len(hits)
        self.hits = hits
        self.starts = _starts(hits.key, window)
        events = len(self.starts)
        self.begin = hits.key[self.starts]
        self.end = self.begin + window
        """Highest key that belongs to the event."""
        self.index = np.repeat(np.arange(events), np.diff(self.starts, append=n))
        """Event of each hit."""
        place = self.index * sources + hits.source
        first = np.full(events * sources, -1, np.int64)
        order = np.arange(n)
        first[place[::-1]] = order[::-1]  # of several hits at one place the first stays
        self.is_further = first[place] != order
        """Whether an event has an earlier hit of the same source."""
        self.first = first.reshape(events, sources)
        """Place of the first hit of each source among the hits, -1 = none."""
        self.has = self.first >= 0
        self.first_key = hits.key[self.first]

    def oldest(self) -> npt.NDArray[np.float64]:
        """When the first hit of each event was handed in."""
        return np.minimum.reduceat(self.hits.arrived, self.starts)


def _starts(keys: Ints, window: int) -> Ints:
    """Where an event begins among sorted keys."""
    apart = np.diff(keys) > window
    starts = np.concatenate(([0], np.flatnonzero(apart) + 1))
    last = np.concatenate((starts[1:], [len(keys)])) - 1
    if not window or (keys[last] - keys[starts] <= window).all():
        return starts
    following = np.searchsorted(keys, keys + window, side="right").tolist()
    chain, at = [], 0
    while at < len(following):
        chain.append(at)
        at = following[at]
    return np.array(chain, np.int64)
