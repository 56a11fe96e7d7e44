"""A ring buffer: creation, attachment, control and figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self
from weakref import WeakSet

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring import _segment
from mimodaq.ring._core import Core, locked
from mimodaq.ring._errors import RingError
from mimodaq.ring._mutex import Mutex
from mimodaq.ring._observer import Observed, Observer
from mimodaq.ring._process import boot_id, myself
from mimodaq.ring._reader import Reader
from mimodaq.ring._status import Place, RingStatus, place_of, status_of
from mimodaq.ring._verify import verify
from mimodaq.ring._writer import Writer

_MOST_DELIVERIES: Final = 127
_attached: Final[WeakSet[Ring]] = WeakSet()


def attached_rings() -> list[Ring]:
    """The rings that this process has made or attached and still holds: what their descriptions tell about events."""
    return list(_attached)


class Ring:
    """A ring buffer in shared memory, made or attached to by this process.

    Every event goes to exactly one member of each reader group; a writer waits while a group has not released
    enough (lossless). Observers get copies of recent events and block nobody. Methods may be called at any time, from
    any process of the same user, but not from a signal handler: that shall set a flag only.
    """

    def __init__(self, core: Core, name: str, header: Mapping[str, Any]) -> None:
        self._core = core
        self.segment = name
        """Name of the segment, for `attach`."""
        self.name: str = header["buffer"]
        self.slots: int = header["slots"]
        self.dtype: np.dtype[np.void] = core.events.dtype
        """Record dtype of an event, planar."""
        self.identity = f"{header['boot']}:{header['creator'][0]}:{header['created']}:{self.segment}"
        """Boot, creator, time and name: no other ring has the same."""
        self.description: Mapping[str, Any] = header["description"]
        """What the maker told about the buffer: units, host, function names."""
        _attached.add(self)

    @classmethod
    def create(
        cls,
        segment: str,
        dtype: np.dtype[np.void],
        slots: int,
        *,
        groups: Sequence[str] = (),
        expected_writers: int = 0,
        buffer: str = "",
        description: Mapping[str, Any] | None = None,
        max_deliveries: int = 3,
        limit: int = 0,
    ) -> Self:
        """Make a ring of `slots` events of `dtype` under the name `segment` (see `segment_name`).

        `groups` are the reader groups; more may join later and get the events from then on. With `expected_writers` = n
        the stream ends when n writers have closed; with 0 when `end` was called and the writers have left.
        With `limit` = n exactly n events are taken, then writers are told to stop. An event is set aside once
        `max_deliveries` readers have died on it. Raises NoSpace when /dev/shm is too small, SegmentInUse when living
        processes use that name, TypeError or ValueError for a dtype or number that makes no ring.
        """
        dtype = lay.planar(dtype)
        if not 1 <= max_deliveries <= _MOST_DELIVERIES:
            raise ValueError(f"ring {segment}: max_deliveries must be 1 to {_MOST_DELIVERIES}, not {max_deliveries}")
        if slots < 1:
            raise ValueError(f"ring {segment} needs at least one slot, not {slots}")
        layout = lay.Layout.of(slots, dtype.itemsize)
        header = {
            "buffer": buffer or segment,
            "slots": slots,
            "dtype": lay.dtype_to_json(dtype),
            "boot": boot_id(),
            "creator": list(myself()),
            "created": time.time(),
            "description": dict(description or {}),
        }
        mapping, fd = _segment.create(segment, layout.total, header)
        try:
            core = Core(mapping, layout, dtype)
            Mutex.initialise(core.mutex_address)
            w, c = core.words, core.control
            w[c + lay.EXPECTED] = expected_writers
            w[c + lay.MAX_DELIVERIES] = max_deliveries
            w[c + lay.LIMIT] = limit
            ring = cls(core, segment, header)
            for group in groups:
                ring.add_group(group)
            _segment.publish(segment, fd)
        finally:
            os.close(fd)
        return ring

    @classmethod
    def attach(cls, segment: str) -> Self:
        """Attach to the ring of that name; SegmentError when there is none or it is not a ring of this version."""
        mapping, header = _segment.open_segment(segment)
        dtype = lay.dtype_from_json(header["dtype"])
        return cls(Core(mapping, lay.Layout.of(header["slots"], dtype.itemsize), dtype), segment, header)

    def unlink(self) -> None:
        """Remove the name; the memory goes when the last process has let go of it. Doing so twice does nothing."""
        (_segment.SHM / self.segment).unlink(missing_ok=True)

    # -- members --------------------------------------------------------------------------------------------

    def writer(self, label: str = "writer", *, kept: bool = False) -> Writer:
        """Register this process as a writer.

        A `kept` place outlives its process: a successor of the same label goes on in the same stream, and until then
        the ring does not end. RingError if a living process holds it or its stream is complete.
        """
        return Writer(self._core, self.name, label, kept=kept)

    def reader(self, group: str, label: str = "reader", *, kept: bool = False) -> Reader:
        """Register this process as a member of reader group `group`; RingError if there is no such group.

        What the holder of a `kept` place has taken waits for a successor of the same label when it dies, see `writer`.
        """
        return Reader(self._core, self.name, label, self._group_index(group), kept=kept)

    def _group_index(self, group: str) -> int:
        if group not in self.groups:
            raise RingError(
                f"ring {self.name} has no reader group {group!r}; it has {', '.join(self.groups) or 'none'}"
            )
        return self.groups.index(group)

    def place(self, label: str, group: str | None = None) -> Place | None:
        """The kept place of that label in reader group `group`, or of a writer; None if there is none."""
        return locked(self._core, place_of, self._core, -1 if group is None else self._group_index(group), label)

    def forfeit(self, label: str, group: str | None = None) -> None:
        """Give up a kept place whose holder is dead and will have no successor; what it held goes back to the group.

        Nothing happens if there is no such place. RingError if a living process holds it.
        """
        locked(self._core, self._forfeit, -1 if group is None else self._group_index(group), label)

    def _forfeit(self, group: int, label: str) -> None:
        core = self._core
        core.reap()
        index = core.kept_place(group, label)
        if index is None:
            return
        pid = core.words[core.client(index) + lay.PID]
        if pid:
            raise RingError(f"ring {self.name}: the place of {label} is held by process {pid}, end it first")
        core.forfeit(index)

    def observer(self, label: str = "observer") -> Observer:
        """Register this process as an observer."""
        return Observer(self._core, self.name, label)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the reader groups."""
        core = self._core
        return tuple(
            core.text(core.group(g) + lay.NAME, lay.NAME_BYTES) for g in range(core.words[core.control + lay.GROUPS])
        )

    def add_group(self, name: str) -> None:
        """Let a new reader group join: it gets every event committed from now on. Joining twice does nothing.

        Raises RingError when there are 16 groups already, ValueError when the name is too long.
        """
        if not 0 < len(name.encode()) < lay.NAME_BYTES:
            raise ValueError(f"the name of a reader group has 1 to {lay.NAME_BYTES - 1} bytes of UTF-8, not {name!r}")
        locked(self._core, self._add_group, name)

    def _add_group(self, name: str) -> None:
        core, w = self._core, self._core.words
        if name in self.groups:
            return
        core.harvest_writers()
        g = w[core.control + lay.GROUPS]
        if g == lay.MAX_GROUPS:
            raise RingError(f"ring {self.name} has {lay.MAX_GROUPS} reader groups already, no more can join")
        row = core.group(g)
        head = w[core.control + lay.HEAD]
        core.group_state[g] = lay.DONE
        w[row + lay.SINCE] = w[row + lay.NEXT] = head
        core.set_text(row + lay.NAME, lay.NAME_BYTES, name)
        w[core.control + lay.GROUPS] = g + 1  # from here on the group exists

    # -- control --------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Make writers wait; readers go on."""
        self._set(lay.PAUSED, 0)

    def resume(self) -> None:
        """Let writers go on after `pause`."""
        self._set(0, lay.PAUSED)

    def end(self) -> None:
        """Tell writers to stop (RingEnding at their next claim); readers get what is committed, then the end."""
        self._set(lay.ENDING, lay.PAUSED)

    def declare_ended(self) -> None:
        """End the stream although writers are registered or missing: those will not come any more."""
        self._set(lay.ENDING | lay.ENDED, lay.PAUSED)

    def close(self) -> None:
        """Abort: everybody gets RingClosed, events in the ring stay where they are."""
        self._set(lay.CLOSED | lay.ENDING, lay.PAUSED)

    @property
    def is_ending(self) -> bool:
        """Whether writers are told to stop."""
        return bool(self._core.words[self._core.control + lay.FLAGS] & (lay.ENDING | lay.CLOSED))

    def give_up_writer(self) -> None:
        """Count a writer that died and will not come back as finished."""

        def finish() -> None:
            core = self._core
            core.reap()
            core.words[core.control + lay.CLOSED_WRITERS] += 1
            core.wake_all()

        locked(self._core, finish)

    def expect_writers(self, n: int) -> None:
        """Change the number of writers whose closing ends the stream."""
        self._locked_store(lay.EXPECTED, n)

    def _locked_store(self, word: int, value: int) -> None:
        def store() -> None:
            self._core.words[self._core.control + word] = value
            self._core.wake_all()

        locked(self._core, store)

    def _set(self, on: int, off: int) -> None:
        def change() -> None:
            core, w, c = self._core, self._core.words, self._core.control
            before = w[c + lay.FLAGS]
            after = (before | on) & ~off
            now = time.monotonic_ns()
            if after & lay.PAUSED and not before & lay.PAUSED:
                w[c + lay.PAUSED_SINCE] = now
            if before & lay.PAUSED and not after & lay.PAUSED:
                w[c + lay.PAUSED_NS] += now - w[c + lay.PAUSED_SINCE]
            w[c + lay.FLAGS] = after
            core.call_to_lock(lay.WRITER)
            core.call_to_lock(lay.READER)
            core.wake_all()

        locked(self._core, change)

    def reap(self) -> list[str]:
        """Give back what dead processes hold; returns their labels. Waiting processes do this by themselves, too."""
        return locked(self._core, self._core.reap) if self._core.dead() else []

    def quarantine(self, keep: Callable[[str, Observed, int], None]) -> int:
        """Hand every event set aside to `keep(group, event, deaths)` and let its slot go; returns how many."""
        taken = 0
        for g, name in enumerate(self.groups):
            for slot in locked(self._core, self._core.set_aside, g):
                core = self._core
                found = Observed.of(core, slot, int(core.sequence[slot]))
                keep(name, found, int(core.deliveries[g, slot]))
                taken += locked(core, self._discard, g, slot, found.sequence)
        return taken

    def _discard(self, g: int, slot: int, sequence: int) -> bool:
        core = self._core
        if core.sequence[slot] != sequence or core.group_state[g, slot] != lay.ASIDE:
            return False  # another process was faster
        core.discard(g, slot)
        core.wake_all()
        return True

    # -- figures --------------------------------------------------------------------------------------------

    def status(self) -> RingStatus:
        """All figures at this moment."""
        return locked(self._core, status_of, self._core, self.name)

    def verify(self) -> None:
        """Check the slot table against every counter; raises VerifyError naming the contradictions."""
        locked(self._core, verify, self._core)
