"""What the built-in functions of this package need from the runtime, and the few steps they share.

The protocols state the part of the worker interface that is used here, so that the functions run on anything
that offers it: the runtime's buffers in a worker, plain arrays in the tests.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Events = npt.NDArray[Any]
"""Structured array of events, shape (n,); a channel is a field of shape (samples,), a number one of shape (1,)."""

BATCH_BYTES: Final = 1 << 20
"""Most bytes of events worth handling at once: more do not stay in a core's cache."""


class Batch(Protocol):
    """Consecutive slots of a buffer, as views."""

    @property
    def events(self) -> Events: ...
    @property
    def counter(self) -> npt.NDArray[np.int64]: ...
    @property
    def timestamp(self) -> npt.NDArray[np.float64]: ...
    @property
    def deadtime(self) -> npt.NDArray[np.float64]: ...


class Reader(Protocol):
    """The reading end of a buffer."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def take(self, n: int, timeout: float | None = None) -> Batch | None: ...
    def sequences(self, n: int) -> npt.NDArray[np.int64]: ...
    def release(self, n: int | None = None) -> None: ...


class Writer(Protocol):
    """The writing end of a buffer."""

    waited_s: float
    """Seconds spent waiting for free slots so far."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    def claim(self, n: int) -> Batch: ...
    def commit_batch(self, n: int | None = None) -> None: ...


class Observed(Protocol):
    """A copy of one event."""

    @property
    def event(self) -> np.void: ...
    @property
    def counter(self) -> int: ...
    @property
    def timestamp(self) -> float: ...
    @property
    def sequence(self) -> int: ...


class Observer(Protocol):
    """The observing end of a buffer."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def get(self, timeout: float | None = None) -> Observed | None: ...


class FunctionIO(Protocol):
    """What a worker's runtime hands to a built-in function."""

    name: str
    process: int
    processes: int
    run_dir: Path
    setup_dir: Path
    run_folder: Path | None
    """In memory, for what may be looked at while the run goes on; None: there is nobody to look."""
    log: logging.Logger

    @property
    def run_info(self) -> Mapping[str, Any]: ...
    @property
    def readers(self) -> Sequence[Reader]: ...
    @property
    def writers(self) -> Sequence[Writer]: ...
    @property
    def observers(self) -> Sequence[Observer]: ...
    def stopping(self) -> bool: ...
    def files(self, *paths: Path) -> None: ...
    def note(self, **figures: Any) -> None: ...


def events_per_batch(dtype: np.dtype[Any], most: int) -> int:
    """Give how many events of this dtype to handle at once: at most `most`, at least one, about 1 MB."""
    return max(1, min(most, BATCH_BYTES // max(dtype.itemsize, 1)))


def write_events(
    writer: Writer, events: Events, source: Batch, rows: npt.NDArray[np.intp] | slice = slice(None)
) -> None:
    """Write events with the metadata of the events of `source` they were made from (`rows` of it).

    `events` has the writer's field names; each goes to the next free slot, in order. Blocks while the buffer
    is full.
    """
    counter, timestamp, deadtime = source.counter[rows], source.timestamp[rows], source.deadtime[rows]
    done = 0
    while done < len(events):
        slots = writer.claim(len(events) - done)
        some = slice(done, done + len(slots.events))
        for field in writer.dtype.names or ():
            slots.events[field] = events[field][some]
        slots.counter[:] = counter[some]
        slots.timestamp[:] = timestamp[some]
        slots.deadtime[:] = deadtime[some]
        writer.commit_batch()
        done = some.stop


def channels_of(dtype: np.dtype[Any], doing: str) -> tuple[list[str], int]:
    """Give names and number of samples of the channels of a waveform buffer.

    Raises ValueError, naming `doing`, unless all fields are waveforms of one length.
    """
    names = list(dtype.names or ())
    lengths = {dtype[name].shape for name in names}
    if len(lengths) != 1 or len(shape := lengths.pop()) != 1:
        raise ValueError(
            f"{doing}: the channels of a waveform buffer need one length each, the same for all; found {dtype}. "
            "Give one 'channel_per_slot' and only channels in 'data_type'."
        )
    return names, int(shape[0])


def check_samples(asked: int, present: int, doing: str) -> None:
    """Raise ValueError if the option number_of_samples (0: not given) disagrees with the buffer."""
    if asked and asked != present:
        raise ValueError(
            f"{doing}: {asked} samples are asked for, but the events have {present} samples a channel. "
            "Make 'channel_per_slot' of the buffers and 'number_of_samples' equal (the option may be left out)."
        )


def check_fields(sink: np.dtype[Any], delivered: Sequence[str], doing: str) -> None:
    """Raise ValueError if a sink has a field that the function does not fill."""
    unknown = [name for name in sink.names or () if name not in delivered]
    if unknown:
        raise ValueError(
            f"{doing}: the sink has the fields {', '.join(unknown)}, which are not delivered. "
            f"Delivered are: {', '.join(delivered)}."
        )


def polarity_sign(polarity: str, doing: str) -> int:
    """Translate the option polarity into +1 or -1; raises ValueError for any other word."""
    try:
        return {"positive": 1, "negative": -1}[polarity]
    except KeyError:
        raise ValueError(f"{doing}: polarity is {polarity!r}; give 'positive' or 'negative'") from None
