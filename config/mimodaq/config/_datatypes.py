"""Read the `data_type:` of a buffer in each of the forms it may be written in.

data_type: {1: [chA, float32], 2: [chB, float32]}     # mimoCoRB; the numbers do not matter
data_type: [[chA, float32], [height, float32, 1]]     # a third entry: samples of this field
data_type: {chA: float32, chB: float32}
data_type: float32                                    # one field without a name
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ._model import PLAIN_FIELD, FieldSpec
from ._problems import Report, nearest, show
from ._yaml import Document, KeyPath

_TYPE_NAME = re.compile(r"[<>=|]?[A-Za-z_]\w*(\[\w+\])?")
_KINDS = "biufcmMSU"  # fixed size and no pointers inside: these can live in shared memory
_COMMON = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", "int", "float"),
]


def read_data_type(
    value: Any, samples: int, document: Document, path: KeyPath, report: Report
) -> tuple[FieldSpec, ...]:
    """The fields `value` (the data type found at `path`) describes; what is wrong is reported and left out."""
    if isinstance(value, str):
        dtype = _dtype(value, document, path, report)
        return (FieldSpec(PLAIN_FIELD, dtype, samples),) if dtype is not None else ()
    if not isinstance(value, dict | list) or not value:
        message = f"data_type: expected fields such as '1: [chA, float32]' or one type, found {show(value)}"
        report.add(document.where(*path), message)
        return ()
    fields: dict[str, FieldSpec] = {}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        entry = [key, item] if isinstance(value, dict) and isinstance(item, str) else item
        where = document.where(*path, key)
        match entry:
            case [str() as name, str() as type_name] if name:
                length = samples
            case [str() as name, str() as type_name, int() as length] if name and length is not True:
                pass
            case _:
                report.add(where, f"data_type: expected [name, type] or [name, type, samples], found {_text(entry)}")
                continue
        if length < 1:
            report.add(where, f"field {name!r} needs at least 1 sample, found {length}")
            continue
        if name in fields:
            report.add(where, f"the field name {name!r} is used twice")
            continue
        dtype = _dtype(type_name, document, (*path, key, 1), report)
        if dtype is not None:
            fields[name] = FieldSpec(name, dtype, length)
    return tuple(fields.values())


def _dtype(name: str, document: Document, path: KeyPath, report: Report) -> np.dtype[Any] | None:
    where = document.where(*path)
    try:
        dtype = np.dtype(name) if _TYPE_NAME.fullmatch(name) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None:
        report.add(where, f"unknown data type {show(name)}", nearest(name, _COMMON))
    elif dtype.kind not in _KINDS or dtype.itemsize == 0:
        report.add(where, f"data type {show(name)} has no fixed size: use a number type, or text such as 'S16'")
        return None
    return dtype


def _text(entry: Any) -> str:
    return str(entry)[:60] if isinstance(entry, list) else show(entry)
