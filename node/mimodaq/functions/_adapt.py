"""Run a function of the plain forms: the loop around a source, a filter or a sink.

Metadata of an event are handed on unchanged from its input to every output.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mimodaq.functions._forms import Form, arguments, form_of
from mimodaq.functions._io import FunctionIO
from mimodaq.ring import Batch, RingEnding, Writer

_BATCH: Final = 256
_LOOK_S: Final = 1.0

_Metadata = tuple[int | None, float, float]
"""Counter (None: the buffer counts), time stamp in s UTC, dead-time fraction."""


class OutputError(TypeError):
    """A function answered something that does not fit its sinks."""


def run(function: Callable[..., Any], io: FunctionIO) -> None:
    """Run `function` in its form until its input or the run ends.

    Raises what the function raises, OutputError when its answer does not fit the buffers; RingEnding ends it normally.
    """
    options = arguments(function, io.config)
    try:
        match form_of(function):
            case Form.IO:
                function(io, **options)
            case Form.SOURCE:
                _source(function(**options), io)
            case Form.EVENT:
                _per_event(function, options, io)
            case Form.BATCH:
                _per_batch(function, options, io)
            case Form.MIMOCORB:
                raise TypeError("mimoCoRB functions are run by mimodaq.mimocorb")
    except RingEnding:
        return


# -- sources ------------------------------------------------------------------------------------------------


def _source(events: Iterator[Any], io: FunctionIO) -> None:
    writer = io.writer
    store = _Store(writer, io.name)
    waited = 0.0
    last = time.monotonic()
    try:
        for answer in events:
            if answer is None:
                break
            event, metadata = answer if _has_metadata(answer, io.name) else (answer, None)
            if metadata is None:
                now = time.monotonic()
                busy, waited = writer.waited_s - waited, writer.waited_s
                # the buffer counts: unique over all processes and sources, and after a restart
                metadata = (None, time.time(), min(1.0, busy / max(now - last, 1e-9)))
                last = now
            store(event, metadata)
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


def _has_metadata(answer: Any, name: str) -> bool:
    """Whether a source has given (event, (counter, timestamp, deadtime))."""
    if not (isinstance(answer, tuple) and len(answer) == 2 and (answer[1] is None or isinstance(answer[1], tuple))):
        return False
    if answer[1] is not None and len(answer[1]) != 3:
        raise OutputError(f"{name} gives {_short(answer[1])} beside an event: (counter, timestamp, deadtime) expected")
    return True


# -- filters and sinks ----------------------------------------------------------------------------------------


def _per_event(function: Callable[..., Any], options: Mapping[str, Any], io: FunctionIO) -> None:
    stores = [_Store(writer, io.name) for writer in io.writers]
    if not io.readers:
        _per_observed(function, options, io, stores)
        return
    reader = io.reader
    while (event := reader.get()) is not None:
        answer = function(event, **options)
        if answer is not None and answer is not False:
            _hand_on(answer, event, (reader.counter, reader.timestamp, reader.deadtime), stores, io.name)


def _per_observed(
    function: Callable[..., Any], options: Mapping[str, Any], io: FunctionIO, stores: Sequence[_Store]
) -> None:
    """The same with copies of recent events: as many as the function can look at."""
    while True:
        try:
            seen = io.observer.get(_LOOK_S)
        except TimeoutError:
            continue
        if seen is None:
            return
        answer = function(seen.event, **options)
        _hand_on(answer, seen.event, (seen.counter, seen.timestamp, seen.deadtime), stores, io.name)


def _hand_on(answer: Any, event: np.void, metadata: _Metadata, stores: Sequence[_Store], name: str) -> None:
    """Put what a function has answered to `event` into its sinks."""
    if not stores:
        return
    answers = answer if isinstance(answer, list) else [answer, *[None] * (len(stores) - 1)]
    if len(answers) != len(stores):
        raise OutputError(
            f"{name} answered a list of {len(answers)} for {len(stores)} sinks: one entry for each (None = nothing)"
        )
    for store, entry in zip(stores, answers, strict=True):
        for output in entry if isinstance(entry, list) else (entry,):
            if isinstance(output, bool | np.bool_):
                if output:
                    store(event, metadata)
            elif output is not None:
                store(output, metadata)


def _per_batch(function: Callable[..., Any], options: Mapping[str, Any], io: FunctionIO) -> None:
    reader = io.reader
    while (batch := reader.take(_BATCH)) is not None:
        answer = function(batch, **options)
        if answer is not None and io.writers:
            answers = answer if isinstance(answer, list) else [answer, *[None] * (len(io.writers) - 1)]
            if len(answers) != len(io.writers):
                raise OutputError(
                    f"{io.name} answered a list of {len(answers)} for {len(io.writers)} sinks: "
                    "one entry for each (None = nothing)"
                )
            for writer, output in zip(io.writers, answers, strict=True):
                if output is not None:
                    _put_batch(writer, batch, output, io.name)
        reader.release()


def _put_batch(writer: Writer, batch: Batch, output: Any, name: str) -> None:
    """Write the answer to a batch: a boolean mask (n,) selects input events, or records (n,), one for each event."""
    n = len(batch.events)
    output = np.asarray(output)
    if output.dtype == bool and output.shape == (n,):
        chosen = np.flatnonzero(output)
        events = batch.events
    elif output.dtype.names and output.shape == (n,):
        chosen, events = np.arange(n), output
    else:
        raise OutputError(
            f"{name} answered {output.dtype} of shape {output.shape} for a batch of {n}: "
            f"a boolean mask or records of shape ({n},)"
        )
    done = 0
    while done < len(chosen):
        room = writer.claim(len(chosen) - done)
        part = chosen[done : done + len(room.events)]
        _copy_records(room.events, events[part], writer, name)
        room.counter[:] = batch.counter[part]
        room.timestamp[:] = batch.timestamp[part]
        room.deadtime[:] = batch.deadtime[part]
        writer.commit_batch()
        done += len(part)


def _copy_records(target: np.ndarray, source: np.ndarray, writer: Writer, name: str) -> None:
    """Copy records field by field by name; fields not given become zero."""
    if target.dtype == source.dtype:
        size = target.dtype.itemsize
        np.copyto(target.view(f"V{size}"), np.ascontiguousarray(source).view(f"V{size}"))
        return
    given = source.dtype.names or ()
    _check_names(writer, given, name)
    for field in target.dtype.names or ():
        if field in given:
            place, values = target[field], source[field]
            if values.size == len(source):  # one value for each event
                values = np.broadcast_to(values.reshape(-1, 1), place.shape)
            _assign(place, values, writer, field, name)
        else:
            target[field] = 0


class _Store:
    """Puts one event of any accepted kind into a buffer."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer = writer
        self._name = name
        self._fields = writer.dtype.names or ()

    def __call__(self, event: Any, metadata: _Metadata) -> None:
        writer = self._writer
        if isinstance(event, np.void) and event.dtype == writer.dtype:
            writer.put(event, *metadata)
            return
        record = writer.slot()
        if isinstance(event, Mapping):
            self._fill(record, event, tuple(event))
        elif isinstance(event, np.void | np.ndarray) and event.dtype.names:
            self._fill(record, event, event.dtype.names)
        else:
            self._fill_plain(record, event)
        writer.commit(*metadata)

    def _fill(self, record: np.void, event: Any, names: Sequence[str]) -> None:
        _check_names(self._writer, names, self._name)
        for field in self._fields:
            if field in names:
                _assign(record[field], event[field], self._writer, field, self._name)
            else:
                record[field] = 0

    def _fill_plain(self, record: np.void, event: Any) -> None:
        """Fill from an array (channels, samples), or a list of one array for each field."""
        rows = event if isinstance(event, list | tuple) else np.asarray(event)
        if isinstance(rows, np.ndarray) and rows.ndim == 0:
            raise _misfit(self._writer, f"{type(event).__name__} {_short(event)}", self._name)
        if len(self._fields) == 1 and not (len(rows) == 1 and np.ndim(rows[0]) == 1):
            rows = [rows]  # a single channel needs no second dimension
        if len(rows) != len(self._fields):
            raise _misfit(self._writer, f"{type(event).__name__} with {len(rows)} rows", self._name)
        for field, row in zip(self._fields, rows, strict=True):
            _assign(record[field], row, self._writer, field, self._name)


def _check_names(writer: Writer, given: Sequence[str], name: str) -> None:
    unknown = [field for field in given if field not in (writer.dtype.names or ())]
    if unknown:
        raise _misfit(writer, f"a field {unknown[0]!r}", name)


def _assign(place: np.ndarray, given: Any, writer: Writer, field: str, name: str) -> None:
    """Copy values into one field, of one event or of several; one value alone fills a field."""
    try:
        values = np.asarray(given)
    except ValueError:
        raise _misfit(writer, f"lists of different length for field {field!r}", name) from None
    if values.size not in {place.size, 1}:
        raise _misfit(writer, f"{values.size} values for field {field!r}, which has {place.size}", name)
    if not _fits(values, place.dtype):
        raise _misfit(writer, f"{_short(values)} ({values.dtype}) for field {field!r}, which is {place.dtype}", name)
    place[...] = values.reshape(place.shape) if values.size == place.size else values.reshape(())


def _fits(values: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether values can be stored without becoming others: floats may be rounded, integers and texts not be cut."""
    if values.dtype == dtype or np.can_cast(values.dtype, dtype, "safe"):
        return True
    if values.dtype.kind in "iuSU" and dtype.kind in ("iu" if values.dtype.kind in "iu" else values.dtype.kind):
        return np.array_equal(values.astype(dtype), values)
    return np.can_cast(values.dtype, dtype, "same_kind")


def _misfit(writer: Writer, found: str, name: str) -> OutputError:
    return OutputError(f"{name} gives {found}; buffer {writer.name} takes {writer.dtype}")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
