"""Where everything lies inside a segment. Pure arithmetic, no shared memory here.

page 0      magic, version, total size, JSON header (dtype, names, creator, boot id)
control     lock, futex words, control words, client table, group table
table       per slot: state, owner, sequence, metadata; per group and slot: state, owner, deliveries
order       ring of slot numbers in the order of publication
runs        per client: the slots a reader holds
data        the events, planar: one record per slot, every field a contiguous array
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

MAGIC: Final = b"mimodaq\x00"
VERSION: Final = 1
HEADER_BYTES: Final = 16384
"""Magic (8), version (4), header length (4), total size (8), then the JSON header."""

MAX_CLIENTS: Final = 64
MAX_GROUPS: Final = 16

# Slot states
FREE: Final = 0
WRITING: Final = 1
READY: Final = 2

NO_SEQUENCE: Final = -1
"""Sequence number of a slot whose content is no published event (any longer)."""

# States of a slot for one reader group
NONE: Final = 0
PENDING: Final = 1
READING: Final = 2
DONE: Final = 3
ASIDE: Final = 4
"""Killed its reader too often; waits to be taken to the quarantine file."""

# Roles of a client
NOBODY: Final = 0
WRITER: Final = 1
READER: Final = 2
OBSERVER: Final = 3
FINISHED: Final = 4
"""A kept place whose stream is complete; it stays so that a successor finds this out."""

# Flags of the ring
PAUSED: Final = 1
ENDING: Final = 2
CLOSED: Final = 4
ENDED: Final = 8
"""The end was declared from outside although writers are still registered."""

# Control words (int64). The first eight are the redo log: operation and arguments.
OP: Final = 0
ARG: Final = 1
HEAD: Final = 8
"""Events committed so far = sequence number of the next one."""
CURSOR: Final = 9
FLAGS: Final = 10
EXPECTED: Final = 11
CLOSED_WRITERS: Final = 12
ABANDONED: Final = 13
"""Half-written slots of dead writers that were freed."""
REPAIRS: Final = 14
WAIT_NS: Final = 15
"""Time writers have waited for a free slot, of those who have left."""
GROUPS: Final = 16
HIGH: Final = 17
"""Clients 0..HIGH-1 have ever been used."""
MAX_DELIVERIES: Final = 18
PAUSED_SINCE: Final = 19
PAUSED_NS: Final = 20
LIMIT: Final = 21
"""Number of events after which writers are told to stop; 0 = none."""
CONTROL_WORDS: Final = 32

# Words of a client
ROLE: Final = 0
PID: Final = 1
START: Final = 2
NAMESPACE: Final = 3
GROUP: Final = 4
ATTENTION: Final = 5
"""Somebody wants this client to come to the lock instead of going on alone."""
WAITING: Final = 6
"""NAPPING or ASLEEP while the client waits."""
C_WAIT_NS: Final = 7
COMMITTED: Final = 8
"""Writer: slots below this one of its run are committed (the only word it changes without the lock)."""
FILLING: Final = 9
"""Writer: 1 + the slot it fills at this moment; stale once that slot is committed."""
PUBLISHED: Final = 10
RUN_END: Final = 11
DONE_COUNT: Final = 8
"""Reader: events released; the words 8 and 9 are changed without the lock."""
HANDED: Final = 9
HARVESTED: Final = 10
TAKEN: Final = 11
EVENTS: Final = 12
STREAM: Final = 13
"""Kept places: number of the stream that passes through."""
PREVIOUS: Final = 14
"""Kept writers: the stream before it."""
OFFSET: Final = 15
"""Kept writers: events committed + OFFSET = position in the stream."""
LABEL: Final = 16
LABEL_BYTES: Final = 64
KEPT: Final = 24
"""1 = the place outlives its process: what it holds waits for a successor of the same label. PID is 0 meanwhile."""
SOON: Final = 25
"""Reader: 1 = it expects to be back at the lock within a millisecond, so that napping members of its group need not."""
CLIENT_WORDS: Final = 32

# How a client waits
NAPPING: Final = 1
"""It looks again within a millisecond, woken or not."""
ASLEEP: Final = 2

# Words of a reader group
SINCE: Final = 0
"""HEAD when the group joined: it sees the events from there on."""
NEXT: Final = 1
RELEASED: Final = 2
RETURNED: Final = 3
"""Slots that wait to be handed out again."""
REDELIVERED: Final = 4
QUARANTINED: Final = 5
BLAME_NS: Final = 6
NAME: Final = 8
NAME_BYTES: Final = 128
GROUP_WORDS: Final = 24

_LINE: Final = 128


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets of a segment with `slots` slots of `event_bytes` bytes each."""

    slots: int
    event_bytes: int
    mutex: int
    futex: int
    control: int
    clients: int
    groups: int
    state: int
    writer: int
    group_state: int
    group_owner: int
    deliveries: int
    sequence: int
    counter: int
    timestamp: int
    deadtime: int
    order: int
    runs: int
    data: int
    total: int

    @classmethod
    def of(cls, slots: int, event_bytes: int) -> Layout:
        """Lay out a segment; every part starts on its own cache lines, the data on a page."""
        at = HEADER_BYTES

        def place(size: int) -> int:
            nonlocal at
            start = at
            at += -(-size // _LINE) * _LINE
            return start

        fields: dict[str, int] = {
            "mutex": place(_LINE),
            "futex": place(2 * _LINE),
            "control": place(CONTROL_WORDS * 8),
            "clients": place(MAX_CLIENTS * CLIENT_WORDS * 8),
            "groups": place(MAX_GROUPS * GROUP_WORDS * 8),
            "state": place(slots),
            "writer": place(slots),
            "group_state": place(MAX_GROUPS * slots),
            "group_owner": place(MAX_GROUPS * slots),
            "deliveries": place(MAX_GROUPS * slots),
            "sequence": place(slots * 8),
            "counter": place(slots * 8),
            "timestamp": place(slots * 8),
            "deadtime": place(slots * 8),
            "order": place(slots * 4),
            "runs": place(MAX_CLIENTS * slots * 4),
        }
        at = -(-at // 4096) * 4096
        fields["data"] = place(slots * event_bytes)
        return cls(slots, event_bytes, **fields, total=-(-at // 4096) * 4096)


def dtype_to_json(dtype: np.dtype[np.void]) -> list[list[object]]:
    """A planar record dtype as ``[[name, type, [samples...]], ...]``, in native byte order."""
    fields: Mapping[str, Any] = dtype.fields or {}
    return [
        [name, fields[name][0].base.newbyteorder("=").str, list(fields[name][0].shape)] for name in dtype.names or ()
    ]


def dtype_from_json(description: list[list[object]]) -> np.dtype[np.void]:
    """The inverse of `dtype_to_json`."""
    return np.dtype([(str(n), str(t), tuple(int(str(k)) for k in s)) for n, t, s in description])  # type: ignore[attr-defined]


def planar(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Check that `dtype` describes an event and return it without padding, in native byte order.

    Raises TypeError for a dtype that is no record, is empty, or holds Python objects.
    """
    if dtype.names is None or not dtype.names or dtype.fields is None:
        raise TypeError(f"an event is a record such as dtype([('chA', 'f4', (1000,))]), not {dtype}")
    if dtype.hasobject:
        raise TypeError(f"an event cannot hold Python objects: {dtype}")
    for name in dtype.names:
        if dtype.fields[name][0].base.names:
            raise TypeError(f"field {name!r} of an event must be a plain number type, not a record")
    if not dtype.itemsize:
        raise TypeError(f"an event must have at least one sample: {dtype}")
    return dtype_from_json(dtype_to_json(dtype))
