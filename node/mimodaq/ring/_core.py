"""The state of a ring and every change of it. All methods but the constructor need the lock held.

Theory of operation
-------------------
The slot table is the truth. A slot goes free → writing → ready → free, and while it is ready, for each
reader group: pending → reading → done. Two things happen without the lock: a writer advances its
COMMITTED word, a reader its DONE_COUNT and HANDED words; anybody who holds the lock *harvests* them, that is
publishes committed slots and frees released ones. So nobody waits for a batch to be complete, and no commit waits
for the next event.

A change consists of several stores, and its process can be killed between any two. Therefore each change first
writes its operation and arguments into the redo log (the words OP and ARG...), is carried out by a method that gives
the same result when carried out again, and clears OP last. Who finds OP set after taking the lock from a dead owner
carries it out again. WARNING: a method named `_do_...` must depend on nothing but its arguments and on
words that it does not change itself.
"""

from __future__ import annotations

import inspect
import mmap
import time
from collections.abc import Callable
from ctypes import addressof, c_char
from typing import ClassVar, Final, ParamSpec, TypeVar

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._errors import RingError
from mimodaq.ring._mutex import Fence, Mutex, futex_wake
from mimodaq.ring._process import Identity, is_alive

_PUBLISH: Final = 1
_CLAIM: Final = 2
_UNCLAIM: Final = 3
_TAKE: Final = 4
_RELEASE: Final = 5
_RETURN: Final = 6
_LEAVE: Final = 7
_DISCARD: Final = 8
_STREAM: Final = 9

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


class Core:
    """One mapped segment: views of its parts, and the changes."""

    def __init__(self, mapping: mmap.mmap, layout: lay.Layout, dtype: np.dtype[np.void]) -> None:
        self.mapping = mapping
        self.layout = layout
        n = self.slots = layout.slots
        base = addressof(c_char.from_buffer(mapping))
        words = memoryview(mapping)
        self.words = words[: layout.total // 8 * 8].cast("q")
        self.control = layout.control // 8
        self.mutex = Mutex(base + layout.mutex, words[layout.mutex : layout.mutex + 64].cast("I"))
        self.mutex_address = base + layout.mutex
        self.data_futex = base + layout.futex
        self.space_futex = base + layout.futex + 128
        self._futexes = words[layout.futex : layout.futex + 256].cast("I")

        def array(offset: int, kind: str, *shape: int) -> np.ndarray:
            return np.ndarray(shape, dtype=kind, buffer=mapping, offset=offset)

        self.state = array(layout.state, "u1", n)
        self.writer_of = array(layout.writer, "i1", n)
        self.group_state = array(layout.group_state, "u1", lay.MAX_GROUPS, n)
        self.group_owner = array(layout.group_owner, "i1", lay.MAX_GROUPS, n)
        self.deliveries = array(layout.deliveries, "u1", lay.MAX_GROUPS, n)
        self.sequence = array(layout.sequence, "i8", n)
        self.counter = array(layout.counter, "i8", n)
        self.timestamp = array(layout.timestamp, "f8", n)
        self.deadtime = array(layout.deadtime, "f8", n)
        self.order = array(layout.order, "u4", n)
        self.runs = array(layout.runs, "u4", lay.MAX_CLIENTS, n)
        self.events = np.ndarray((n,), dtype=dtype, buffer=mapping, offset=layout.data)
        self.raw = np.ndarray((n,), dtype=f"V{dtype.itemsize}", buffer=mapping, offset=layout.data)
        self._numbers = np.arange(n, dtype="i8")
        self._slot_numbers = np.arange(n, dtype="u4")
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
            self._changes[operation](self, *arguments)
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
        self._changes[operation](self, a, b, c, d, e, f)
        w[self.control] = 0

    # -- places ---------------------------------------------------------------------------------------------

    def client(self, index: int) -> int:
        """Index in `words` of a client's first word."""
        return self.layout.clients // 8 + index * lay.CLIENT_WORDS

    def group(self, index: int) -> int:
        """Index in `words` of a group's first word."""
        return self.layout.groups // 8 + index * lay.GROUP_WORDS

    def clients(self, role: int) -> list[int]:
        """Indices of the registered clients of a role."""
        w = self.words
        first = self.client(0)
        high = w[self.control + lay.HIGH]
        return [i for i in range(high) if w[first + i * lay.CLIENT_WORDS] == role]

    def identity(self, index: int) -> Identity:
        """Which process a client is."""
        row = self.client(index)
        return Identity(*self.words[row + lay.PID : row + lay.PID + 3].tolist())

    def text(self, at: int, size: int) -> str:
        """The text stored at word `at`."""
        raw = bytes(self.words[at : at + size // 8].cast("B"))
        return raw.rstrip(b"\0").decode(errors="replace")

    def set_text(self, at: int, size: int, text: str) -> None:
        """Store a text at word `at`, cut to `size` bytes."""
        self.words[at : at + size // 8].cast("B")[:] = text.encode()[: size - 1].ljust(size, b"\0")

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
                elif self._is_back_soon(row):
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

    def is_group_at_work(self, group: int) -> bool:
        """Whether a member of the group keeps events that it has not begun with, or is back soon for more."""
        w = self.words
        rows = [self.client(index) for index in self.clients(lay.READER)]
        return any(
            w[row + lay.GROUP] == group and (w[row + lay.TAKEN] > w[row + lay.HANDED] or self._is_back_soon(row))
            for row in rows
        )

    def _is_back_soon(self, row: int) -> bool:
        """Whether a reader is busy for a millisecond at most, and then at the lock; not one that had to be called."""
        w = self.words
        return bool(w[row + lay.SOON] and not w[row + lay.WAITING] and not w[row + lay.ATTENTION])

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
            self._change(_PUBLISH, index, begin, end, w[self.control + lay.HEAD], w[row + lay.EVENTS])
        return end - begin

    def _do_publish(self, index: int, begin: int, end: int, head: int, events: int, _: int) -> None:
        n = end - begin
        sequence = np.add(self._numbers[:n], head, out=self.sequence[begin:end])
        counter = self.counter[begin:end]
        unset = counter < 0
        if b"\1" in unset.tobytes():
            np.copyto(counter, sequence, where=unset)
        timestamp = self.timestamp[begin:end]
        unset = timestamp != timestamp
        if b"\1" in unset.tobytes():
            np.copyto(timestamp, time.time(), where=unset)
        for g in range(self.words[self.control + lay.GROUPS]):
            self.group_state[g, begin:end] = lay.PENDING
            self.deliveries[g, begin:end] = 0
        at = head % self.slots
        first = min(n, self.slots - at)
        self.order[at : at + first] = self._slot_numbers[begin : begin + first]
        if first < n:
            self.order[: n - first] = self._slot_numbers[begin + first : end]
        # without any group nobody has to be waited for
        self.state[begin:end] = lay.READY if self.words[self.control + lay.GROUPS] else lay.FREE
        row = self.client(index)
        self.words[row + lay.PUBLISHED] = end
        self.words[row + lay.EVENTS] = events + n
        self.words[self.control + lay.HEAD] = head + n

    def events_wanted(self) -> int:
        """How many more events may be claimed before the limit of the ring is reached."""
        w = self.words
        limit = w[self.control + lay.LIMIT]
        if not limit:
            return self.slots
        claimed = 0
        for index in self.clients(lay.WRITER):
            row = self.client(index)
            claimed += max(0, w[row + lay.RUN_END] - w[row + lay.PUBLISHED])
        return max(0, limit - w[self.control + lay.HEAD] - claimed)

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
        self._change(_CLAIM, index, begin, end)
        self.fence()
        return begin, end

    def _do_claim(self, index: int, begin: int, end: int, *_: int) -> None:
        w = self.words
        row = self.client(index)
        w[row + lay.FILLING] = 0
        w[row + lay.COMMITTED] = w[row + lay.PUBLISHED] = begin
        self.sequence[begin:end] = lay.NO_SEQUENCE  # observers see by this that their copy is worth nothing
        self.preset(begin, end)
        self.writer_of[begin:end] = index
        self.state[begin:end] = lay.WRITING
        w[row + lay.RUN_END] = end
        w[self.control + lay.CURSOR] = end % self.slots

    def preset(self, begin: int, end: int) -> None:
        """Set the metadata of slots to "fill in"."""
        self.counter[begin:end] = -1
        self.timestamp[begin:end] = np.nan
        self.deadtime[begin:end] = -1.0

    def unclaim(self, index: int, *, died: bool = False) -> None:
        """Free the slots of a writer's run that are not committed; count the one it was filling when it died."""
        w = self.words
        row = self.client(index)
        begin, end = w[row + lay.PUBLISHED], w[row + lay.RUN_END]
        if end > begin:
            lost = 1 if died and w[row + lay.FILLING] == w[row + lay.COMMITTED] + 1 else 0
            self._change(_UNCLAIM, index, begin, end, w[self.control + lay.ABANDONED] + lost)

    def _do_unclaim(self, index: int, begin: int, end: int, abandoned: int, *_: int) -> None:
        w = self.words
        row = self.client(index)
        self.state[begin:end] = lay.FREE
        w[self.control + lay.ABANDONED] = abandoned
        w[self.control + lay.CURSOR] = begin  # so that the next events follow the committed ones and batches are long
        w[row + lay.FILLING] = 0
        w[row + lay.RUN_END] = begin

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
            self._change(_RELEASE, index, begin, end, released, w[row + lay.EVENTS])
        return end - begin

    def held(self, index: int, begin: int, end: int) -> np.ndarray:
        """The slots at positions begin..end-1 of a reader's list, uint32 (end - begin,)."""
        at, n = begin % self.slots, end - begin
        run: np.ndarray = self.runs[index]
        if at + n <= self.slots:
            return run[at : at + n]
        return np.concatenate((run[at:], run[: at + n - self.slots]))

    def run_of(self, slots: np.ndarray) -> slice | None:
        """The slots as a slice if they follow each other, which makes every access several times cheaper."""
        if not len(slots):
            return None
        first = int(slots[0])
        run = slice(first, first + len(slots))
        return run if slots.tobytes() == self._slot_numbers[run].tobytes() else None

    def _do_release(self, index: int, begin: int, end: int, released: int, events: int, _: int) -> None:
        w = self.words
        row = self.client(index)
        g = w[row + lay.GROUP]
        slots = self.held(index, begin, end)
        where = self.run_of(slots) or slots
        self.group_state[g][where] = lay.DONE
        self._free_finished(where)
        w[row + lay.HARVESTED] = end
        w[row + lay.EVENTS] = events + end - begin
        w[self.group(g) + lay.RELEASED] = released + end - begin

    def _free_finished(self, where: np.ndarray | slice) -> None:
        groups = self.words[self.control + lay.GROUPS]
        if groups > 1:
            where = self._slot_numbers[where][(self.group_state[:groups, where] == lay.DONE).all(axis=0)]
        self.state[where] = lay.FREE

    def take(self, index: int, want: int) -> np.ndarray:
        """Hand up to `want` events to a reader, oldest first; returns their slots, uint32 (n,), maybe none."""
        w = self.words
        row = self.client(index)
        g = w[row + lay.GROUP]
        group = self.group(g)
        head, following, returned = w[self.control + lay.HEAD], w[group + lay.NEXT], w[group + lay.RETURNED]
        if returned:
            slots = self._returned_slots(g, want)
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
            self._change(_TAKE, index, taken, taken + len(slots), following, returned)
        return slots

    def _returned_slots(self, g: int, want: int) -> np.ndarray:
        """Events to be handed out again, in order; one that has been handed out before comes alone."""
        following = self.words[self.group(g) + lay.NEXT]
        slots = np.flatnonzero((self.group_state[g] == lay.PENDING) & (self.sequence < following)).astype("u4")
        slots = slots[np.argsort(self.sequence[slots])][:want]
        suspects = np.flatnonzero(self.deliveries[g, slots])
        return slots[: max(1, int(suspects[0]))] if len(suspects) else slots

    def _do_take(self, index: int, begin: int, end: int, following: int, returned: int, _: int) -> None:
        w = self.words
        row = self.client(index)
        g = w[row + lay.GROUP]
        slots = self.held(index, begin, end)
        where = self.run_of(slots) or slots
        self.group_owner[g][where] = index
        self.group_state[g][where] = lay.READING
        w[row + lay.TAKEN] = end
        group = self.group(g)
        w[group + lay.NEXT] = following
        w[group + lay.RETURNED] = returned

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
            self._change(_RETURN, index, begin, end, seen, w[self.group(g) + lay.REDELIVERED] + again)

    def _do_return(self, index: int, begin: int, end: int, seen: int, redelivered: int, _: int) -> None:
        w = self.words
        row = self.client(index)
        g = w[row + lay.GROUP]
        limit = w[self.control + lay.MAX_DELIVERIES]
        slots = self.held(index, begin, end)
        self.group_state[g, slots[seen:]] = lay.PENDING
        for slot in slots[:seen].tolist():
            owner = int(self.group_owner[g, slot])
            if owner >= 0:  # note the new number in place of the owner: adding 1 again would make another one
                owner = ~(int(self.deliveries[g, slot]) + 1)
                self.group_owner[g, slot] = owner
            self.deliveries[g, slot] = ~owner
            self.group_state[g, slot] = lay.ASIDE if ~owner >= limit else lay.PENDING
        group = self.group(g)
        pending = (self.group_state[g] == lay.PENDING) & (self.sequence < w[group + lay.NEXT])
        w[group + lay.RETURNED] = int(np.count_nonzero(pending & (self.state == lay.READY)))
        w[group + lay.REDELIVERED] = redelivered
        w[row + lay.TAKEN] = begin
        w[row + lay.HANDED] = min(w[row + lay.HANDED], begin)

    def set_aside(self, g: int) -> list[int]:
        """Slots of the events that killed readers of group `g` too often, oldest first."""
        slots = np.flatnonzero((self.state == lay.READY) & (self.group_state[g] == lay.ASIDE))
        return [int(s) for s in slots[np.argsort(self.sequence[slots])]]

    def discard(self, g: int, slot: int) -> None:
        """Count one event set aside as quarantined and let its slot go."""
        self._change(_DISCARD, g, slot, self.words[self.group(g) + lay.QUARANTINED] + 1)

    def _do_discard(self, g: int, slot: int, quarantined: int, *_: int) -> None:
        self.group_state[g, slot] = lay.DONE
        self._free_finished(np.array([slot], dtype="u4"))
        self.words[self.group(g) + lay.QUARANTINED] = quarantined

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
        self._change(_LEAVE, index, finished, w[self.control + lay.WAIT_NS] + w[row + lay.C_WAIT_NS], after)
        if role != lay.OBSERVER:
            self.wake_all()

    def _do_leave(self, index: int, finished: int, waited: int, after: int, *_: int) -> None:
        w = self.words
        row = self.client(index)
        w[self.control + lay.CLOSED_WRITERS] = finished
        w[self.control + lay.WAIT_NS] = waited
        w[row + lay.C_WAIT_NS] = 0
        w[row + lay.WAITING] = 0
        w[row + lay.PID] = 0
        w[row + lay.ROLE] = after

    def kept_place(self, group: int, label: str) -> int | None:
        """The index of the kept place of that label (a writer's with group -1), held by anybody or nobody."""
        w = self.words
        for index in range(w[self.control + lay.HIGH]):
            row = self.client(index)
            is_kept = w[row + lay.ROLE] and w[row + lay.KEPT]
            if is_kept and w[row + lay.GROUP] == group and self.text(row + lay.LABEL, lay.LABEL_BYTES) == label:
                return index
        return None

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
        self._change(_STREAM, index, stream, w[row + lay.STREAM], position - w[row + lay.EVENTS])

    def _do_begin_stream(self, index: int, stream: int, previous: int, offset: int, *_: int) -> None:
        row = self.client(index)
        self.words[row + lay.STREAM] = stream
        self.words[row + lay.PREVIOUS] = previous
        self.words[row + lay.OFFSET] = offset

    def dead(self) -> list[int]:
        """Clients whose process has died; may be called without the lock."""
        high = self.words[self.control + lay.HIGH]
        w = self.words
        rows = [(i, self.client(i)) for i in range(high)]
        held = [i for i, row in rows if w[row + lay.ROLE] and (w[row + lay.PID] or not w[row + lay.KEPT])]
        return [i for i in held if not is_alive(self.identity(i))]

    def reap(self) -> list[str]:
        """Take out the clients whose process has died; returns their labels."""
        labels = []
        for index in self.dead():
            labels.append(self.text(self.client(index) + lay.LABEL, lay.LABEL_BYTES))
            self.remove(index, closed=False)
        return labels

    # -- what is going on -----------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Whether no event can come any more."""
        w = self.words
        flags = w[self.control + lay.FLAGS]
        if flags & lay.ENDED:
            return True
        expected = w[self.control + lay.EXPECTED]
        finished = 0 < expected <= w[self.control + lay.CLOSED_WRITERS]
        return (finished or bool(flags & lay.ENDING)) and not self.clients(lay.WRITER)

    def is_batch_open(self, role: int) -> bool:
        """Whether a client of this role holds more than one slot and may go on without the lock."""
        w = self.words
        for index in self.clients(role):
            row = self.client(index)
            if role == lay.WRITER and w[row + lay.RUN_END] - w[row + lay.COMMITTED] > 1:
                return True
            if role == lay.READER and w[row + lay.TAKEN] - w[row + lay.DONE_COUNT] > 1:
                return True
        return False

    def blamed(self) -> list[int]:
        """The groups that hold the oldest event: for them a writer waits. Empty if writers hold every slot."""
        ready = np.flatnonzero(self.state == lay.READY)
        if not len(ready):
            return []
        oldest = ready[np.argmin(self.sequence[ready])]
        return [g for g in range(self.words[self.control + lay.GROUPS]) if self.group_state[g, oldest] != lay.DONE]

    def left(self, g: int) -> tuple[int, int, int]:
        """Number of events pending, being read and set aside in group `g`."""
        states = self.group_state[g][self.state == lay.READY]
        return tuple(int(np.count_nonzero(states == s)) for s in (lay.PENDING, lay.READING, lay.ASIDE))  # type: ignore[return-value]

    _changes: ClassVar[dict[int, Callable[..., None]]] = {
        _PUBLISH: _do_publish,
        _CLAIM: _do_claim,
        _UNCLAIM: _do_unclaim,
        _TAKE: _do_take,
        _RELEASE: _do_release,
        _RETURN: _do_return,
        _LEAVE: _do_leave,
        _DISCARD: _do_discard,
        _STREAM: _do_begin_stream,
    }
