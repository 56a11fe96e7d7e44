"""The reading end of a ring: a member of a reader group."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._client import LINGER_S, Batch, Client, Wait
from mimodaq.ring._core import Core, locked
from mimodaq.ring._mutex import WEAKLY_ORDERED

_GROWTH: Final = 4


class _End:
    """The stream has ended."""


_END: Final = _End()


class Reader(Client):
    """Gets every event of its group that no other member of the group gets, in order.

    The order is that of each writer; what another member gave back, or left behind when it died, comes late.
    Several events are taken under one lock operation when they are worked off fast (at most what one millisecond
    needs); a slow reader takes one at a time. A release is one store. What a reader has not released when its process
    dies goes back to the group.
    """

    _role = lay.READER
    _peer = lay.WRITER
    _waits_for_data = True

    def __init__(self, core: Core, name: str, label: str, group: int, *, kept: bool = False) -> None:
        self._mask = 1 << group
        self.group = core.text(core.group(group) + lay.NAME, lay.NAME_BYTES)
        """Name of the reader group."""
        super().__init__(core, name, label, group, kept=kept)
        self._events = core.events.view()
        self._events.flags.writeable = False  # other groups read the same slot
        self._fence = core.fence
        self._done = self._row + lay.DONE_COUNT
        self._handed = self._row + lay.HANDED
        self._run: Sequence[int] = ()
        self._base = self._words[self._handed]
        self._next = 0
        self._slot = -1
        self._want = 1
        self._taken_at = 0.0

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end of the block."""
        return self

    def get(self, timeout: float | None = None) -> np.void | None:
        """The next event; all earlier ones are released. None at the end of the stream.

        A view into the ring, valid until the next call. Blocks while there is none; raises TimeoutError after
        `timeout` seconds, RingClosed after an abort.
        """
        j = self._next
        w = self._words
        if j < len(self._run) and not w[self._attention]:
            position = self._base + j
            if WEAKLY_ORDERED:
                self._fence()
            w[self._done] = position
        else:
            if not self._refill(1, timeout, release=True):
                return None
            j = self._next
            position = self._base + j
        w[self._handed] = position + 1
        self._next = j + 1
        self._slot = slot = self._run[j]
        return self._events[slot]  # type: ignore[no-any-return]

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        """Up to `n` consecutive events, as views; None at the end of the stream. Does not release earlier ones.

        Gives an empty batch when `timeout` seconds passed without an event. The end is given at once to a reader that
        still holds events (it shall release them and close); one that holds none waits until its group has finished,
        because the events of a member that dies come to it. Raises RingClosed after an abort.
        """
        j = self._next
        if j >= len(self._run) or self._words[self._attention]:
            try:
                if not self._refill(n, timeout, release=False):
                    return None
            except TimeoutError:
                return self._batch(0, 0)
            j = self._next
        run = self._run
        first = run[j]
        end = min(j + n, len(run))
        if type(run) is not range:
            stop, end = end, j + 1
            while end < stop and run[end] == run[end - 1] + 1:
                end += 1
        self._words[self._handed] = self._base + end
        self._next = end
        self._slot = first
        return self._batch(first, first + end - j)

    def _batch(self, begin: int, end: int) -> Batch:
        core = self._core
        return Batch(
            self._events[begin:end],
            core.counter[begin:end],
            core.timestamp[begin:end],
            core.deadtime[begin:end],
        )

    def sequences(self, n: int) -> np.ndarray:
        """Sequence numbers in this ring of the first `n` events of the batch last taken, int64 (n,)."""
        return self._core.sequence[self._slot : self._slot + n].copy()

    def release(self, n: int | None = None) -> None:
        """Release the oldest `n` events taken and not yet released (default: all); their views are void then."""
        if not self._open:
            self._check()
        w = self._words
        done = w[self._done]
        taken = self._base + self._next
        if n is not None:
            if not 0 <= n <= taken - done:
                raise ValueError(f"ring {self.name}: {n} events to release, {taken - done} are taken")
            taken = done + n
        self._fence()
        w[self._done] = taken
        if w[self._attention] or self._next >= len(self._run):
            locked(self._core, self._release_locked)

    @property
    def stream(self) -> int:
        """Number of the stream that passes through a kept place: random, made with the place; 0 otherwise."""
        return self._words[self._row + lay.STREAM]

    @property
    def taken(self) -> int:
        """Events handed out to this place so far; in a kept place its predecessors are included."""
        return self._words[self._handed]

    @property
    def released(self) -> int:
        """Events released by this place so far; events `released` to `taken - 1` are in hand."""
        return self._words[self._done]

    def again(self, first: int, n: int) -> Batch:
        """The `n` events in hand from the one on that was handed to this place as number `first`.

        Views if they lie in consecutive slots, copies otherwise. Raises ValueError for events not in hand.
        """
        self._check_in_hand(first, n)
        core = self._core
        slots = core.held(self._index, first, first + n)
        where = core.run_of(slots) or slots
        return Batch(self._events[where], core.counter[where], core.timestamp[where], core.deadtime[where])

    def sequence_of(self, number: int) -> int:
        """Sequence number in this ring of the event in hand that was handed to this place as that number."""
        self._check_in_hand(number, 1)
        core = self._core
        return int(core.sequence[core.held(self._index, number, number + 1)[0]])

    def _check_in_hand(self, first: int, n: int) -> None:
        if not self.released <= first <= first + n <= self.taken:
            raise ValueError(
                f"ring {self.name}: events {first} to {first + n - 1} were asked for, {self.label} has "
                f"{self.released} to {self.taken - 1} in hand"
            )

    def is_at_end(self) -> bool:
        """Whether the stream has ended and no event can come to this place any more, not even from another member."""
        self._check()
        return locked(self._core, self._is_at_end)

    def _is_at_end(self) -> bool:
        core, w = self._core, self._words
        core.harvest_writers()
        core.harvest_readers()
        pending, reading, _ = core.left(w[self._row + lay.GROUP])
        return core.ended() and pending == 0 and reading == w[self._row + lay.TAKEN] - w[self._row + lay.HARVESTED]

    def resign(self) -> None:
        """Give up a kept place: the events in hand go back to the group, and a successor begins a new stream."""
        self._give_up(self._core.forfeit)

    def retire(self) -> None:
        """Close a kept place before its stream has ended: the events in hand go back to the group, and no more come.

        The place stays on record with what it has released, as after `close`, but nobody is blamed for the rest.
        """
        self._give_up(self._core.retire)

    @property
    def has_event(self) -> bool:
        """Whether an event was given, so that `counter` and the like mean something."""
        return self._slot >= 0

    @property
    def counter(self) -> int:
        """Event counter of the event last given by `get`, or of the first of the batch last taken."""
        return int(self._core.counter[self._slot])

    @property
    def timestamp(self) -> float:
        """Time stamp of that event, seconds UTC."""
        return float(self._core.timestamp[self._slot])

    @property
    def deadtime(self) -> float:
        """Dead-time fraction of that event, -1 if unknown."""
        return float(self._core.deadtime[self._slot])

    @property
    def sequence(self) -> int:
        """Sequence number in this ring of that event."""
        return int(self._core.sequence[self._slot])

    def available(self) -> int:
        """Number of events this reader could get without waiting. Raises RingClosed after an abort."""
        self._check()
        return locked(self._core, self._available_locked)

    def _available_locked(self) -> int:
        self._core.harvest_writers()
        w = self._words
        group = self._core.group(w[self._row + lay.GROUP])
        waiting = w[self._core.control + lay.HEAD] - w[group + lay.NEXT] + w[group + lay.RETURNED]
        return waiting + len(self._run) - self._next

    def _forget(self) -> None:
        self._run = ()

    def _release_locked(self) -> None:
        self._core.harvest_readers(self._index)

    def _refill(self, n: int, timeout: float | None, *, release: bool) -> bool:
        """Give back and take; false at the end of the stream."""
        self._check()
        if release:
            self._fence()
            self._words[self._done] = self._base + self._next
        used = self._next
        if self.is_kept or self._words[self._attention] or not used:
            self._want = 1
        else:
            busy = max(time.monotonic() - self._taken_at, 1e-9)
            self._want = max(1, min(self._want * _GROWTH, int(LINGER_S * used / busy)))
        outcome = self._wait(lambda: self._attempt(n), timeout)
        if outcome is None:
            raise TimeoutError(f"ring {self.name} had no event for {timeout} s")
        self._taken_at = time.monotonic()
        return outcome is not _END

    def _attempt(self, n: int) -> bool | _End | Wait:
        core, w = self._core, self._words
        self._run = ()  # what is not yet given to the caller goes back; an exception may strike anywhere below
        w[self._row + lay.WAITING] = w[self._row + lay.SOON] = 0
        w[self._attention] = 0
        core.harvest_readers(self._index)
        core.give_back(self._index, self._base + self._next)
        self._base, self._next = w[self._row + lay.TAKEN], 0
        if w[core.control + lay.FLAGS] & lay.CLOSED:
            self._check()
        group = w[self._row + lay.GROUP]
        core.harvest_writers(but=group)
        slots = core.take(self._index, max(n, self._want))
        if len(slots):
            w[self._row + lay.SOON] = self._want > 1 and len(slots) <= self._want
            at = core.group(group)
            if w[core.control + lay.HEAD] > w[at + lay.NEXT] or w[at + lay.RETURNED]:
                core.wake_readers()
            run = core.run_of(slots)
            self._run = range(run.start, run.stop) if run else slots.tolist()
            return True
        if core.ended() and self._is_group_finished(group):
            core.wake_readers(everybody=True)  # other members wait for exactly this
            return _END
        return self._sleep()

    def _is_batch_open(self) -> bool:
        """Whether a writer may go on without the lock, or a sister keeps events or leaves them to this reader."""
        return super()._is_batch_open() or self._core.is_group_at_work(self._words[self._row + lay.GROUP])

    def _call_peers(self) -> None:
        super()._call_peers()
        self._core.call_to_lock(lay.READER, self._words[self._row + lay.GROUP])

    def _is_group_finished(self, group: int) -> bool:
        """Whether nothing can come back to this reader: it holds events itself, or no other member does."""
        core, w = self._core, self._words
        if w[self._row + lay.TAKEN] > w[self._row + lay.HARVESTED]:
            return True
        core.harvest_readers()
        pending, reading, _ = core.left(group)
        return not pending + reading
