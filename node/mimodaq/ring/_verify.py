"""The self-check of a ring: the slot table against every counter. Needs the lock held; changes nothing."""

from __future__ import annotations

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._core import Core
from mimodaq.ring._errors import VerifyError


def verify(core: Core) -> None:
    """Check the table of `core` against its counters; raises VerifyError naming every contradiction."""
    w = core.words
    head = w[core.control + lay.HEAD]
    groups = w[core.control + lay.GROUPS]
    ready = core.state == lay.READY
    faults = []
    if w[core.control + lay.OP]:
        faults.append(f"operation {w[core.control + lay.OP]} was left unfinished")
    sequences = np.sort(core.sequence[ready])
    if len(sequences) and (sequences[0] < 0 or sequences[-1] >= head or not np.diff(sequences).all()):
        faults.append(f"sequence numbers of ready slots are not unique and below {head}")
    finished = ready & (core.group_state[:groups] == lay.DONE).all(axis=0)
    if finished.any():
        faults.append(f"{np.count_nonzero(finished)} slots are not free although every group has released them")
    faults += _writers(core)
    for g in range(groups):
        faults += _group(core, g, head, ready)
    if faults:
        raise VerifyError("; ".join(faults))


def _writers(core: Core) -> list[str]:
    w = core.words
    writing = core.state == lay.WRITING
    faults = []
    for index in core.clients(lay.WRITER):
        row = core.client(index)
        committed = w[row + lay.COMMITTED]
        run = slice(w[row + lay.PUBLISHED], w[row + lay.RUN_END])
        mine = writing & (core.writer_of == index)
        if not mine[run].all() or np.count_nonzero(mine) != max(0, run.stop - run.start):
            faults.append(f"writer {index} holds other slots than its run {run.start}..{run.stop}")
        if run.stop > run.start and not run.start <= committed <= run.stop:
            faults.append(f"writer {index} has committed up to {committed}, its run is {run.start}..{run.stop}")
        writing = writing & ~mine
    if writing.any():
        faults.append(f"{np.count_nonzero(writing)} slots are being written by nobody")
    return faults


def _group(core: Core, g: int, head: int, ready: np.ndarray) -> list[str]:
    w = core.words
    row = core.group(g)
    following = w[row + lay.NEXT]
    pending = ready & (core.group_state[g] == lay.PENDING)
    again = np.count_nonzero(pending & (core.sequence < following))
    faults = []
    if np.count_nonzero(pending) - again != head - following:
        faults.append(
            f"group {g}: {np.count_nonzero(pending) - again} events not yet handed out, "
            f"{head - following} by the counters"
        )
    elif head > following:
        numbers = np.arange(following, head)
        slots = core.order[numbers % core.slots]
        if not (pending[slots] & (core.sequence[slots] == numbers)).all():
            faults.append(f"group {g}: the order of events {following} to {head - 1} is wrong")
    if again != w[row + lay.RETURNED]:
        faults.append(f"group {g}: {again} events to be handed out again, {w[row + lay.RETURNED]} by the counter")
    faults += _readers(core, g, ready & (core.group_state[g] == lay.READING))
    committed = head - w[row + lay.SINCE]
    accounted = w[row + lay.RELEASED] + w[row + lay.QUARANTINED] + sum(core.left(g))
    if committed != accounted:
        faults.append(f"group {g}: {committed} events committed, {accounted} released, set aside or left")
    return faults


def _readers(core: Core, g: int, reading: np.ndarray) -> list[str]:
    w = core.words
    faults = []
    held = 0
    for index in core.clients(lay.READER):
        row = core.client(index)
        if w[row + lay.GROUP] != g:
            continue
        done = w[row + lay.DONE_COUNT]  # before HANDED: both may advance while they are read
        positions = (w[row + lay.HARVESTED], done, w[row + lay.HANDED], w[row + lay.TAKEN])
        if sorted(positions) != list(positions):
            faults.append(f"group {g}: reader {index} has released, seen and taken {positions}")
        slots = core.held(index, w[row + lay.HARVESTED], w[row + lay.TAKEN])
        held += len(slots)
        if not (reading[slots] & (core.group_owner[g, slots] == index)).all():
            faults.append(f"group {g}: reader {index} lists slots that are not its own")
    if held != np.count_nonzero(reading):
        faults.append(f"group {g}: {np.count_nonzero(reading)} slots are being read, {held} by the readers' lists")
    return faults
