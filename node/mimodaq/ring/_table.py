"""The parts of a mapped segment as numpy views, where its words lie, and what they say. Needs the lock held.

Changes nothing but what needs no redo log: texts, and the metadata of slots that a writer holds.
"""

from __future__ import annotations

import mmap

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._process import Identity, is_alive


class Table:
    """The slot table of one mapped segment, its clients and reader groups."""

    def __init__(self, mapping: mmap.mmap, layout: lay.Layout, dtype: np.dtype[np.void]) -> None:
        self.mapping = mapping
        self.layout = layout
        n = self.slots = layout.slots
        self.words = memoryview(mapping)[: layout.total // 8 * 8].cast("q")
        self.control = layout.control // 8

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
        self.numbers = np.arange(n, dtype="i8")
        """0 to slots - 1."""
        self.slot_numbers = np.arange(n, dtype="u4")

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

    def preset(self, begin: int, end: int) -> None:
        """Set the metadata of slots to "fill in"."""
        self.counter[begin:end] = -1
        self.timestamp[begin:end] = np.nan
        self.deadtime[begin:end] = -1.0

    # -- slots ----------------------------------------------------------------------------------------------

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
        return run if slots.tobytes() == self.slot_numbers[run].tobytes() else None

    def returned_slots(self, g: int, want: int) -> np.ndarray:
        """Events to be handed out again, in order; one that has been handed out before comes alone."""
        following = self.words[self.group(g) + lay.NEXT]
        slots = np.flatnonzero((self.group_state[g] == lay.PENDING) & (self.sequence < following)).astype("u4")
        slots = slots[np.argsort(self.sequence[slots])][:want]
        suspects = np.flatnonzero(self.deliveries[g, slots])
        return slots[: max(1, int(suspects[0]))] if len(suspects) else slots

    def set_aside(self, g: int) -> list[int]:
        """Slots of the events that killed readers of group `g` too often, oldest first."""
        slots = np.flatnonzero((self.state == lay.READY) & (self.group_state[g] == lay.ASIDE))
        return [int(s) for s in slots[np.argsort(self.sequence[slots])]]

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

    # -- clients --------------------------------------------------------------------------------------------

    def kept_place(self, group: int, label: str) -> int | None:
        """The index of the kept place of that label (a writer's with group -1), held by anybody or nobody."""
        w = self.words
        for index in range(w[self.control + lay.HIGH]):
            row = self.client(index)
            is_kept = w[row + lay.ROLE] and w[row + lay.KEPT]
            if is_kept and w[row + lay.GROUP] == group and self.text(row + lay.LABEL, lay.LABEL_BYTES) == label:
                return index
        return None

    def dead(self) -> list[int]:
        """Clients whose process has died; may be called without the lock."""
        high = self.words[self.control + lay.HIGH]
        w = self.words
        rows = [(i, self.client(i)) for i in range(high)]
        held = [i for i, row in rows if w[row + lay.ROLE] and (w[row + lay.PID] or not w[row + lay.KEPT])]
        return [i for i in held if not is_alive(self.identity(i))]

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

    def is_group_at_work(self, group: int) -> bool:
        """Whether a member of the group keeps events that it has not begun with, or is back soon for more."""
        w = self.words
        rows = [self.client(index) for index in self.clients(lay.READER)]
        return any(
            w[row + lay.GROUP] == group and (w[row + lay.TAKEN] > w[row + lay.HANDED] or self.is_back_soon(row))
            for row in rows
        )

    def is_back_soon(self, row: int) -> bool:
        """Whether a reader is busy for a millisecond at most, and then at the lock; not one that had to be called."""
        w = self.words
        return bool(w[row + lay.SOON] and not w[row + lay.WAITING] and not w[row + lay.ATTENTION])
