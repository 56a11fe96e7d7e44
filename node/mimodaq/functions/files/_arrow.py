"""Turn rows into a Parquet file (the only module that writes with pyarrow; import it late)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mimodaq.functions.files._layout import Field, fields_of

ROW_GROUP_BYTES: Final = 32_000_000
"""Uncompressed size of a row group: bounds the memory of writer and readers, large enough for zstd and scans."""
_MAX_ROW_GROUP_ROWS: Final = 1_048_576
_SAMPLED_ROWS: Final = 64
_DICTIONARY_VALUES: Final = 4096

_METADATA_TYPES: Final = {"counter": pa.int64(), "timestamp": pa.float64(), "deadtime": pa.float64()}


def event_schema(
    dtype: np.dtype[Any], columns: Sequence[str], units: Mapping[str, str], metadata: dict[str, str] | None = None
) -> pa.Schema:
    """The schema of a dataset: scalars are plain columns, waveforms fixed-size lists, nothing is nullable."""
    types = dict(_METADATA_TYPES) | {field.name: _arrow_type(field) for field in fields_of(dtype)}
    return pa.schema(
        [
            pa.field(name, types[name], nullable=False, metadata={"unit": units[name]} if name in units else None)
            for name in columns
        ],
        metadata=metadata,
    )


def rows_to_table(columns: Mapping[str, npt.NDArray[Any]], schema: pa.Schema) -> pa.Table:
    """A table of contiguous arrays: (n,) for a plain column, (n, samples) for a fixed-size list. No copy."""
    arrays = []
    for field in schema:
        values = pa.array(_native(columns[field.name]).reshape(-1))
        if pa.types.is_fixed_size_list(field.type):
            values = pa.FixedSizeListArray.from_arrays(values, type=field.type)
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=schema)


def write_part(
    path: Path,
    pick: Callable[[str, slice], npt.NDArray[Any]],
    count: int,
    schema: pa.Schema,
    metadata: dict[str, str],
    *,
    compression: str,
    compression_level: int | None,
    go_on: Callable[[], bool],
) -> bool:
    """Write `count` rows to a Parquet file; `pick(column, rows)` gives the values of a column in their final order.

    The bytes before the footer depend on the values, the schema and the version of Arrow alone. The footer has the
    metadata of the schema twice, as Arrow writes it, and `metadata` once. At most one row group (32 MB) is in memory.
    `go_on()` is asked before each; when it says no, the answer is False and half a file is at `path`. Raises OSError.
    """
    per_group = row_group_rows(schema)
    sink = pa.OSFile(str(path), "wb")
    try:
        with pq.ParquetWriter(
            sink,
            schema,
            compression=compression,
            compression_level=compression_level,
            use_dictionary=[_leaf(field) for field in schema if _repeats(field.name, pick, count)],
            write_page_checksum=True,
            write_statistics=[field.name for field in schema if not pa.types.is_fixed_size_list(field.type)],
        ) as writer:
            for start in range(0, count, per_group):
                if not go_on():
                    return False
                part = slice(start, min(start + per_group, count))
                table = rows_to_table({name: pick(name, part) for name in schema.names}, schema)
                writer.write_table(table, row_group_size=per_group)
            writer.add_key_value_metadata(metadata)
    finally:
        sink.close()
    return True


def samples_to_parquet(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A Parquet file, as bytes, with one row per sample; every column has shape (samples,)."""
    sink = pa.BufferOutputStream()
    arrays = {name: _native(values) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def row_group_rows(schema: pa.Schema) -> int:
    """Rows of a full row group."""
    width = sum(_width(field.type) for field in schema)
    return max(1, min(_MAX_ROW_GROUP_ROWS, ROW_GROUP_BYTES // width))


def _repeats(name: str, pick: Callable[[str, slice], npt.NDArray[Any]], count: int) -> bool:
    """Whether a column has few different values (an 8- or 12-bit ADC), so that a dictionary pays.

    Measured: for samples of 8 bit as float32 the dictionary makes files a third smaller, for full-precision noise
    it costs a fifth of the speed and makes them larger.
    """
    step = max(1, count // _SAMPLED_ROWS)
    samples = [np.unique(pick(name, slice(row, row + 1))) for row in range(0, count, step)]
    if not samples:
        return False
    values = np.concatenate(samples)
    return len(np.unique(values)) <= min(_DICTIONARY_VALUES, len(values) // 4)


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _arrow_type(field: Field) -> pa.DataType:
    element = pa.from_numpy_dtype(field.base)
    if field.samples == 1:
        return element
    return pa.list_(pa.field("element", element, nullable=False), field.samples)


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_fixed_size_list(field.type) else str(field.name)


def _width(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    return max(1, int(kind.bit_width) // 8)
