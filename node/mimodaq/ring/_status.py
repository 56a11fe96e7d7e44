"""What a ring looks like at one moment: its figures, groups, writers and kept places. Needs the lock held."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._core import Core


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One reader group at one moment. committed = released + quarantined + pending + reading + aside."""

    name: str
    committed: int
    """Events committed since the group joined."""
    released: int
    pending: int
    reading: int
    aside: int
    """Events set aside because they killed their reader too often, not yet collected."""
    quarantined: int
    redelivered: int
    """Events handed out again after the death of the reader that had them."""
    blamed_s: float
    """Seconds writers have waited because of this group."""
    readers: tuple[str, ...]
    """Labels of the members."""


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """One writer at one moment."""

    label: str
    pid: int
    events: int
    waited_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """A kept place at one moment."""

    stream: int
    """Number of the stream that passes through it, 0 = none yet."""
    previous: int
    """Writer: the stream before it, 0 = none."""
    position: int
    """Writer: number of the next event it will commit. Reader: events it was handed so far."""
    released: int
    """Reader: events released so far."""
    is_finished: bool
    """The stream is complete."""
    pid: int
    """Its holder, perhaps dead by now; 0 = it waits for a successor."""


@dataclass(frozen=True, slots=True)
class RingStatus:
    """A ring at one moment, consistent in itself."""

    name: str
    slots: int
    event_bytes: int
    committed: int
    """Events committed since the ring was made."""
    free: int
    writing: int
    ready: int
    groups: tuple[GroupStatus, ...]
    writers: tuple[WriterStatus, ...]
    observers: int
    is_paused: bool
    is_ending: bool
    is_ended: bool
    is_closed: bool
    waited_s: float
    """Seconds all writers together have waited for free slots: dead time made by back-pressure."""
    paused_s: float
    abandoned: int
    """Half-written slots of dead writers that were freed."""
    repairs: int
    """How often the lock was inherited from a dead process."""
    finished_writers: int

    @property
    def fill(self) -> float:
        """Fraction of the slots in use, 0 to 1."""
        return (self.slots - self.free) / self.slots


def place_of(core: Core, group: int, label: str) -> Place | None:
    """The kept place of that label in a reader group, or of a writer if `group` is -1; None if there is none."""
    w = core.words
    core.harvest_writers()
    index = core.kept_place(group, label)
    if index is None:
        return None
    row = core.client(index)
    is_finished = w[row + lay.ROLE] == lay.FINISHED
    position, released = w[row + lay.EVENTS] + w[row + lay.OFFSET], 0
    if group >= 0:
        position, released = w[row + lay.HANDED], w[row + lay.DONE_COUNT]
    return Place(w[row + lay.STREAM], w[row + lay.PREVIOUS], position, released, is_finished, w[row + lay.PID])


def status_of(core: Core, name: str) -> RingStatus:
    """All figures of the ring `name`."""
    w, c = core.words, core.control
    core.harvest_writers()
    core.harvest_readers()
    states = np.bincount(core.state, minlength=3).tolist()
    flags = w[c + lay.FLAGS]
    writers = []
    for index in core.clients(lay.WRITER):
        row = core.client(index)
        label = core.text(row + lay.LABEL, lay.LABEL_BYTES)
        writers.append(WriterStatus(label, w[row + lay.PID], w[row + lay.EVENTS], w[row + lay.C_WAIT_NS] / 1e9))
    paused = w[c + lay.PAUSED_NS]
    if flags & lay.PAUSED:
        paused += time.monotonic_ns() - w[c + lay.PAUSED_SINCE]
    return RingStatus(
        name=name,
        slots=core.slots,
        event_bytes=core.events.dtype.itemsize,
        committed=w[c + lay.HEAD],
        free=states[lay.FREE],
        writing=states[lay.WRITING],
        ready=states[lay.READY],
        groups=tuple(_group_of(core, g) for g in range(w[c + lay.GROUPS])),
        writers=tuple(writers),
        observers=len(core.clients(lay.OBSERVER)),
        is_paused=bool(flags & lay.PAUSED),
        is_ending=bool(flags & lay.ENDING),
        is_ended=core.ended(),
        is_closed=bool(flags & lay.CLOSED),
        waited_s=w[c + lay.WAIT_NS] / 1e9 + sum(writer.waited_s for writer in writers),
        paused_s=paused / 1e9,
        abandoned=w[c + lay.ABANDONED],
        repairs=w[c + lay.REPAIRS],
        finished_writers=w[c + lay.CLOSED_WRITERS],
    )


def _group_of(core: Core, g: int) -> GroupStatus:
    w = core.words
    row = core.group(g)
    pending, reading, aside = core.left(g)
    return GroupStatus(
        name=core.text(row + lay.NAME, lay.NAME_BYTES),
        committed=w[core.control + lay.HEAD] - w[row + lay.SINCE],
        released=w[row + lay.RELEASED],
        pending=pending,
        reading=reading,
        aside=aside,
        quarantined=w[row + lay.QUARANTINED],
        redelivered=w[row + lay.REDELIVERED],
        blamed_s=w[row + lay.BLAME_NS] / 1e9,
        readers=tuple(
            core.text(core.client(i) + lay.LABEL, lay.LABEL_BYTES)
            for i in core.clients(lay.READER)
            if w[core.client(i) + lay.GROUP] == g
        ),
    )
