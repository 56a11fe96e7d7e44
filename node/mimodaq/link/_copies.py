"""Copies of events as frames of a message, and back; looking at a ring only while somebody wants to see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import zmq

from mimodaq.protocol.link import MessageError
from mimodaq.protocol.link_window_messages import METADATA_COLUMNS, Copies, check_copies, encode
from mimodaq.ring import Observer, Recent, Ring

_IDLE_S: Final = 3.0
"""An observer that nobody needed for so long leaves its ring: on another host, copies may be made for it alone."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Events with what is known of each, oldest first."""

    events: np.ndarray
    """Shape (n,), of the ring's record dtype."""
    sequence: np.ndarray
    """int64 (n,), numbers in the ring."""
    counter: np.ndarray
    """int64 (n,)."""
    timestamp: np.ndarray
    """float64 (n,), seconds UTC."""
    deadtime: np.ndarray
    """float64 (n,), fraction, -1 if unknown."""


class Lookout:
    """An observer of a ring that comes and goes with the demand."""

    def __init__(self, ring: Ring, label: str) -> None:
        self.ring = ring
        self.dtype = json.dumps(ring.dtype.descr)
        self._label = label
        self._observer: Observer | None = None
        self._used = 0.0

    def look(self, most: int, after: int, now: float) -> Recent:
        """The newest events; RingClosed after an abort."""
        if self._observer is None:
            self._observer = self.ring.observer(self._label)
        self._used = now
        return self._observer.recent(most, after)

    def rest(self, now: float) -> None:
        """Leave the ring if nobody has looked for some time."""
        if self._observer is not None and now - self._used >= _IDLE_S:
            self.close()

    def close(self) -> None:
        """Leave the ring."""
        if self._observer is not None:
            self._observer.close()
            self._observer = None


def frames_of(recent: Recent, number: int, dtype: str) -> list[bytes | memoryview]:
    """The frames of the answer to question `number`."""
    count, size = len(recent.events), recent.events.dtype.itemsize
    header = encode(Copies(number, dtype, size, count, recent.newest, recent.is_ended))
    columns = (recent.sequence, recent.counter, recent.timestamp, recent.deadtime)
    return [header, recent.events.view("u1").data, b"".join(column.tobytes() for column in columns)]


def check_frames(copies: Copies, frames: Sequence[zmq.Frame]) -> None:
    """Raise MessageError unless the frames behind the header of copies have its sizes, and growing numbers."""
    if len(frames) != 3:
        raise MessageError(f"copies of {len(frames)} frames instead of 3")
    check_copies(copies, len(frames[1].buffer), len(frames[2].buffer))
    numbers = np.frombuffer(frames[2].buffer, "i8", copies.count) if copies.count else np.empty(0, "i8")
    if len(numbers) and not (numbers[0] >= 0 and numbers[-1] <= copies.newest and (numbers[1:] > numbers[:-1]).all()):
        raise MessageError(f"copies with numbers from {numbers[0]} to {numbers[-1]} of a ring up to {copies.newest}")


def dtype_of(copies: Copies) -> np.dtype[np.void]:
    """The record dtype of events from another host; raises MessageError for what is none, or has Python objects."""
    try:
        dtype = np.dtype([(name, str(kind), tuple(shape)) for name, kind, shape in json.loads(copies.dtype)])
    except (ValueError, TypeError, RecursionError) as error:
        raise MessageError(f"events of the kind {copies.dtype[:200]}, which is none") from error
    if dtype.hasobject or dtype.itemsize != copies.event_bytes or not dtype.itemsize:
        raise MessageError(f"events of {copies.event_bytes} bytes of the kind {copies.dtype[:200]}")
    return dtype


def columns_of(copies: Copies, frames: Sequence[zmq.Frame], dtype: np.dtype[np.void]) -> Columns:
    """The events of checked frames, as views into them."""
    words = np.frombuffer(frames[2].buffer, "i8").reshape(METADATA_COLUMNS, copies.count)
    events = np.frombuffer(frames[1].buffer, dtype, copies.count)
    return Columns(events, words[0], words[1], words[2].view("f8"), words[3].view("f8"))
