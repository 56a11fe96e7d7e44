"""Recorded events as tables: Arrow, pandas, numpy (import it late: it loads pyarrow)."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimodaq.functions.files._arrow import event_schema, rows_to_table
from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._eventfile import Columns, EventFile
from mimodaq.functions.files._layout import METADATA, select_columns

_CHUNK_BYTES: Final = 32_000_000


def to_arrow(events: EventFile, columns: Sequence[str] | None, start: int, stop: int | None) -> pa.Table:
    """See `EventFile.to_arrow`."""
    names = select_columns(events.dtype, columns)
    schema = event_schema(events.dtype, names, _units(events), dict(events.metadata))
    tables = [rows_to_table(_arrays(found, names), schema) for found in _pieces(events, start, stop)]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def to_pandas(events: EventFile, columns: Sequence[str] | None, start: int, stop: int | None) -> Any:
    """See `EventFile.to_pandas`."""
    if importlib.util.find_spec("pandas") is None:
        raise FilesError("to_pandas needs pandas, which is not installed: pip install pandas, or use to_numpy")
    return to_arrow(events, columns, start, stop).to_pandas()


def to_numpy(events: EventFile, columns: Sequence[str] | None, start: int, stop: int | None) -> npt.NDArray[np.void]:
    """See `EventFile.to_numpy`."""
    names = select_columns(events.dtype, columns)
    pieces = list(_pieces(events, start, stop))
    found = np.empty(sum(len(piece.counter) for piece in pieces), [(name, *_kind(events, name)) for name in names])
    begin = 0
    for piece in pieces:
        end = begin + len(piece.counter)
        for name, values in _arrays(piece, names).items():
            target = found[name][begin:end]
            target[...] = values.reshape(target.shape)
        begin = end
    return found


def _pieces(events: EventFile, start: int, stop: int | None) -> Iterator[Columns]:
    """The events in pieces of bounded size; `start` and `stop` as in a slice."""
    start, stop, _ = slice(start, stop).indices(events.count)
    step = max(1, _CHUNK_BYTES // max(1, events.dtype.itemsize))
    for begin in range(start, stop, step):
        yield events.columns(begin, min(begin + step, stop))


def _arrays(found: Columns, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    return {name: getattr(found, name) if name in METADATA else found.fields[name] for name in names}


def _kind(events: EventFile, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape of a column in a structured array."""
    if name in METADATA:
        return np.dtype(np.int64 if name == "counter" else np.float64), ()
    field = events.dtype[name]
    return field.base.newbyteorder("="), () if field.shape == (1,) else field.shape


def _units(events: EventFile) -> dict[str, str]:
    return dict(json.loads(events.metadata.get("units", "{}")))
