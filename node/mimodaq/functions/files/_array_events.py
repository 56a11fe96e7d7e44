"""Read recorded events from text (csv, txt) and numpy files; they are held in memory or mapped into it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._description import read_beside
from mimodaq.functions.files._errors import CorruptFileError
from mimodaq.functions.files._eventfile import ArrayEvents, channel_names
from mimodaq.functions.files._layout import METADATA

_SAMPLE: Final = re.compile(r"(.+)\[(\d+)\]$")


def open_text(path: Path, *, skip_corrupt: bool = False, is_complete: bool = True) -> ArrayEvents:
    """Events of a text file whose first line names the columns, separated by tabs, semicolons or commas.

    Columns `chA[0]`, `chA[1]`, ... are one waveform. Columns without any number are ignored. Raises CorruptFileError,
    with the line, for values that are no numbers in a column of numbers and lines of another length. Of a file that is
    not complete, the whole lines are read.
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    with path.open("rb") as file:
        first = file.readline().decode(errors="replace")
    separator = next((mark for mark in "\t;," if mark in first), ",")
    names = [name.strip() for name in first.strip("\r\n").split(separator)]
    if not first.strip() or any(_number(name) is not None for name in names):
        raise CorruptFileError(path, "its first line does not name the columns")
    broken: list[str] = []

    def odd_line(row: Any) -> str:
        broken.append(f"line {row.number}: {row.actual_columns} values, {row.expected_columns} expected")
        return "skip" if skip_corrupt else "error"

    try:
        table = pc.read_csv(
            path if is_complete else pa.BufferReader(_whole_lines(path)),
            pc.ReadOptions(use_threads=False),
            pc.ParseOptions(delimiter=separator, invalid_row_handler=odd_line),
        )
    except pa.ArrowException as error:
        problem = broken[0] if broken else str(error).split("\n", maxsplit=1)[0]
        raise CorruptFileError(path, problem, skippable=bool(broken)) from error
    arrays: dict[str, npt.NDArray[Any]] = {}
    ignored: list[str] = []
    bad = np.zeros(table.num_rows, np.bool_)
    for name, column in zip(names, table.columns, strict=True):
        values = np.asarray(column.to_numpy())
        if values.dtype.kind in "biuf":
            arrays[name] = values
            continue
        numbers = [_number(value) for value in values.tolist()]
        faults = np.array([number is None for number in numbers], np.bool_)
        if len(values) and faults.all():
            ignored.append(name)
            continue
        for row in np.flatnonzero(faults)[:1].tolist():
            broken.append(f"column `{name}`, event {row + 1}: {values[row]!r} is no number")
        bad |= faults
        arrays[name] = np.array([0.0 if number is None else number for number in numbers])
    if broken and not skip_corrupt:
        raise CorruptFileError(path, broken[0], skippable=True)
    skipped = int(np.count_nonzero(bad)) + sum(problem.startswith("line") for problem in broken)
    good = {name: values[~bad] for name, values in _joined(arrays).items()}
    about = read_beside(path)
    return _events(path, "text", good, metadata=about, ignored=ignored, skipped=skipped, is_complete=is_complete)


def open_numpy(path: Path) -> ArrayEvents:
    """Events of a npy or npz file.

    npy: a structured array (n,), or numbers (n, samples) or (n, channels, samples) whose channels are called chA, chB,
    ... npz: one array (n,) or (n, samples) per field. Fields called counter, timestamp and deadtime are the metadata.
    """
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays = {name: loaded[name] for name in loaded.files} if path.suffix == ".npz" else _channels(loaded)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise CorruptFileError(path, f"it is no complete numpy file of numbers ({error})") from error
    lengths = {len(values) if values.ndim else -1 for values in arrays.values()}
    odd = [name for name, values in arrays.items() if values.ndim not in (1, 2) or values.dtype.kind not in "biuf"]
    if odd or len(lengths) != 1:
        raise CorruptFileError(path, f"arrays of numbers (n,) or (n, samples) with the same n expected, look at {odd}")
    return _events(path, "npy", arrays)


def _events(path: Path, kind: str, arrays: Mapping[str, npt.NDArray[Any]], **about: Any) -> ArrayEvents:
    if not any(name not in METADATA for name in arrays):
        raise CorruptFileError(path, "it has no column of numbers beside counter, timestamp and deadtime")
    return ArrayEvents(path, kind, arrays, **about)


def _channels(loaded: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    if loaded.dtype.names is not None:
        return {name: loaded[name] for name in loaded.dtype.names}
    if loaded.ndim == 2:
        return {channel_names(1)[0]: loaded}
    if loaded.ndim != 3:
        raise ValueError(f"shape {loaded.shape}, (n, samples) or (n, channels, samples) expected")
    return {name: loaded[:, i] for i, name in enumerate(channel_names(loaded.shape[1]))}


def _joined(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Columns `chA[0]`, `chA[1]`, ... put together to arrays (n, samples)."""
    found: dict[str, dict[int, npt.NDArray[Any]]] = {}
    for name, values in columns.items():
        match = _SAMPLE.match(name)
        key, sample = (match[1], int(match[2])) if match is not None else (name, -1)
        found.setdefault(key, {})[sample] = values
    return {
        name: parts[-1] if -1 in parts else np.stack([parts[i] for i in sorted(parts)], axis=1)
        for name, parts in found.items()
    }


def _whole_lines(path: Path) -> bytes:
    """The lines of a file that is being written, without half a line at its end."""
    found = path.read_bytes()
    return found[: found.rfind(b"\n") + 1]


def _number(text: Any) -> float | None:
    """The number a text stands for; an empty text is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
