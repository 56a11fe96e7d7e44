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
    counter = io.process  # of several processes each counts its own share
    try:
        for answer in events:
            if answer is None:
                break
            event, metadata = answer, None
            if isinstance(answer, tuple) and len(answer) == 2 and (answer[1] is None or isinstance(answer[1], tuple)):
                event, metadata = answer
            stamp = time.time()
            if metadata is None:
                now = time.monotonic()
                busy, waited = writer.waited_s - waited, writer.waited_s
                metadata = (counter, stamp, min(1.0, busy / max(now - last, 1e-9)))
                last = now
            store(event, metadata)
            counter += io.processes
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


# -- filters and sinks ----------------------------------------------------------------------------------------


def _per_event(function: Callable[..., Any], options: Mapping[str, Any], io: FunctionIO) -> None:
    reader = io.reader
    stores = [_Store(writer, io.name) for writer in io.writers]
    while (event := reader.get()) is not None:
        answer = function(event, **options)
        if answer is None or answer is False:
            continue
        metadata = (reader.counter, reader.timestamp, reader.deadtime)
        for store, outputs in _share(answer, stores, io.name):
            for output in outputs:
                store(event if output is True else output, metadata)


def _share(answer: Any, stores: Sequence[_Store], name: str) -> list[tuple[_Store, list[Any]]]:
    """Which sink gets what."""
    if not stores:
        return []
    if not isinstance(answer, list):
        return [(stores[0], [answer])]
    if len(answer) != len(stores):
        raise OutputError(
            f"{name} answered a list of {len(answer)} for {len(stores)} sinks: one entry for each (None = nothing)"
        )
    shares = []
    for store, entry in zip(stores, answer, strict=True):
        if entry is None or entry is False:
            continue
        shares.append((store, entry if isinstance(entry, list) else [entry]))
    return shares


def _per_batch(function: Callable[..., Any], options: Mapping[str, Any], io: FunctionIO) -> None:
    reader = io.reader
    while (batch := reader.take(_BATCH)) is not None:
        answer = function(batch, **options)
        if answer is not None and io.writers:
            answers = answer if isinstance(answer, list) else [answer]
            if len(answers) != len(io.writers):
                raise OutputError(f"{io.name} answered {len(answers)} entries for {len(io.writers)} sinks")
            for writer, output in zip(io.writers, answers, strict=True):
                if output is not None:
                    put_batch(writer, batch, output, io.name)
        reader.release()


def put_batch(writer: Writer, batch: Batch, output: np.ndarray, name: str) -> None:
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
        copy_records(room.events, events[part], name)
        room.counter[:] = batch.counter[part]
        room.timestamp[:] = batch.timestamp[part]
        room.deadtime[:] = batch.deadtime[part]
        writer.commit_batch()
        done += len(part)


def copy_records(target: np.ndarray, source: np.ndarray, name: str) -> None:
    """Copy records field by field by name; fields not given become zero."""
    if target.dtype == source.dtype:
        size = target.dtype.itemsize
        np.copyto(target.view(f"V{size}"), np.ascontiguousarray(source).view(f"V{size}"))
        return
    _known_fields(target.dtype, source.dtype.names or (), name)
    for field in target.dtype.names or ():
        if field in (source.dtype.names or ()):
            target[field] = source[field].reshape(target[field].shape)
        else:
            target[field] = 0


def _known_fields(dtype: np.dtype[Any], names: Sequence[str], name: str) -> None:
    unknown = [n for n in names if n not in (dtype.names or ())]
    if unknown:
        raise OutputError(f"{name} gives a field {unknown[0]!r}, its sink has {', '.join(dtype.names or ())}")


class _Store:
    """Puts one event of any accepted kind into a buffer."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer = writer
        self._name = name
        self._fields = writer.dtype.names or ()
        shapes = {writer.dtype[f].shape for f in self._fields}
        self._samples = shapes.pop()[0] if len(shapes) == 1 else None

    def __call__(self, event: Any, metadata: tuple[int, float, float]) -> None:
        writer = self._writer
        if isinstance(event, np.void) and event.dtype == writer.dtype:
            writer.put(event, *metadata)
            return
        record = writer.slot()
        if isinstance(event, Mapping):
            self._fill(record, event, tuple(event))
        elif isinstance(event, np.void | np.ndarray) and event.dtype.names:
            if event.ndim and event.size != 1 and event.shape != (self._samples,):
                raise self._misfit(f"records of shape {event.shape}")
            self._fill(record, event, event.dtype.names)
        else:
            self._fill_plain(record, event)
        writer.commit(*metadata)

    def _fill(self, record: np.void, event: Any, names: Sequence[str]) -> None:
        _known_fields(self._writer.dtype, names, self._name)
        for field in self._fields:
            place = record[field]
            if field not in names:
                place[...] = 0
                continue
            self._assign(place, np.asarray(event[field]), f"field {field!r}")

    def _fill_plain(self, record: np.void, event: Any) -> None:
        rows = np.asarray(event)
        if rows.ndim == 1 and len(self._fields) == 1:
            rows = rows[np.newaxis]
        if rows.ndim == 0 or len(rows) != len(self._fields) or rows.dtype == object:
            raise self._misfit(f"{type(event).__name__} of shape {rows.shape}")
        for field, row in zip(self._fields, rows, strict=True):
            self._assign(record[field], row, f"field {field!r}")

    def _assign(self, place: np.ndarray, values: np.ndarray, what: str) -> None:
        if values.size not in {place.size, 1}:
            raise self._misfit(f"{values.size} values for {what}, which has {place.size}")
        if not np.can_cast(values.dtype, place.dtype, "same_kind"):
            raise self._misfit(f"{values.dtype} for {what}, which is {place.dtype}")
        place[...] = values.reshape(place.shape) if values.size == place.size else values.reshape(())

    def _misfit(self, found: str) -> OutputError:
        return OutputError(f"{self._name} gives {found}; buffer {self._writer.name} takes {self._writer.dtype}")
