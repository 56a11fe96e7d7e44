"""Read recorded events from Parquet files (import it late: it loads pyarrow)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mimodaq.functions.files._errors import CorruptFileError
from mimodaq.functions.files._eventfile import Columns, EventFile, metadata_or_default
from mimodaq.functions.files._layout import METADATA, Field, planar_dtype, sort_order

_CHUNK_BYTES: Final = 32_000_000
_CHUNKS_KEPT: Final = 4
_NOT_OURS: Final = (b"ARROW:schema", b"pandas")


class ParquetEvents(EventFile):
    """Events of one or several Parquet files with the same columns, one row per event.

    A column of numbers is a scalar field, a column of lists (of one length) a waveform. Decoded rows are kept in
    chunks of about 32 MB, at most four of them, whatever the size of the file and its row groups.
    """

    format = "parquet"

    def __init__(self, path: Path, paths: Sequence[Path], *, skip_corrupt: bool = False) -> None:
        super().__init__(path)
        self._skip_corrupt = skip_corrupt
        self._groups: list[_Group] = []
        self._chunks: OrderedDict[tuple[int, int], dict[str, npt.NDArray[Any]]] = OrderedDict()
        try:
            self._load(paths)
        except BaseException:
            self.close()
            raise

    def _load(self, paths: Sequence[Path]) -> None:
        self._files = [file for part in paths if (file := self._open(part)) is not None]
        if not self._files:
            raise CorruptFileError(self.path, "no readable Parquet file is left")
        self._fields, self.ignored = _fields(self._files[0])
        if not self._fields:
            raise CorruptFileError(paths[0], "it has no column of numbers or of lists of numbers")
        for file in self._files[1:]:
            if _fields(file)[0] != self._fields:
                raise CorruptFileError(file.path, f"its columns are not those of {self._files[0].path}")
        self.dtype = planar_dtype(self._fields)
        self.metadata = self._files[0].metadata
        self._metadata_columns = [name for name in METADATA if name in self._files[0].names]
        rows = max(1, _CHUNK_BYTES // self.dtype.itemsize)
        for file in self._files:
            for number in range(file.parquet.num_row_groups):
                self._groups.append(_Group(file, number, rows))
        self._starts = np.cumsum([0, *(group.count for group in self._groups)])
        self.count = int(self._starts[-1])
        self.has_timestamps = "timestamp" in self._metadata_columns
        known = self._read_metadata()
        self._known = Columns(*metadata_or_default(known, self.count), {})
        self._order = sort_order(self._known.counter, self._known.timestamp)

    def numbers(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        known = self._known if self._order is None else self._known.take(self._order)
        return known.counter, known.timestamp

    def columns(self, start: int, stop: int) -> Columns:
        stop = min(stop, self.count)
        rows = np.arange(start, stop) if self._order is None else self._order[start:stop]
        events = self._known.take(rows)
        good = np.ones(len(rows), np.bool_)
        fields: dict[str, npt.NDArray[Any]] = {}
        for here, group, chunk in self._pieces(rows):
            try:
                found = self._chunk(group, chunk)
            except (CorruptFileError, pa.ArrowException, OSError, ValueError) as error:
                self._corrupt(self._groups[group], error)
                good[here] = False
                continue
            inside = rows[here] - self._starts[group] - chunk * self._groups[group].chunk_rows
            if self._order is None and len(here) == len(rows):
                first, last = int(inside[0]), int(inside[-1])
                return events._replace(fields={name: values[first : last + 1] for name, values in found.items()})
            for name, base, samples in self._fields:
                fields.setdefault(name, np.empty((len(rows), samples), base))[here] = found[name][inside]
        events = events._replace(fields=fields)
        if good.all():
            return events
        self.skipped += int(np.count_nonzero(~good))
        return events.take(np.flatnonzero(good))

    def _pieces(self, rows: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.intp], int, int]]:
        """Which of the rows are in which chunk of which row group."""
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        sizes = np.array([group.chunk_rows for group in self._groups])
        chunks = (rows - self._starts[groups]) // sizes[groups]
        for group, chunk in sorted(set(zip(groups.tolist(), chunks.tolist(), strict=True))):
            yield np.flatnonzero((groups == group) & (chunks == chunk)), group, chunk

    def _open(self, path: Path) -> _File | None:
        try:
            file = _File(path)
            self._open_files.callback(file.parquet.close)
            return file
        except (pa.ArrowException, OSError) as error:
            if self._skip_corrupt:
                return None
            raise CorruptFileError(path, f"it is no complete Parquet file ({_line(error)})", skippable=True) from error

    def _read_metadata(self) -> dict[str, npt.NDArray[Any]]:
        found: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in self._metadata_columns}
        for file in self._files:
            try:
                if file.parquet.metadata.num_rows:
                    table = file.parquet.read(columns=self._metadata_columns)
                else:  # pyarrow 18 does not read the columns of a file without row groups
                    table = file.parquet.schema_arrow.empty_table()
            except (pa.ArrowException, OSError) as error:
                raise CorruptFileError(file.path, f"its counters cannot be read ({_line(error)})") from error
            for name, values in found.items():
                values.append(_scalars(table.column(name), name, file.path))
        return {name: np.concatenate(values) for name, values in found.items()}

    def _chunk(self, number: int, chunk: int) -> dict[str, npt.NDArray[Any]]:
        key = (number, chunk)
        if key not in self._chunks:
            self._chunks[key] = self._groups[number].read(chunk, self._fields)
            if len(self._chunks) > _CHUNKS_KEPT:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(key)
        return self._chunks[key]

    def _corrupt(self, group: _Group, error: Exception) -> None:
        if not self._skip_corrupt:
            raise CorruptFileError(
                group.file.path, f"row group {group.number} cannot be read ({_line(error)})", skippable=True
            ) from error


class _File:
    """An open Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parquet = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
        self.schema: pa.Schema = self.parquet.schema_arrow
        self.names: list[str] = self.schema.names
        self.metadata = {
            key.decode(): value.decode(errors="replace")
            for key, value in (self.parquet.metadata.metadata or {}).items()
            if key not in _NOT_OURS
        }


class _Group:
    """A row group, read in chunks of rows one after the other; going back starts it again."""

    def __init__(self, file: _File, number: int, chunk_rows: int) -> None:
        self.file = file
        self.number = number
        self.count: int = file.parquet.metadata.row_group(number).num_rows
        self.chunk_rows = chunk_rows
        self._next = 0
        self._stream: Iterator[pa.RecordBatch] | None = None

    def read(self, chunk: int, fields: Sequence[Field]) -> dict[str, npt.NDArray[Any]]:
        """The fields of one chunk, as arrays (n, samples)."""
        if self._stream is None or chunk < self._next:
            names = [field.name for field in fields]
            self._stream = self.file.parquet.iter_batches(self.chunk_rows, row_groups=[self.number], columns=names)
            self._next = 0
        try:
            while self._next <= chunk:
                batch = next(self._stream, None)
                self._next += 1
        except (pa.ArrowException, OSError):
            self._stream = None
            raise
        expected = min(self.chunk_rows, self.count - chunk * self.chunk_rows)
        if batch is None or batch.num_rows != expected:
            raise CorruptFileError(self.file.path, f"{expected} rows expected, {batch and batch.num_rows} found")
        return {
            field.name: _values(batch.column(field.name), field, self.file.path).reshape(expected, field.samples)
            for field in fields
        }


def _fields(file: _File) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The fields of the events, and the columns that are no numbers."""
    fields, ignored = [], []
    for column in file.schema:
        kind, samples = column.type, 1
        if pa.types.is_fixed_size_list(kind):
            kind, samples = kind.value_type, kind.list_size
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind, samples = kind.value_type, _first_length(file, column.name)
        if not _is_number(kind) or not samples:
            ignored.append(column.name)
        elif column.name not in METADATA:
            fields.append(Field(column.name, np.dtype(kind.to_pandas_dtype()), samples))
    return tuple(fields), tuple(ignored)


def _first_length(file: _File, name: str) -> int:
    batch = next(file.parquet.iter_batches(1, columns=[name]), None)
    length = None if batch is None or not batch.num_rows else pc.list_value_length(batch.column(0))[0].as_py()
    return int(length or 0)


def _values(column: pa.Array, field: Field, path: Path) -> npt.NDArray[Any]:
    """All values of a column, flat; CorruptFileError for lists of another length and missing values."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.list_value_length(column)
        if pc.any(pc.not_equal(lengths, field.samples)).as_py():
            raise CorruptFileError(path, f"column `{field.name}` has lists of different lengths")
    if not _is_number(kind):
        if column.null_count:
            raise CorruptFileError(path, f"column `{field.name}` has {column.null_count} events without values")
        column = column.flatten()
    return _scalars(column, field.name, path)


def _scalars(column: pa.Array | pa.ChunkedArray, name: str, path: Path) -> npt.NDArray[Any]:
    if column.null_count and not pa.types.is_floating(column.type):
        raise CorruptFileError(path, f"column `{name}` has {column.null_count} missing values")
    values = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    array: npt.NDArray[Any] = values
    return array


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0].strip().rstrip(".")
