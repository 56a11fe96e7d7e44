import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from files.conftest import WAVES, make_batch, write
from mimodaq.functions.files import DatasetWriter, FilesError


def test_one_row_per_event_with_a_list_per_waveform_and_a_number_per_scalar(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(100))
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer:
        write(writer, batch)

    table = pq.read_table(tmp_path / "RB_1" / "RB_1-0000.parquet")
    assert table.column_names == ["counter", "timestamp", "deadtime", "chA", "chB", "height"]
    assert [str(table.schema.field(n).type) for n in ("chA", "chB", "height")] == [
        "fixed_size_list<element: float not null>[8]",
        "fixed_size_list<element: int16 not null>[8]",
        "double",
    ]
    assert np.array_equal(table["chA"].combine_chunks().flatten().to_numpy().reshape(-1, 8), batch.events["chA"])
    assert table["counter"].to_pylist() == list(range(100))
    assert table["deadtime"].to_pylist() == batch.deadtime.tolist()


def test_the_folder_is_read_directly_by_pandas_duckdb_and_arrow_datasets(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES, rotate_size=1000) as writer:
        for start in range(0, 100, 10):
            writer.append(make_batch(WAVES, range(start, start + 10)))

    folder = tmp_path / "RB_1"
    frame = pd.read_parquet(folder)
    assert len(frame) == 100
    assert frame["chA"].iloc[7].tolist() == make_batch(WAVES, [7]).events["chA"][0].tolist()
    assert duckdb.sql(f"select count(*), sum(counter), max(len(chB)) from '{folder}/*.parquet'").fetchall() == [
        (100, 4950, 8)
    ]
    assert ds.dataset(folder).count_rows() == 100


def test_a_folder_being_written_is_read_without_its_unfinished_part(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer:
        writer.append(make_batch(WAVES, range(10)))
        writer.rotate()
        writer.append(make_batch(WAVES, range(10, 20)))
        writer.rotate()  # waits for the part before
        assert len(pd.read_parquet(tmp_path / "RB_1", columns=["counter"])) >= 10


def test_schema_metadata_tell_run_setup_and_units(tmp_path: Path) -> None:
    info = {"run": 12, "setup": {"RingBuffer": [{"RB_1": {}}]}, "versions": {"mimodaq": "1.0"}, "name": "muons"}
    with DatasetWriter(tmp_path / "RB_1", WAVES, metadata=info, units={"chA": "V"}) as writer:
        writer.append(make_batch(WAVES, [1]))

    schema = pq.read_schema(tmp_path / "RB_1" / "RB_1-0000.parquet")
    assert schema.metadata[b"run"] == b"12"
    assert schema.metadata[b"name"] == b"muons"
    assert json.loads(schema.metadata[b"setup"]) == info["setup"]
    assert json.loads(schema.metadata[b"units"]) == {"chA": "V"}
    assert schema.field("chA").metadata[b"unit"] == b"V"


def test_columns_select_and_order(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES, columns=["height", "counter"]) as writer:
        writer.append(make_batch(WAVES, [1, 2]))
    assert pq.read_schema(tmp_path / "RB_1" / "RB_1-0000.parquet").names == ["height", "counter"]


def test_a_run_without_events_leaves_a_readable_dataset(tmp_path: Path) -> None:
    DatasetWriter(tmp_path / "RB_1", WAVES).close()
    assert len(pd.read_parquet(tmp_path / "RB_1")) == 0


def test_every_number_type_and_booleans_are_kept(tmp_path: Path) -> None:
    kinds = ["?", "<i1", "<u2", "<i4", "<u8", "<f2", "<f4", "<f8", ">i4"]
    dtype = np.dtype([(f"x{i}", kind, (shape,)) for i, kind in enumerate(kinds) for shape in (1,)])
    lists = np.dtype([(f"y{i}", kind, (3,)) for i, kind in enumerate(kinds)])
    for kind in (dtype, lists):
        batch = make_batch(kind, range(5))
        with DatasetWriter(tmp_path / str(len(kind[0].shape) + kind.itemsize), kind) as writer:
            writer.append(batch)
        table = pq.read_table(writer.files[0])
        for name in kind.names or ():
            found = np.array(table[name].to_pylist()).reshape(5, -1)
            assert np.array_equal(found, batch.events[name]), name


@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        (np.dtype([("counter", "<f4", (1,))]), "`counter`"),
        (np.dtype([("text", "S4", (1,))]), "`text`"),
        (np.dtype([("image", "<f4", (3, 3))]), "`image`"),
        (np.dtype("<f4"), "record"),
    ],
)
def test_fields_that_cannot_be_stored_are_named(tmp_path: Path, dtype: np.dtype[Any], names: str) -> None:
    with pytest.raises(FilesError, match=names):
        DatasetWriter(tmp_path / "RB_1", dtype)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("rotate_size", "1 parsec", "rotate_size"),
        ("rotate_time", "1 GB", "rotate_time"),
        ("compression", "zip", "zstd"),
        ("fsync", "sometimes", "batch"),
        ("columns", ["chA", "chX"], "chX"),
        ("columns", ["chA", "chA"], "twice"),
        ("columns", "chA", r"\[chA\]"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path: Path, option: str, value: object, message: str) -> None:
    with pytest.raises(FilesError, match=message):
        DatasetWriter(tmp_path / "RB_1", WAVES, **{option: value})  # type: ignore[arg-type]


def test_too_many_events_in_one_call_are_refused(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer, pytest.raises(ValueError, match="at most"):
        writer.append(make_batch(WAVES, range(writer.batch_events + 1)))
