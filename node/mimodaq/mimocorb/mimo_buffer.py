"""Ring buffers in the form of mimoCoRB: `NewBuffer`, and `Writer`, `Reader`, `Observer` that work on it.

`NewBuffer` makes a ring and hands out *setup dictionaries*; a process that is given one makes its `Writer`, `Reader` or
`Observer` from it. A dictionary holds names and numbers only, so every way of starting a process can carry it.
The ring itself is `mimodaq.ring`; this module has its events look as mimoCoRB programs expect (see `_slots`),
and raises SystemExit at the end of a run, which is how mimoCoRB programs leave their loops.

End of a run: after `NewBuffer.shutdown` (or when the process that made the buffer has died) writers are stopped,
readers get what is left in the ring, and then SystemExit. No wait here is without limit.
"""

from __future__ import annotations

import itertools
import multiprocessing.util  # noqa: F401 - see _remove
import os
import time
import weakref
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mimodaq.mimocorb._endpoints import PERIOD_S, Endpoint, RingFlag, SetupDict
from mimodaq.mimocorb._later import catch_up, soon
from mimodaq.mimocorb._shutdown import Drain
from mimodaq.mimocorb._slots import event_dtype
from mimodaq.ring import Batch, Observed, Ring, RingClosed, RingEnding, RingFull, segment_name

METADATA_DTYPE: Final[list[tuple[str, Any]]] = [
    ("counter", np.longlong),
    ("timestamp", np.float64),
    ("deadtime", np.float64),
]
"""What is known of an event: number, time (s, UTC), dead-time fraction (-1 = unknown)."""

_NO_METADATA: Final = (0, -1.0, -1.0)
_MIN_PERIOD_S: Final = 0.05
"""An observer gives at most 20 events/s, as in mimoCoRB: programs rely on it as their clock."""

_numbers = itertools.count(1)


class NewBuffer:
    """Make a ring buffer ("first in, first out") of `number_of_slots` events.

    An event is an array of shape (`values_per_slot`,) and type `dtype`: a list of ``(name, type)``, or one number type.
    All reader groups must exist before the first event; any number of observers and writers may come at any time.
    Raises TypeError or ValueError for a shape or type that makes no event, `mimodaq.ring.NoSpace` if there is too
    little shared memory.
    """

    def __init__(self, number_of_slots: int, values_per_slot: int, dtype: DTypeLike, debug: bool = False) -> None:
        self.number_of_slots = number_of_slots
        self.values_per_slot = values_per_slot
        self.dtype = dtype
        self._debug = debug
        self._ring = Ring.create(
            segment_name(f"buffer{next(_numbers)}", partition=f"mimocorb-{os.getpid()}"),
            event_dtype(dtype, values_per_slot),
            number_of_slots,
            description={"plain": np.dtype(dtype).names is None},
        )
        self._last = (time.monotonic(), 0, 0.0)
        self._remove = weakref.finalize(self, soon, partial(_remove, self._ring, os.getpid()))

    @property
    def ring(self) -> Ring:
        """The ring underneath, for everything that mimoCoRB's interface does not offer."""
        return self._ring

    def new_reader_group(self) -> SetupDict:
        """The setup dictionary of a new group of readers: each event goes to one of the Readers made from it.

        Every group gets every event, and the buffer fills up unless all groups read. Raises RuntimeError after the
        first event, since a group coming later would miss some.
        """
        committed = self._ring.status().committed
        if committed:
            raise RuntimeError(
                f"a reader group would miss the {committed} events written so far: "
                "create all groups before the first event"
            )
        group = f"group{len(self._ring.groups) + 1}"
        self._ring.add_group(group)
        return self._setup_dict(group=group)

    def new_writer(self) -> SetupDict:
        """The setup dictionary of a writer; any number of Writers may share it or have their own."""
        return self._setup_dict()

    def new_observer(self) -> SetupDict:
        """The setup dictionary of an observer; any number of Observers may share it or have their own."""
        return self._setup_dict()

    def _setup_dict(self, **more: Any) -> SetupDict:
        setup = setup_dict(self._ring.segment, self.number_of_slots, self.values_per_slot, self.dtype)
        return {**setup, "debug": self._debug, "owner": os.getpid(), **more}

    def buffer_status(self) -> tuple[int, int, float, float]:
        """(events so far, filled slots, events/s and mean dead time, the last two since the previous call).

        The dead time is the fraction of the time that a writer waited for a free slot; pauses do not count.
        """
        catch_up()
        status = self._ring.status()
        now = time.monotonic()
        then, events, waited_s = self._last
        self._last = (now, status.committed, status.waited_s)
        period_s = max(now - then, 1e-9)
        deadtime = (status.waited_s - waited_s) / period_s / max(1, len(status.writers))
        return status.committed, status.ready, (status.committed - events) / period_s, min(1.0, deadtime)

    def pause(self) -> None:
        """Let every writer wait before its next event; nothing is lost, readers go on."""
        self._ring.pause()

    def resume(self) -> None:
        """Let writers go on after `pause`."""
        self._ring.resume()

    def set_ending(self) -> None:
        """Tell writers to stop; readers get what is in the buffer. `shutdown` has to follow."""
        self._ring.end()

    def shutdown(self, patience_s: float = 10.0) -> None:
        """Stop the writers, let the readers finish, then end all of them.

        Shut down buffers in the order of the data flow: when this returns, readers have finished with every
        event. It waits as long as they make progress, and gives up with a warning `patience_s` after the last one;
        processes that wait for this buffer then get SystemExit.
        """
        Drain(self._ring, patience_s).run()
        self._remove()

    def close(self) -> None:
        """Release the shared memory; programs still using the buffer get SystemExit. Calling it again is harmless."""
        self._remove()


def _remove(ring: Ring, maker: int) -> None:
    # At exit, multiprocessing waits for the processes that are left, so the buffer of a script that failed has to be
    # closed before. What is registered later runs first; that is why multiprocessing.util is imported above.
    if os.getpid() == maker:  # not in a forked child, where this object was merely inherited
        ring.close()
        ring.unlink()


def setup_dict(segment: str, number_of_slots: int, values_per_slot: int, dtype: Any) -> SetupDict:
    """The setup dictionary for a writer or observer of the ring `segment`; a reader also needs `group`."""
    return {
        "number_of_slots": number_of_slots,
        "values_per_slot": values_per_slot,
        "dtype": dtype,
        "mshare_name": segment,
        "metadata_share_name": segment,
        "active": RingFlag(segment, "active"),
        "paused": RingFlag(segment, "paused"),
        "debug": False,
    }


class Writer(Endpoint):
    """Puts events into a buffer, in the process that makes it from the dictionary of `NewBuffer.new_writer`."""

    def __init__(self, setup_dict: SetupDict) -> None:
        super().__init__(setup_dict, "writer")
        self._client = self._writer = self._ring.writer(self.label)
        self._batch: Batch | None = None
        self._rows: NDArray[Any] | None = None
        self._owner_seen = time.monotonic()

    def get_new_buffer(self) -> NDArray[Any]:
        """A free slot to be filled in place, shape (values_per_slot,); the previous one is committed.

        It may hold older data. Blocks while the buffer is full or paused; raises SystemExit when writers must stop.
        """
        self.process_buffer()
        if self._owner is not None and time.monotonic() - self._owner_seen > PERIOD_S:
            self._owner_seen = time.monotonic()
            self._check_owner()
        while True:
            try:
                batch = self._writer.claim(1, PERIOD_S)
                break
            except RingFull:
                self._check_owner()
            except (RingEnding, RingClosed) as end:
                self._ended = self._ends.is_cut_off = True
                self._ends.is_aborted |= isinstance(end, RingClosed)
                raise SystemExit from None
        self._batch = batch
        self._rows = self._layout.show(batch.events.view(np.uint8))
        return self._rows

    def set_metadata(self, counter: int, timestamp: float, deadtime: float) -> None:
        """Set number, time (s, UTC) and dead-time fraction of the current event; without one nothing happens.

        Defaults: number of the event in this buffer from 0 (unique, however many writers there are), time now, -1.
        """
        if self._batch is not None:
            self._batch.counter[0] = counter
            self._batch.timestamp[0] = timestamp
            self._batch.deadtime[0] = deadtime

    def process_buffer(self) -> None:
        """Commit the current event: it must not be changed any more. Without one nothing happens."""
        if self._batch is None:
            return
        if not self._layout.is_view and self._rows is not None:
            self._layout.store(self._rows, self._batch.events)
        self._batch = self._rows = None
        self._writer.commit_batch()

    def is_active(self) -> bool:
        """Whether events can still be written."""
        return not (self._ended or self._writer.is_ending)

    def is_paused(self) -> bool:
        """Whether the next `get_new_buffer` would wait for the end of a pause."""
        return self._writer.is_paused

    @property
    def waited_s(self) -> float:
        """Seconds this writer has waited for free slots, pauses not counted."""
        return self._writer.waited_s


class Reader(Endpoint):
    """Gets events of a buffer, in the process that makes it from the dictionary of `NewBuffer.new_reader_group`.

    Each event goes to one Reader of the group; what a Reader had in hand when its process was killed goes to another.
    A Reader that is dropped has finished with its event, as in mimoCoRB.
    """

    def __init__(self, setup_dict: SetupDict) -> None:
        super().__init__(setup_dict, "reader")
        self.metadata_dtype = METADATA_DTYPE
        self.event_dtype = self._ring.dtype
        """Record dtype of the events as `take` gives them, planar."""
        self._client = self._reader = self._ring.reader(setup_dict["group"], self.label)
        self._has_event = False

    def get(self) -> NDArray[Any]:
        """The next event, shape (values_per_slot,), read-only and valid until the next call; the previous one is done.

        Blocks while there is none; raises SystemExit at the end of the run.
        """
        event = self.get_or_none()
        if event is None:
            raise SystemExit
        return event

    def get_or_none(self) -> NDArray[Any] | None:
        """Like `get`, but gives None at the end of the run."""
        self._has_event = False
        while not self._ended:
            try:
                event = self._reader.get(PERIOD_S)
            except TimeoutError:
                self._check_owner()
                continue
            except RingClosed:
                event = None
                self._ends.is_aborted |= self._is_work_left()
            if event is not None:
                self._has_event = True
                return self._layout.show(event)
            self.leave(is_done=True)
        return None

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        """Up to `n` events at once, planar (see `mimodaq.ring.Reader.take`), to be given back by `release`; None = end.

        Blocks until there is an event; the batch is empty when `timeout` seconds passed. Not to be mixed with `get`.
        """
        while not self._ended:
            try:
                batch = self._reader.take(n, PERIOD_S if timeout is None else timeout)
            except RingClosed:
                batch = None
                self._ends.is_aborted |= self._is_work_left()
            if batch is None:
                self.leave(is_done=True)
            elif len(batch.events):
                return batch
            else:
                self._check_owner()
                if timeout is not None:
                    return batch
        return None

    def sequences(self, n: int) -> NDArray[np.int64]:
        """Numbers in the ring of the first `n` events of what `take` gave last."""
        return self._reader.sequences(n)

    def release(self, n: int | None = None) -> None:
        """The oldest `n` events given by `take` are done; by default all."""
        self._reader.release(n)

    def _is_work_left(self) -> bool:
        groups = self._ring.status().groups
        return any(group.pending or group.reading for group in groups if group.name == self._reader.group)

    def get_metadata(self) -> tuple[int, float, float]:
        """Number, time (s, UTC) and dead-time fraction of the event last given by `get`; (0, -1, -1) without one."""
        if not self._has_event:
            return _NO_METADATA
        return self._reader.counter, self._reader.timestamp, self._reader.deadtime

    def data_available(self) -> bool:
        """Whether `get` would not block: there is an event, or the end of the run (`get` then raises SystemExit)."""
        if self._ended or self._reader.available():
            return True
        self._check_owner()
        status = self._ring.status()
        return status.is_ended or status.is_closed


class Observer(Endpoint):
    """Gets copies of recent events, in the process that makes it from the dictionary of `NewBuffer.new_observer`.

    It never makes writers or readers wait, and gives at most 20 events/s.
    """

    def __init__(self, setup_dict: SetupDict) -> None:
        super().__init__(setup_dict, "observer")
        self.event_dtype = self._ring.dtype
        """Record dtype of the events as `look` gives them, planar."""
        self._client = self._observer = self._ring.observer(self.label)
        self._due = time.monotonic()

    def get(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """The newest event not given yet, and its metadata: arrays of shape (values_per_slot,) and (1,).

        They are the caller's own. Blocks until there is an event; None at the end of the run.
        """
        found = self.look()
        if found is None:
            return None
        metadata = np.array([(found.counter, found.timestamp, found.deadtime)], dtype=METADATA_DTYPE)
        return self._layout.show(bytearray(found.event.tobytes())), metadata

    def look(self) -> Observed | None:
        """Like `get`, but the event as a planar record (see `mimodaq.ring.Observer.get`)."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        while not self._ended:
            try:
                found = self._observer.get(PERIOD_S)
            except TimeoutError:
                self._check_owner()
                continue
            except RingClosed:
                found = None
            if found is not None:
                self._due = time.monotonic() + _MIN_PERIOD_S
                return found
            self.leave(is_done=True)
        return None

    def is_active(self) -> bool:
        """Whether events can still come."""
        if self._ended:
            return False
        status = self._ring.status()
        return not (status.is_ended or status.is_closed)
