"""Show a planar event of the ring as the structured array that mimoCoRB programs know.

The ring keeps each field of an event as one contiguous plane, ``dtype([('chA', '<f4', (4250,)), ...])``; mimoCoRB
shows an event as an array of shape ``(values_per_slot,)`` with dtype ``[('chA', '<f4'), ...]``. Where all
fields are of the same item size, that is the same memory seen through a dtype whose field offsets are the
planes and whose rows overlap (stride = one item): nothing is copied, `data['chA']` is contiguous, and a row, a slice
or an assignment work as in the ancestor. Where item sizes differ and a slot has several rows no such view exists; then
readers get an interleaved copy, and writers an interleaved array that is copied into the slot when it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mimodaq.config import PLAIN_FIELD

SlotDtype = Any
"""What a setup dictionary calls `dtype`: a list of ``(name, dtype)``, or a plain number type."""


def event_dtype(dtype: DTypeLike, values_per_slot: int) -> np.dtype[np.void]:
    """The ring's planar record dtype of a mimoCoRB buffer.

    Raises TypeError if a field is no single number, time or text of fixed length, ValueError without rows or fields.
    """
    if values_per_slot < 1:
        raise ValueError(f"a slot needs at least one value, not values_per_slot={values_per_slot}")
    rows = np.dtype(dtype)
    fields = [(name, rows[name]) for name in rows.names] if rows.names is not None else [(PLAIN_FIELD, rows)]
    if not fields:
        raise ValueError("a buffer needs at least one field")
    for name, kind in fields:
        if kind.kind not in "biufcmMSU" or kind.itemsize == 0:
            raise TypeError(f"field {name!r} of a buffer must be of a type such as float32, not {kind}")
    return np.dtype([(name, kind, (values_per_slot,)) for name, kind in fields])


class Layout:
    """How the events of one ring look to mimoCoRB programs.

    `dtype` is what setup dictionaries show: a list of ``(name, dtype)``, or the plain dtype. `rows` is the same as
    one packed numpy dtype, `values_per_slot` the number of rows.
    """

    def __init__(self, planar: np.dtype[np.void], *, plain: bool = False) -> None:
        names = planar.names or ()
        fields: Mapping[str, Any] = planar.fields or {}
        kinds = [fields[name][0].base for name in names]
        shapes = {fields[name][0].shape for name in names}
        if len(shapes) != 1 or len(shape := shapes.pop()) > 1:
            raise TypeError(
                f"showing a buffer to mimoCoRB functions: all fields need the same number of samples, not {planar}"
            )
        self.values_per_slot: int = shape[0] if shape else 1
        self.plain = plain and len(names) == 1
        self.rows: np.dtype[Any] = kinds[0] if self.plain else np.dtype(list(zip(names, kinds, strict=True)))
        self.dtype: SlotDtype = self.rows if self.plain else list(zip(names, kinds, strict=True))
        self._planar = planar
        self._view: np.dtype[Any] | None = None
        self._step = kinds[0].itemsize
        if self.plain or self.values_per_slot == 1:
            self._view = self.rows
            self._step = self.rows.itemsize
        elif len({kind.itemsize for kind in kinds}) == 1:
            offsets = [fields[name][1] for name in names]
            self._view = np.dtype(
                {"names": names, "formats": kinds, "offsets": offsets, "itemsize": offsets[-1] + self._step}
            )

    @property
    def is_view(self) -> bool:
        """Whether `show` gives the event's own memory; False means a copy (see the module's docstring)."""
        return self._view is not None

    def show(self, memory: Any) -> NDArray[Any]:
        """The event in `memory` as an array of shape (values_per_slot,).

        `memory` is anything with the bytes of one event: a record as given by a reader (the array is then read-only) or
        a writable array of bytes.
        """
        if self._view is None:
            record = np.frombuffer(memory, self._planar, 1)
            return self._interleave(record)
        kind = np.ndarray if self.values_per_slot == 1 or self.plain else SlotArray
        return kind.__new__(kind, (self.values_per_slot,), self._view, memory, 0, (self._step,))

    def store(self, data: NDArray[Any], event: NDArray[np.void]) -> None:
        """Copy an interleaved array (`show` of a layout that is no view) into the one event of `event`."""
        for name in self._planar.names or ():
            event[name][0] = data[name]

    def _interleave(self, record: NDArray[np.void]) -> NDArray[Any]:
        out = np.empty(self.values_per_slot, self.rows)
        for name in self._planar.names or ():
            out[name] = record[name][0]
        return out


class SlotArray(np.ndarray[Any, np.dtype[Any]]):
    """One event as a structured array of shape (values_per_slot,) over planes; rows overlap in memory.

    Whatever numpy copies of it through the methods and functions below is an ordinary packed structured array. A call
    that numpy does not let a subclass see, `numpy.array(data)`, is correct but wasteful: it copies the gaps too.
    `data.view(float)`, which would need the channels beside each other, is refused by numpy.
    """

    def packed(self) -> NDArray[Any]:
        """An ordinary contiguous structured array with the same rows and fields."""
        return _pack(self)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key).view(np.ndarray)
        if isinstance(key, np.ndarray) or (isinstance(key, list) and not all(isinstance(k, str) for k in key)):
            return _pack(self, key)
        return super().__getitem__(key)

    def copy(self, order: Any = "C") -> Any:
        """A packed copy."""
        return _pack(self)

    def __copy__(self) -> Any:
        return _pack(self)

    def __deepcopy__(self, memo: Any, /) -> Any:
        return _pack(self)

    def __reduce__(self) -> Any:
        return _pack(self).__reduce__()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return _pack(self).__reduce_ex__(protocol)

    def tobytes(self, order: Any = "C") -> bytes:
        """The bytes of a packed copy, rows one after the other as in mimoCoRB."""
        return _pack(self).tobytes(order)

    def tofile(self, *args: Any, **kwargs: Any) -> None:
        """Write the bytes of a packed copy."""
        _pack(self).tofile(*args, **kwargs)

    def astype(self, dtype: DTypeLike, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """A packed copy of another dtype."""
        return _pack(self).astype(dtype, *args, **kwargs)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """Repeated rows, packed."""
        return _pack(self).repeat(repeats, axis)

    def take(self, *args: Any, **kwargs: Any) -> Any:
        """The rows at the indices given, packed."""
        return _pack(self).take(*args, **kwargs)

    def flatten(self, order: Any = "C") -> Any:
        """A packed copy."""
        return _pack(self)

    def ravel(self, order: Any = "C") -> Any:
        """A packed copy."""
        return _pack(self)

    def sort(self, *args: Any, **kwargs: Any) -> None:
        """Sort the rows in place."""
        rows = _pack(self)
        rows.sort(*args, **kwargs)
        self[...] = rows

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if func in _COPYING or (func.__module__ == _RECFUNCTIONS and func.__name__ not in _FILLING):
            args = tuple(_packed_if_slot(a) for a in args)
            kwargs = {k: _packed_if_slot(v) for k, v in kwargs.items()}
            return func(*args, **kwargs)
        return super().__array_function__(func, types, args, kwargs)


_COPYING: Final = frozenset({
    np.append, np.array_equal, np.concatenate, np.copy, np.delete, np.empty_like, np.full_like, np.hstack, np.insert,
    np.ones_like, np.ravel, np.repeat, np.resize, np.roll, np.save, np.savez, np.savez_compressed, np.sort, np.stack,
    np.take, np.tile, np.unique, np.vstack, np.where, np.zeros_like,
})  # fmt: skip
"""Functions whose result, or file, would have the gaps of the overlapping rows."""

_RECFUNCTIONS: Final = "numpy.lib.recfunctions"
_FILLING: Final = frozenset({"assign_fields_by_name", "recursive_fill_fields"})
"""The record functions that write into an argument."""


def _pack(data: NDArray[Any], key: Any = ...) -> NDArray[Any]:
    plain = data.view(np.ndarray)
    if plain.dtype.names is None:
        return np.array(plain[key])
    shape = np.broadcast_to(np.False_, plain.shape)[key].shape
    out = np.empty(shape, [(name, plain.dtype[name]) for name in plain.dtype.names])
    for name in plain.dtype.names:
        out[name] = plain[name][key]
    return out


def _packed_if_slot(value: Any) -> Any:
    if isinstance(value, SlotArray):
        return _pack(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_packed_if_slot(v) for v in value])
    return value
