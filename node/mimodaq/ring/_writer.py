"""The writing end of a ring."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._client import LINGER_S, Batch, Client, Wait
from mimodaq.ring._core import Core, locked
from mimodaq.ring._errors import RingEnding, RingFull
from mimodaq.ring._mutex import WEAKLY_ORDERED

_GROWTH: Final = 4


class Writer(Client):
    """Puts events into a ring, one at a time or in batches.

    Slots are claimed under the lock, several at once when events come fast; a commit is one store that any reader
    finds for itself, so it never waits for the next event. The writer waits when every slot is in use (the time is
    charged to the reader group that holds the oldest event) and while the ring is paused.
    """

    _role = lay.WRITER
    _peer = lay.READER
    _waits_for_data = False
    _mask = 1

    def __init__(self, core: Core, name: str, label: str, *, kept: bool = False) -> None:
        super().__init__(core, name, label, kept=kept)
        self._raw = core.raw
        self._events = core.events
        self._counter = core.counter
        self._timestamp = core.timestamp
        self._deadtime = core.deadtime
        self._fence = core.fence
        self._size = self.dtype.itemsize
        self._same: np.dtype[Any] = self.dtype
        self._committed = self._row + lay.COMMITTED
        self._filling = self._row + lay.FILLING
        self._i = self._end = 0
        self._want = 1
        self._since = time.monotonic()
        self._begin = 0
        self._in_hand = 0
        self._blamed: list[int] = []
        self._wait_from = 0
        self.waited_s = 0.0
        """Seconds this writer has waited for free slots (pauses not counted): its dead time."""

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end of the block."""
        return self

    def put(
        self,
        event: np.void | np.ndarray | bytes | Mapping[str, Any],
        counter: int | None = None,
        timestamp: float | None = None,
        deadtime: float | None = None,
    ) -> None:
        """Copy one event into the ring and commit it; blocks while the ring is full or paused.

        `event` is a record of the ring's dtype (also as array of one element), its bytes, or a mapping of field name to
        values (fields not named are zero). Defaults of the metadata: the sequence number in this ring, the time
        now, -1. Raises RingEnding when writers must stop, RingClosed after an abort, TypeError or ValueError when the
        event does not fit.
        """
        i = self._i
        if i == self._end or self._in_hand or self._words[self._attention]:
            i = self._refill(1, None)
        try:
            self._words[self._filling] = i + 1
            if (type(event) is bytes and len(event) == self._size) or (
                type(event) is np.void and (event.dtype is self._same or self._is_same(event.dtype))
            ):
                self._raw[i] = event
            else:
                self._store(i, event)
            if counter is not None:
                self._counter[i] = counter
            if timestamp is not None:
                self._timestamp[i] = timestamp
            if deadtime is not None:
                self._deadtime[i] = deadtime
        except BaseException:
            self._words[self._attention] = 1  # the slot is given back and claimed afresh: its metadata may be half set
            raise
        if WEAKLY_ORDERED:
            self._fence()
        self._i = i = i + 1
        self._words[self._committed] = i
        if i == self._end:
            self._publish()

    def slot(self, timeout: float | None = None) -> np.void:
        """The next free slot, to be filled in place and then committed; blocks while the ring is full or paused.

        It may hold older data. What was in hand and not committed is given back first. Raises RingFull after `timeout`
        seconds, RingEnding, RingClosed.
        """
        i = self._i
        if i == self._end or self._in_hand or self._words[self._attention]:
            i = self._refill(1, timeout)
        self._words[self._filling] = i + 1
        self._in_hand = 1
        return self._events[i]  # type: ignore[no-any-return]

    def commit(self, counter: int | None = None, timestamp: float | None = None, deadtime: float | None = None) -> None:
        """Commit the slot given by `slot`; metadata as in `put`. Without a slot in hand nothing happens."""
        if not self._in_hand:
            return
        i = self._i
        if counter is not None:
            self._counter[i] = counter
        if timestamp is not None:
            self._timestamp[i] = timestamp
        if deadtime is not None:
            self._deadtime[i] = deadtime
        self._advance(1)

    def claim(self, n: int, timeout: float | None = None, *, afresh: bool = False) -> Batch:
        """Up to `n` (at least one) consecutive free slots to be filled in place, events and metadata.

        What is left of the last run of slots may be fewer although more are free; with `afresh` it is given back then.
        Blocks until there is one. They stay in hand until `commit_batch`; what was in hand before and not committed is
        given back first. Raises RingFull after `timeout` seconds, RingEnding, RingClosed.
        """
        i = self._i
        is_short = i == self._end or (afresh and i + n > self._end)
        if is_short or self._in_hand or self._words[self._attention]:
            i = self._refill(n, timeout)
        end = min(i + n, self._end)
        self._words[self._filling] = i + 1
        self._in_hand = end - i
        return Batch(self._events[i:end], self._counter[i:end], self._timestamp[i:end], self._deadtime[i:end])

    def commit_batch(self, n: int | None = None) -> None:
        """Commit the first `n` slots of the claimed batch (default: all of it); the rest is free again."""
        n = self._in_hand if n is None else n
        if not 0 <= n <= self._in_hand:
            raise ValueError(f"ring {self.name}: {n} slots to commit, {self._in_hand} are in hand")
        if n < self._in_hand:
            self._core.preset(self._i + n, self._i + self._in_hand)
        if self._in_hand:
            self._advance(n)

    @property
    def stream(self) -> int:
        """Number of the stream that a kept writer passes on, 0 = none yet."""
        return self._words[self._row + lay.STREAM]

    def begin_stream(self, stream: int, position: int) -> None:
        """Let the next event that this kept writer commits be number `position` of stream `stream` (not 0)."""
        locked(self._core, self._begin_stream, stream, position)

    def _begin_stream(self, stream: int, position: int) -> None:
        self._publish_locked()
        self._core.begin_stream(self._index, stream, position)

    def room(self) -> int:
        """Number of slots that could be claimed now without waiting; 0 while the ring is paused or ending."""
        return locked(self._core, self._room)

    def _room(self) -> int:
        core = self._core
        core.harvest_readers()
        if self._words[core.control + lay.FLAGS]:
            return 0
        return min(core.slots - int(np.count_nonzero(core.state)), core.events_wanted())

    def flush(self) -> None:
        """Make every committed event visible now, without waiting for readers to look."""
        locked(self._core, self._publish_locked)

    def _publish_locked(self) -> None:
        if self._core.publish(self._index):
            self._core.wake_readers()

    @property
    def is_ending(self) -> bool:
        """Whether writers are asked to stop."""
        return bool(self._words[self._core.control + lay.FLAGS] & (lay.ENDING | lay.CLOSED))

    @property
    def is_paused(self) -> bool:
        """Whether the ring is paused: the next claim would block."""
        return bool(self._words[self._core.control + lay.FLAGS] & lay.PAUSED)

    def _forget(self) -> None:
        self._begin = self._i = self._end = self._in_hand = 0

    def _advance(self, n: int) -> None:
        if WEAKLY_ORDERED:
            self._fence()
        self._in_hand = 0
        self._i += n
        self._words[self._committed] = self._i
        if self._i == self._end or self._words[self._attention]:
            self._publish()
        elif not n:
            self._words[self._filling] = 0

    def _is_same(self, dtype: np.dtype[Any]) -> bool:
        """Whether events of `dtype` can be copied byte by byte; the object is remembered, comparing is slow."""
        if dtype == self.dtype:
            self._same = dtype
        return dtype is self._same

    def _store(self, i: int, event: object) -> None:
        """Copy an event that is not simply the bytes of a record."""
        if isinstance(event, np.ndarray) and event.size == 1 and self._is_same(event.dtype):
            self._raw[i] = event.reshape(1)[0]
        elif isinstance(event, Mapping):
            unknown = [name for name in event if name not in (self.dtype.names or ())]
            if unknown:
                raise ValueError(
                    f"ring {self.name} has no field {unknown[0]!r}; it has {', '.join(self.dtype.names or ())}"
                )
            record = self._events[i]
            for name in self.dtype.names or ():
                record[name] = event.get(name, 0)
        elif isinstance(event, bytes | bytearray | memoryview):
            raw = bytes(event)
            if len(raw) != self._size:
                raise ValueError(f"ring {self.name}: an event has {self._size} bytes, {len(raw)} were given")
            self._raw[i] = raw
        else:
            found = getattr(event, "dtype", type(event).__name__)
            raise TypeError(f"ring {self.name} takes events of {self.dtype}, not {found}")

    def _publish(self) -> None:
        """Make the finished run visible, and go on with the next one at once if there is room."""
        self._adapt()
        if not locked(self._core, self._turn):
            self._begin = self._i = self._end

    def _turn(self) -> bool:
        core, w = self._core, self._words
        self._publish_locked()
        if self._want == 1 or w[self._attention] or w[core.control + lay.FLAGS]:
            return False
        return self._claim(0)

    def _adapt(self) -> None:
        """Choose how many slots to claim: those needed for one millisecond at the present rate.

        The rate is that of the caller: counted is the time between two commits, not that spent in waiting for slots.
        """
        used = self._i - self._begin
        now = time.monotonic()
        if self.is_kept or self._words[self._attention] or not used:
            self._want = 1
        else:
            busy = max(now - self._since, 1e-9)
            self._want = max(1, min(self._want * _GROWTH, int(LINGER_S * used / busy)))
        if used:
            self._since = now

    def _claim(self, n: int) -> bool:
        """Get at least `n` slots if there are any, without waiting; called with the lock held.

        More than asked for are claimed only as far as half of the slots (and of the events wanted) remain for others:
        this writer may fall silent.
        """
        core = self._core
        core.harvest_readers()
        wanted = core.events_wanted()
        share = min(core.slots, wanted) // (2 * len(core.clients(lay.WRITER)))
        begin, end = core.claim(self._index, min(wanted, max(n, min(self._want, share))))
        if begin == end:
            return False
        self._begin = self._i = begin
        self._end = end
        return True

    def _refill(self, n: int, timeout: float | None) -> int:
        """Publish what is committed and get more slots; returns the first."""
        self._check()
        self._adapt()
        begin = time.monotonic()
        try:
            outcome = self._wait(lambda: self._attempt(n), timeout)
        finally:
            self._since += time.monotonic() - begin
            if self._wait_from:
                locked(self._core, self._charge)
        if outcome is None:
            raise RingFull(f"ring {self.name} had no free slot for {timeout} s: its readers do not keep up")
        return self._i

    def _attempt(self, n: int) -> bool | Wait:
        core, w = self._core, self._words
        self._in_hand = 0  # and none of the run: an exception may strike anywhere below
        self._begin = self._i = self._end
        w[self._row + lay.WAITING] = 0
        w[self._attention] = 0
        self._publish_locked()
        core.unclaim(self._index)
        self._charge()
        flags = w[core.control + lay.FLAGS]
        if flags & lay.CLOSED:
            self._check()
        if flags & lay.ENDING:
            raise RingEnding(f"ring {self.name}: the run is ending")
        if flags & lay.PAUSED:
            return self._sleep()
        if self._claim(n):
            return True
        limit = w[core.control + lay.LIMIT]
        if limit and w[core.control + lay.HEAD] >= limit:
            raise RingEnding(f"ring {self.name}: all {limit} events asked for are taken")
        self._blamed = core.blamed()
        self._wait_from = time.monotonic_ns()
        return self._sleep()

    def _charge(self) -> None:
        """Book the time since the last look to those this writer waits for."""
        if self._wait_from:
            waited = time.monotonic_ns() - self._wait_from
            self._wait_from = 0
            self.waited_s += waited / 1e9
            self._words[self._row + lay.C_WAIT_NS] += waited
            for group in self._blamed:
                self._words[self._core.group(group) + lay.BLAME_NS] += waited
