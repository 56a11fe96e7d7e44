"""The built-in source that writes recorded events into a buffer again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._eventfile import Columns, EventFile
from mimodaq.functions.files._fit import Cast, Transfer, fit
from mimodaq.functions.files._io import EventSink, SourceIO
from mimodaq.functions.files._open import open_events

_BATCH_BYTES: Final = 4_000_000
_LONGEST_WAIT: Final = 0.1
_LATE: Final = 1.0


def replay(
    io: SourceIO,
    *,
    input: str,
    dataset: str = "",
    speed: str | float = "full",
    rate: float = 0.0,
    repeat: int = 1,
    channels: dict[str, str] | None = None,
    scale: dict[str, float] | float | None = None,
    cast: Cast = "safe",
    start: int = 0,
    count: int = 0,
    skip_corrupt: bool = False,
) -> None:
    """Write recorded events into a buffer, with their counters, timestamps and dead times.

    input: file, dataset or run directory (see `open_events`); relative to the folder of the setup.
    dataset: which events of a run directory.
    speed: `full`; `recorded` at the distances of their timestamps; or a factor, 2 is twice as fast.
    rate: events per second at equal distances, instead of `speed`; 0 = not.
    repeat: how many times, 0 = until the run is stopped. Counters and timestamps of a repetition go on where those
        before ended.
    channels, scale, cast: how the columns fit into the buffer, see `fit`.
    start, count: the first event and how many of them; 0 = all.
    skip_corrupt: leave out damaged events instead of stopping.

    Several processes share the events: process i takes every n-th batch, whose limits depend on the file alone. When
    the schedule falls more than a second behind, by a pause or a full buffer, it is moved, so no burst follows.
    Raises FilesError.
    """
    if len(io.writers) != 1:
        raise FilesError(f"{io.name}: `replay` writes to one buffer, found {len(io.writers)}. Correct `RB_assign`.")
    sink: EventSink = io.writers[0]
    with open_events(io.setup_dir / Path(input).expanduser(), dataset, skip_corrupt=skip_corrupt) as events:
        transfers = fit(events, sink.dtype, sink.name, channels=channels, scale=scale, cast=cast)
        unused = [name for name in events.dtype.names or () if name not in {move.source for move in transfers}]
        if unused or events.ignored:
            io.log.warning("%s: columns not replayed: %s", io.name, ", ".join([*unused, *events.ignored]))
        stop = min(events.count, start + count) if count else events.count
        factor = _speed(speed, events) if not rate else None
        clock = _Schedule(io, rate=rate, factor=factor) if rate or factor else None
        written = 0
        try:
            for batch in _batches(events, start, stop, repeat, io.process, io.processes):
                for done in _write(batch, sink, transfers, clock):
                    written += done
                if io.stopping():
                    break
        finally:
            if events.skipped:
                io.log.warning("%s: %d damaged events of %s were skipped", io.name, events.skipped, events.path)
            io.note(events_replayed=written, events_skipped=events.skipped)


def _batches(events: EventFile, start: int, stop: int, repeat: int, process: int, processes: int) -> Iterator[Columns]:
    """The share of one process of the events, lap after lap."""
    step = max(1, _BATCH_BYTES // events.dtype.itemsize)
    begins = range(start, stop, step)[process::processes]
    if not begins:
        return
    numbers, duration = (0, 0.0) if repeat == 1 else _lap(events, start, stop)
    for lap in range(repeat) if repeat else itertools.count():
        for begin in begins:
            found = events.columns(begin, min(begin + step, stop))
            yield (
                found._replace(counter=found.counter + lap * numbers, timestamp=found.timestamp + lap * duration)
                if lap
                else found
            )


def _lap(events: EventFile, start: int, stop: int) -> tuple[int, float]:
    """How far counters and timestamps (s) move on from one repetition to the next."""
    ends = [events.columns(i, i + 1) for i in (start, stop - 1)]
    if not all(len(end.counter) for end in ends):
        raise FilesError(
            f"replaying {events.path}: its first or last event is damaged, so it cannot be repeated. Choose the good "
            "ones with `start` and `count`."
        )
    (first, begin), (last, end) = ((int(one.counter[0]), float(one.timestamp[0])) for one in ends)
    return last - first + 1, (end - begin) * (1 + 1 / max(1, stop - start - 1))


def _write(batch: Columns, sink: EventSink, transfers: tuple[Transfer, ...], clock: _Schedule | None) -> Iterator[int]:
    """Copy events into claimed slots as they fall due, and say how many each time; ends early if the run is stopped."""
    done, total = 0, len(batch.counter)
    if clock is not None:
        clock.begin(batch.timestamp)
    while done < total:
        due = total if clock is None else clock.due(done)
        if due == done:
            return
        slots = sink.claim(due - done)
        part = slice(done, done + len(slots.events))
        for move in transfers:
            move.copy(batch.fields[move.source][part], slots.events[move.target])
        slots.counter[:], slots.timestamp[:], slots.deadtime[:] = (values[part] for values in batch[:3])
        sink.commit_batch()
        yield len(slots.events)
        done = part.stop


class _Schedule:
    """When each event of a batch is due."""

    def __init__(self, io: SourceIO, *, rate: float, factor: float | None) -> None:
        self._io = io
        self._rate = rate
        self._factor = factor
        self._pace = threading.Event()
        self._events = 0
        self._times: npt.NDArray[np.floating[Any]] = np.empty(0)
        self._origin: float | None = None

    def begin(self, timestamps: npt.NDArray[np.float64]) -> None:
        """Plan the next batch."""
        if self._factor is not None:
            self._times = np.maximum.accumulate(timestamps) / self._factor
        else:
            self._times = (self._events + np.arange(len(timestamps))) * (self._io.processes / self._rate)
        self._events += len(timestamps)

    def due(self, done: int) -> int:
        """Wait until event `done` is due; answers the end of those due then, `done` itself if the run is stopped."""
        next_time = float(self._times[done])
        now = time.monotonic()
        if self._origin is None or now - (self._origin + next_time) > _LATE:
            self._origin = now - next_time
        while (wait := self._origin + next_time - time.monotonic()) > 0:
            if self._io.stopping():
                return done
            self._pace.wait(min(wait, _LONGEST_WAIT))
        return max(done + 1, int(np.searchsorted(self._times, time.monotonic() - self._origin, side="right")))


def _speed(speed: str | float, events: EventFile) -> float | None:
    """Recorded seconds per second, None for as fast as possible."""
    if speed == "full":
        return None
    try:
        factor = 1.0 if speed == "recorded" else float(speed)
    except ValueError:
        factor = 0.0
    if factor <= 0:
        raise FilesError(f"option `speed: {speed}` is unknown. Write `full`, `recorded` or a factor above 0.")
    if not events.has_timestamps:
        raise FilesError(f"option `speed: {speed}`: {events.path} has no timestamps. Use `speed: full` or `rate`.")
    return factor
