"""The watching end of a ring: copies of recent events, never in anybody's way."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._client import Client, Wait
from mimodaq.ring._core import OBSERVER_BIT, Core, locked

_TRIES = 100


class Observed(NamedTuple):
    """A copy of one event."""

    event: np.void
    counter: int
    timestamp: float
    """Seconds UTC."""
    deadtime: float
    """Fraction, -1 if unknown."""
    sequence: int
    """Number of the event in the ring."""

    @classmethod
    def of(cls, core: Core, slot: int, sequence: int) -> Self:
        """A copy of what is in a slot at this moment."""
        event = core.events[slot : slot + 1].copy()[0]
        counter, timestamp, deadtime = core.counter[slot], core.timestamp[slot], core.deadtime[slot]
        return cls(event, int(counter), float(timestamp), float(deadtime), sequence)


class Recent(NamedTuple):
    """Copies of several events, oldest first."""

    events: np.ndarray
    """The ring's record dtype, shape (n,)."""
    sequence: np.ndarray
    """int64 (n,): their numbers in the ring; one that is missing was overwritten while it was copied."""
    counter: np.ndarray
    """int64 (n,)."""
    timestamp: np.ndarray
    """float64 (n,), seconds UTC."""
    deadtime: np.ndarray
    """float64 (n,), fraction, -1 if unknown."""
    newest: int
    """Number of the newest event of the ring, -1 = none yet."""
    is_ended: bool
    """No event will come any more."""


class Observer(Client):
    """Looks at the newest event; blocks nobody, and what it misses is counted."""

    _role = lay.OBSERVER
    _peer = lay.WRITER
    _waits_for_data = True
    _mask = OBSERVER_BIT

    def __init__(self, core: Core, name: str, label: str) -> None:
        super().__init__(core, name, label)
        self._seen = -1
        self.skipped = 0
        """Events that went by between the ones given."""
        self.torn = 0
        """Copies thrown away because the slot was written again meanwhile."""

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end of the block."""
        return self

    def get(self, timeout: float | None = None) -> Observed | None:
        """A copy of the newest event not yet given; waits for one. None at the end of the stream.

        Raises TimeoutError after `timeout` seconds, RingClosed after an abort.
        """
        for _ in range(_TRIES):
            self._check()
            place = self._wait(self._attempt, timeout)
            if place is None:
                raise TimeoutError(f"ring {self.name} had no new event for {timeout} s")
            slot, sequence = place
            if slot < 0:
                return None
            core = self._core
            found = Observed.of(core, slot, sequence)
            core.fence()
            if core.sequence[slot] == sequence:
                self.skipped += sequence - self._seen - 1 if self._seen >= 0 else 0
                self._seen = sequence
                return found
            self.torn += 1
        raise TimeoutError(
            f"ring {self.name}: no event stayed long enough to be copied in {_TRIES} tries; more slots would help"
        )

    def recent(self, n: int, after: int = -1) -> Recent:
        """Copies of the newest `n` events whose number is larger than `after`, perhaps none; never waits.

        Raises RingClosed after an abort.
        """
        self._check()
        core = self._core
        head, is_ended = locked(core, self._look)
        begin = max(after + 1, head - min(n, core.slots))
        numbers = np.arange(min(begin, head), head)  # a begin that no int64 can hold would make floats
        slots = core.order[numbers % core.slots]
        columns = (core.raw, core.sequence, core.counter, core.timestamp, core.deadtime)
        parts = [column[slots] for column in columns]
        core.fence()
        is_whole = (parts[1] == numbers) & (core.sequence[slots] == numbers)
        self.torn += len(numbers) - int(np.count_nonzero(is_whole))
        raw, sequence, counter, timestamp, deadtime = (part[is_whole] for part in parts)
        return Recent(raw.view(self.dtype), sequence, counter, timestamp, deadtime, head - 1, is_ended)

    def _look(self) -> tuple[int, bool]:
        self._core.harvest_writers()
        return self._words[self._core.control + lay.HEAD], self._core.ended()

    def _attempt(self) -> tuple[int, int] | Wait:
        """The slot and number of the newest event, slot -1 at the end of the stream."""
        core, w = self._core, self._words
        w[self._row + lay.WAITING] = 0
        if w[core.control + lay.FLAGS] & lay.CLOSED:
            self._check()
        core.harvest_writers()
        newest = w[core.control + lay.HEAD] - 1
        if newest > self._seen:
            slot = int(core.order[newest % core.slots])
            if core.sequence[slot] == newest:  # otherwise it is being overwritten, and a newer one comes
                return slot, newest
        if core.ended():
            return -1, 0
        return self._sleep()
