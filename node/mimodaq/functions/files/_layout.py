"""What an event consists of: the planar record dtype, checked and written down as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._errors import FilesError

METADATA: Final = ("counter", "timestamp", "deadtime")
"""Columns every file has beside the fields of the event: int64, float64 (s, UTC), float64 (fraction, -1 unset)."""


class EventBatch(Protocol):
    """Consecutive events as a ring reader gives them (`mimodaq.ring.Batch` is one)."""

    @property
    def events(self) -> npt.NDArray[Any]:
        """Structured array (n,) of the planar record dtype."""

    @property
    def counter(self) -> npt.NDArray[np.int64]:
        """Event numbers (n,)."""

    @property
    def timestamp(self) -> npt.NDArray[np.float64]:
        """Times in s, UTC (n,)."""

    @property
    def deadtime(self) -> npt.NDArray[np.float64]:
        """Dead-time fractions, -1 if unset (n,)."""


class Batch(NamedTuple):
    """Consecutive events of a file, with the same fields as the ring's batch."""

    events: npt.NDArray[Any]
    counter: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.float64]
    deadtime: npt.NDArray[np.float64]


class Field(NamedTuple):
    """One field of the event."""

    name: str
    base: np.dtype[Any]
    samples: int
    """1 for a scalar, which becomes a plain column."""


def fields_of(dtype: np.dtype[Any]) -> tuple[Field, ...]:
    """The fields of an event; FilesError names every field that cannot be stored.

    A field is a number or boolean, or a one-dimensional sub-array of them, and is not named like a column of the
    metadata.
    """
    if dtype.names is None:
        raise FilesError(f"an event must be a record with named fields, found dtype {dtype}")
    fields, faults = [], []
    for name in dtype.names:
        kind = dtype[name]
        if name in METADATA:
            faults.append(f"`{name}` is the name of a metadata column")
        elif kind.base.kind not in "biuf":
            faults.append(f"`{name}` is {kind.base}, not a number or boolean")
        elif kind.ndim > 1 or kind.shape == (0,):
            faults.append(f"`{name}` has shape {kind.shape}, expected (samples,)")
        fields.append(Field(name, kind.base, int(np.prod(kind.shape, dtype=int))))
    if faults:
        raise FilesError(
            f"these fields of the event cannot be written to a file: {'; '.join(faults)}. Rename or change them."
        )
    return tuple(fields)


def planar_dtype(fields: Sequence[Field]) -> np.dtype[Any]:
    """The packed planar record dtype of these fields; a scalar gets the sub-array shape (1,)."""
    return np.dtype([(field.name, field.base, (field.samples,)) for field in fields])


def select_columns(dtype: np.dtype[Any], columns: Sequence[str] | None) -> tuple[str, ...]:
    """The columns to write, in order: `columns`, or metadata and all fields. FilesError names what is wrong."""
    known = (*METADATA, *(field.name for field in fields_of(dtype)))
    if columns is None:
        return known
    if isinstance(columns, str):
        raise FilesError(f"option `columns: {columns}` is no list. Write for example `columns: [{columns}]`.")
    unknown = [name for name in columns if name not in known]
    doubled = sorted({name for name in columns if list(columns).count(name) > 1})
    if unknown or doubled or not columns:
        raise FilesError(
            f"option `columns: {list(columns)}`: unknown {unknown}, twice {doubled}. Choose from {', '.join(known)}."
        )
    return tuple(columns)


def sort_order(counter: npt.NDArray[np.int64], timestamp: npt.NDArray[np.float64]) -> npt.NDArray[np.intp] | None:
    """The stable order by (counter, timestamp), or None if the events are in it already."""
    step = np.diff(counter)
    if not np.any(step < 0) and not np.any((step == 0) & (np.diff(timestamp) < 0)):
        return None
    return np.lexsort((timestamp, counter))


def dtype_to_json(dtype: np.dtype[Any]) -> Any:
    """A record dtype as JSON values, padding and nesting kept."""
    if dtype.names is None:
        return dtype.str if dtype.subdtype is None else [dtype_to_json(dtype.base), list(dtype.shape)]
    fields = dtype.fields
    assert fields is not None
    return {
        "names": list(dtype.names),
        "formats": [dtype_to_json(dtype[name]) for name in dtype.names],
        "offsets": [fields[name][1] for name in dtype.names],
        "itemsize": dtype.itemsize,
    }


def dtype_from_json(value: Any) -> np.dtype[Any]:
    """The inverse of `dtype_to_json`; raises TypeError, ValueError or KeyError for anything else."""
    if isinstance(value, Mapping):
        formats = [dtype_from_json(item) for item in value["formats"]]
        return np.dtype({**value, "formats": formats})  # type: ignore[call-overload, no-any-return]
    if isinstance(value, list):
        return np.dtype((dtype_from_json(value[0]), tuple(value[1])))
    return np.dtype(str(value))
