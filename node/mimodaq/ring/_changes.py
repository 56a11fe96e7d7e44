"""The changes of the slot table that are carried out through the redo log.

A change consists of several stores, and its process can be killed between any two; who takes the lock next carries the
change out again, from the beginning, with the same arguments.

WARNING: so a function here must depend on nothing but its arguments and on words that it does not change itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._table import Table

PUBLISH: Final = 1
CLAIM: Final = 2
UNCLAIM: Final = 3
TAKE: Final = 4
RELEASE: Final = 5
RETURN: Final = 6
LEAVE: Final = 7
DISCARD: Final = 8
STREAM: Final = 9


def _publish(table: Table, index: int, begin: int, end: int, head: int, events: int, _: int) -> None:
    n = end - begin
    sequence = np.add(table.numbers[:n], head, out=table.sequence[begin:end])
    counter = table.counter[begin:end]
    unset = counter < 0
    if b"\1" in unset.tobytes():
        np.copyto(counter, sequence, where=unset)
    timestamp = table.timestamp[begin:end]
    unset = timestamp != timestamp
    if b"\1" in unset.tobytes():
        np.copyto(timestamp, time.time(), where=unset)
    for g in range(table.words[table.control + lay.GROUPS]):
        table.group_state[g, begin:end] = lay.PENDING
        table.deliveries[g, begin:end] = 0
    at = head % table.slots
    first = min(n, table.slots - at)
    table.order[at : at + first] = table.slot_numbers[begin : begin + first]
    if first < n:
        table.order[: n - first] = table.slot_numbers[begin + first : end]
    # without any group nobody has to be waited for
    table.state[begin:end] = lay.READY if table.words[table.control + lay.GROUPS] else lay.FREE
    row = table.client(index)
    table.words[row + lay.PUBLISHED] = end
    table.words[row + lay.EVENTS] = events + n
    table.words[table.control + lay.HEAD] = head + n


def _claim(table: Table, index: int, begin: int, end: int, *_: int) -> None:
    w = table.words
    row = table.client(index)
    w[row + lay.FILLING] = 0
    w[row + lay.COMMITTED] = w[row + lay.PUBLISHED] = begin
    table.sequence[begin:end] = lay.NO_SEQUENCE  # observers see by this that their copy is worth nothing
    table.preset(begin, end)
    table.writer_of[begin:end] = index
    table.state[begin:end] = lay.WRITING
    w[row + lay.RUN_END] = end
    w[table.control + lay.CURSOR] = end % table.slots


def _unclaim(table: Table, index: int, begin: int, end: int, abandoned: int, *_: int) -> None:
    w = table.words
    row = table.client(index)
    table.state[begin:end] = lay.FREE
    w[table.control + lay.ABANDONED] = abandoned
    w[table.control + lay.CURSOR] = begin  # so that the next events follow the committed ones and batches are long
    w[row + lay.FILLING] = 0
    w[row + lay.RUN_END] = begin


def _release(table: Table, index: int, begin: int, end: int, released: int, events: int, _: int) -> None:
    w = table.words
    row = table.client(index)
    g = w[row + lay.GROUP]
    slots = table.held(index, begin, end)
    where = table.run_of(slots) or slots
    table.group_state[g][where] = lay.DONE
    _free_finished(table, where)
    w[row + lay.HARVESTED] = end
    w[row + lay.EVENTS] = events + end - begin
    w[table.group(g) + lay.RELEASED] = released + end - begin


def _free_finished(table: Table, where: np.ndarray | slice) -> None:
    groups = table.words[table.control + lay.GROUPS]
    if groups > 1:
        where = table.slot_numbers[where][(table.group_state[:groups, where] == lay.DONE).all(axis=0)]
    table.state[where] = lay.FREE


def _take(table: Table, index: int, begin: int, end: int, following: int, returned: int, _: int) -> None:
    w = table.words
    row = table.client(index)
    g = w[row + lay.GROUP]
    slots = table.held(index, begin, end)
    where = table.run_of(slots) or slots
    table.group_owner[g][where] = index
    table.group_state[g][where] = lay.READING
    w[row + lay.TAKEN] = end
    group = table.group(g)
    w[group + lay.NEXT] = following
    w[group + lay.RETURNED] = returned


def _return(table: Table, index: int, begin: int, end: int, seen: int, redelivered: int, _: int) -> None:
    w = table.words
    row = table.client(index)
    g = w[row + lay.GROUP]
    limit = w[table.control + lay.MAX_DELIVERIES]
    slots = table.held(index, begin, end)
    table.group_state[g, slots[seen:]] = lay.PENDING
    for slot in slots[:seen].tolist():
        owner = int(table.group_owner[g, slot])
        if owner >= 0:  # note the new number in place of the owner: adding 1 again would make another one
            owner = ~(int(table.deliveries[g, slot]) + 1)
            table.group_owner[g, slot] = owner
        table.deliveries[g, slot] = ~owner
        table.group_state[g, slot] = lay.ASIDE if ~owner >= limit else lay.PENDING
    group = table.group(g)
    pending = (table.group_state[g] == lay.PENDING) & (table.sequence < w[group + lay.NEXT])
    w[group + lay.RETURNED] = int(np.count_nonzero(pending & (table.state == lay.READY)))
    w[group + lay.REDELIVERED] = redelivered
    w[row + lay.TAKEN] = begin
    w[row + lay.HANDED] = min(w[row + lay.HANDED], begin)


def _discard(table: Table, g: int, slot: int, quarantined: int, *_: int) -> None:
    table.group_state[g, slot] = lay.DONE
    _free_finished(table, np.array([slot], dtype="u4"))
    table.words[table.group(g) + lay.QUARANTINED] = quarantined


def _leave(table: Table, index: int, finished: int, waited: int, after: int, *_: int) -> None:
    w = table.words
    row = table.client(index)
    w[table.control + lay.CLOSED_WRITERS] = finished
    w[table.control + lay.WAIT_NS] = waited
    w[row + lay.C_WAIT_NS] = 0
    w[row + lay.WAITING] = 0
    w[row + lay.PID] = 0
    w[row + lay.ROLE] = after


def _begin_stream(table: Table, index: int, stream: int, previous: int, offset: int, *_: int) -> None:
    row = table.client(index)
    table.words[row + lay.STREAM] = stream
    table.words[row + lay.PREVIOUS] = previous
    table.words[row + lay.OFFSET] = offset


CHANGES: Final[dict[int, Callable[..., None]]] = {
    PUBLISH: _publish,
    CLAIM: _claim,
    UNCLAIM: _unclaim,
    TAKE: _take,
    RELEASE: _release,
    RETURN: _return,
    LEAVE: _leave,
    DISCARD: _discard,
    STREAM: _begin_stream,
}
"""What each operation in the log means."""
