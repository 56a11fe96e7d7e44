"""The lock of a ring, its redo log, and the decision which change comes next. All methods need the lock held.

Theory of operation
-------------------
The slot table (`_table`) is the truth. A slot goes free → writing → ready → free, and while it is ready, for each
reader group: pending → reading → done. Two things happen without the lock: a writer advances its
COMMITTED word, a reader its DONE_COUNT and HANDED words; anybody who holds the lock *harvests* them, that is
publishes committed slots and frees released ones. So nobody waits for a batch to be complete, and no commit waits
for the next event.

A change consists of several stores, and its process can be killed between any two. Therefore each change first
writes its operation and arguments into the redo log (the words OP and ARG...), is carried out by a function of
`_changes`, which gives the same result when carried out again, and clears OP last. Who finds OP set after taking the
lock from a dead owner carries it out again.
"""

from __future__ import annotations

import inspect
import mmap
from collections.abc import Callable
from ctypes import addressof, c_char
from typing import Final, ParamSpec, TypeVar

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._changes import (
    CHANGES,
    CLAIM,
    DISCARD,
    LEAVE,
    PUBLISH,
    RELEASE,
    RETURN,
    STREAM,
    TAKE,
    UNCLAIM,
)
from mimodaq.ring._errors import RingError
from mimodaq.ring._mutex import Fence, Mutex, futex_wake
from mimodaq.ring._table import Table

OBSERVER_BIT: Final = 1 << 31

P = ParamSpec("P")
T = TypeVar("T")


class _NotNow(RingError):
    """A ring was used by code that has interrupted a change of the same ring in the same thread."""


def locked(core: Core, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Carry out `change` with the lock held; an exception (Ctrl-C) at any moment leaves the ring whole and unlocked."""
    try:
        core.enter()
        outcome = change(*args, **kwargs)
        core.leave()
    except _NotNow:
        raise
    except BaseException:
        core.recover()
        raise
    return outcome


class Core(Table):
    """One mapped segment with its lock: its table, and every change of it."""

    def __init__(self, mapping: mmap.mmap, layout: lay.Layout, dtype: np.dtype[np.void]) -> None:
        super().__init__(mapping, layout, dtype)
        base, raw = addressof(c_char.from_buffer(mapping)), memoryview(mapping)
        self.mutex_address = base + layout.mutex
        self.mutex = Mutex(self.mutex_address, raw[layout.mutex : layout.mutex + 64].cast("I"))
        self.data_futex = base + layout.futex
        self.space_futex = base + layout.futex + 128
        self._futexes = raw[layout.futex : layout.futex + 256].cast("I")
        self._to_wake: list[tuple[int, int, int]] = []
        self.fence = Fence()

    # -- the lock -------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Take the lock; finish what a dead owner has begun."""
        if self.mutex.acquire():
            self._refuse_interruption()
            self.words[self.control + lay.REPAIRS] += 1
            self.redo()

    def leave(self) -> None:
        """Give the lock back."""
        sleepers, self._to_wake = self._to_wake, []
        self.mutex.release()
        for sleeper in sleepers:  # after the release, so that they do not run into the lock
            futex_wake(*sleeper)

    def recover(self) -> None:
        """Give the lock back after an exception if it is held; finish first what was interrupted."""
        if self.mutex.is_mine():
            self.mutex.mend()
            self.redo()
            self.leave()

    def _refuse_interruption(self) -> None:
        """Raise RingError if this thread is in the middle of a change already, lower on its stack."""
        frame, levels = inspect.currentframe(), 0
        while frame is not None:
            levels += frame.f_code is locked.__code__ and frame.f_locals["core"] is self
            frame = frame.f_back
        if levels > 1:
            raise _NotNow(
                "a ring was used by a signal handler or finaliser in the middle of another operation on the same ring: "
                "let it set a flag only, and use the ring outside"
            )

    def redo(self) -> None:
        """Carry out again the change in the log, if there is one."""
        c = self.control
        operation = self.words[c + lay.OP]
        if operation:
            arguments = self.words[c + lay.ARG : c + lay.ARG + 6].tolist()
            CHANGES[operation](self, *arguments)
            self.words[c + lay.OP] = 0

    def _change(self, operation: int, a: int, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> None:
        w = self.words
        at = self.control + lay.ARG
        w[at] = a
        w[at + 1] = b
        w[at + 2] = c
        w[at + 3] = d
        w[at + 4] = e
        w[at + 5] = f
        w[self.control] = operation
        CHANGES[operation](self, a, b, c, d, e, f)
        w[self.control] = 0

    # -- waking: done when the lock is given back; a process killed in between costs its sleepers a time slice ---

    def futex_value(self, data: bool) -> int:
        """Present value of the futex word for data (readers sleep on it) or for space (writers)."""
        return self._futexes[0 if data else 32]

    def wake_readers(self, everybody: bool = False, but: int = -1) -> None:
        """Wake one sleeper of each reader group (it wakes the next if it leaves events) but one, and the observers.

        Those of a group who look again by themselves are let alone while another member is at work and back soon: it
        can have the events at less cost, and on a machine with few cores those woken would run in place of the writer.
        """
        self._futexes[0] = (self._futexes[0] + 1) & 0xFFFFFFFF
        w = self.words
        asleep = napping = soon = 0
        for index in range(w[self.control + lay.HIGH]):
            row = self.client(index)
            role, waiting = w[row + lay.ROLE], w[row + lay.WAITING]
            if role == lay.READER and w[row + lay.GROUP] != but:
                bit = 1 << w[row + lay.GROUP]
                if waiting == lay.ASLEEP:
                    asleep |= bit
                elif waiting == lay.NAPPING:
                    napping |= bit
                elif self.is_back_soon(row):
                    soon |= bit
            elif role == lay.OBSERVER and waiting:
                asleep |= OBSERVER_BIT
        mask = asleep | (napping if everybody else napping & ~soon)
        while mask:
            bit = mask & -mask
            mask ^= bit
            self._to_wake.append((self.data_futex, lay.MAX_CLIENTS if everybody or bit == OBSERVER_BIT else 1, bit))

    def wake_writers(self) -> None:
        """Wake every writer that waits for a free slot."""
        self._futexes[32] = (self._futexes[32] + 1) & 0xFFFFFFFF
        w = self.words
        if any(w[self.client(i) + lay.WAITING] for i in self.clients(lay.WRITER)):
            self._to_wake.append((self.space_futex, lay.MAX_CLIENTS, 1))

    def wake_all(self) -> None:
        """Wake everybody: the state of the ring has changed."""
        self.wake_readers(everybody=True)
        self.wake_writers()

    def call_to_lock(self, role: int, group: int | None = None) -> None:
        """Ask all clients of a role (and of a reader group) to come to the lock at their next event."""
        for index in self.clients(role):
            row = self.client(index)
            if group is None or self.words[row + lay.GROUP] == group:
                self.words[row + lay.ATTENTION] = 1

    # -- writers --------------------------------------------------------------------------------------------

    def harvest_writers(self, but: int = -1) -> None:
        """Publish what writers have committed, and wake readers for it, those of one group excepted."""
        if sum([self.publish(index) for index in self.clients(lay.WRITER)]):
            self.wake_readers(but=but)

    def publish(self, index: int) -> int:
        """Publish what one writer has committed; returns the number of events."""
        w = self.words
        row = self.client(index)
        begin, end = w[row + lay.PUBLISHED], w[row + lay.COMMITTED]
        if end > begin:
            self.fence()
            self._change(PUBLISH, index, begin, end, w[self.control + lay.HEAD], w[row + lay.EVENTS])
        return end - begin

    def claim(self, index: int, want: int) -> tuple[int, int]:
        """Claim up to `want` consecutive free slots, next-fit; returns (begin, end), equal when none is free."""
        if want < 1:
            return 0, 0
        state = self.layout.state
        m = self.mapping
        cursor = self.words[self.control + lay.CURSOR]
        begin = m.find(b"\0", state + cursor, state + self.slots)
        if begin < 0:
            begin = m.find(b"\0", state, state + cursor)
            if begin < 0:
                return 0, 0
        begin -= state
        taken = m[state + begin : state + min(begin + want, self.slots)]
        end = begin + len(taken) - len(taken.lstrip(b"\0"))
        self._change(CLAIM, index, begin, end)
        self.fence()
        return begin, end

    def unclaim(self, index: int, *, died: bool = False) -> None:
        """Free the slots of a writer's run that are not committed; count the one it was filling when it died."""
        w = self.words
        row = self.client(index)
        begin, end = w[row + lay.PUBLISHED], w[row + lay.RUN_END]
        if end > begin:
            lost = 1 if died and w[row + lay.FILLING] == w[row + lay.COMMITTED] + 1 else 0
            self._change(UNCLAIM, index, begin, end, w[self.control + lay.ABANDONED] + lost)

    # -- readers --------------------------------------------------------------------------------------------

    def harvest_readers(self, only: int = -1) -> None:
        """Release what readers (or only one) are done with, and wake who waits for that."""
        if sum([self.release(index) for index in ([only] if only >= 0 else self.clients(lay.READER))]):
            self.wake_writers()
            if self.ended():
                self.wake_readers(everybody=True)

    def release(self, index: int) -> int:
        """Release what one reader is done with; returns the number of events."""
        w = self.words
        row = self.client(index)
        begin, end = w[row + lay.HARVESTED], w[row + lay.DONE_COUNT]
        if end > begin:
            released = w[self.group(w[row + lay.GROUP]) + lay.RELEASED]
            self._change(RELEASE, index, begin, end, released, w[row + lay.EVENTS])
        return end - begin

    def take(self, index: int, want: int) -> np.ndarray:
        """Hand up to `want` events to a reader, oldest first; returns their slots, uint32 (n,), maybe none."""
        w = self.words
        row = self.client(index)
        g = w[row + lay.GROUP]
        group = self.group(g)
        head, following, returned = w[self.control + lay.HEAD], w[group + lay.NEXT], w[group + lay.RETURNED]
        if returned:
            slots = self.returned_slots(g, want)
            returned -= len(slots)
        else:
            n = min(want, head - following)
            at = following % self.slots
            slots = self.order[at : at + min(n, self.slots - at)]  # up to the wrap: the rest comes with the next call
            following += len(slots)
        if len(slots):
            taken = w[row + lay.TAKEN]
            at = taken % self.slots
            first = min(len(slots), self.slots - at)
            self.runs[index, at : at + first] = slots[:first]
            self.runs[index, : len(slots) - first] = slots[first:]
            self._change(TAKE, index, taken, taken + len(slots), following, returned)
        return slots

    def give_back(self, index: int, begin: int) -> None:
        """Return the events at positions from `begin` of a reader's list to its group.

        Those it has seen are counted: one that was seen too often is set aside, the others are redelivered.
        """
        w = self.words
        row = self.client(index)
        end = w[row + lay.TAKEN]
        if end > begin:
            g = w[row + lay.GROUP]
            seen = max(0, min(end, w[row + lay.HANDED]) - begin)
            deliveries = self.deliveries[g, self.held(index, begin, begin + seen)] + 1
            again = int(np.count_nonzero(deliveries < w[self.control + lay.MAX_DELIVERIES]))
            self._change(RETURN, index, begin, end, seen, w[self.group(g) + lay.REDELIVERED] + again)

    def discard(self, g: int, slot: int) -> None:
        """Count one event set aside as quarantined and let its slot go."""
        self._change(DISCARD, g, slot, self.words[self.group(g) + lay.QUARANTINED] + 1)

    # -- coming and going -----------------------------------------------------------------------------------

    def remove(self, index: int, *, closed: bool) -> None:
        """Take a client out: keep what it has committed or released, give back the rest; wake who waits."""
        w = self.words
        row = self.client(index)
        role = w[row + lay.ROLE]
        if role == lay.WRITER:
            self.publish(index)
            self.unclaim(index, died=not closed)
        elif role == lay.READER:
            self.release(index)
            # what the holder of a kept place has seen may be on its way: only the successor knows how to find out
            waits = w[row + lay.KEPT] and not closed
            self.give_back(index, w[row + (lay.HANDED if waits else lay.HARVESTED)])
        after = lay.NOBODY
        if w[row + lay.KEPT]:
            after = lay.FINISHED if closed else role
        finished = w[self.control + lay.CLOSED_WRITERS] + (1 if closed and role == lay.WRITER else 0)
        self._change(LEAVE, index, finished, w[self.control + lay.WAIT_NS] + w[row + lay.C_WAIT_NS], after)
        if role != lay.OBSERVER:
            self.wake_all()

    def forfeit(self, index: int) -> None:
        """Take a kept place out for good; its events go to other members of the group, not as those of a dead one."""
        w = self.words
        row = self.client(index)
        w[row + lay.KEPT] = 0  # from here on it is a place like any other, should this process die
        if w[row + lay.ROLE] == lay.READER:
            w[row + lay.HANDED] = w[row + lay.DONE_COUNT]
        self.remove(index, closed=False)

    def retire(self, index: int) -> None:
        """Close a kept reader's place for good; its events go to other members, not as those of a dead one.

        A process killed on the way leaves a place of another stream, which nobody can take for the old one.
        """
        w = self.words
        row = self.client(index)
        w[row + lay.STREAM] = ~w[row + lay.STREAM] & (1 << 62) - 1 | 1
        w[row + lay.HANDED] = w[row + lay.DONE_COUNT]
        self.remove(index, closed=True)

    def begin_stream(self, index: int, stream: int, position: int) -> None:
        """Let the next event that a kept writer commits be number `position` of another stream."""
        row = self.client(index)
        w = self.words
        self._change(STREAM, index, stream, w[row + lay.STREAM], position - w[row + lay.EVENTS])

    def reap(self) -> list[str]:
        """Take out the clients whose process has died; returns their labels."""
        labels = []
        for index in self.dead():
            labels.append(self.text(self.client(index) + lay.LABEL, lay.LABEL_BYTES))
            self.remove(index, closed=False)
        return labels
