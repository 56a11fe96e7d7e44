"""Recorded events as numpy, Arrow and pandas tables: the same values, however they were stored."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from files.conftest import WAVES, make_batch
from mimodaq.functions.files import CsvWriter, DatasetWriter, FilesError, open_events


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with DatasetWriter(tmp_path / "x", WAVES, units={"chA": "V"}, metadata={"run": 12}) as writer:
        for counters in ([4, 2, 0], [1, 3, 5]):
            writer.append(make_batch(WAVES, counters))
            writer.rotate()
    return tmp_path / "x"


def test_numpy_has_a_field_for_each_column(dataset: Path) -> None:
    expected = make_batch(WAVES, range(6))
    with open_events(dataset) as events:
        found = events.to_numpy()
        some = events.to_numpy(["chB", "counter"], 1, -1)
    assert found.dtype.names == ("counter", "timestamp", "deadtime", "chA", "chB", "height")
    assert (found["chA"].shape, found["height"].shape) == ((6, 8), (6,))
    assert np.array_equal(found["chA"], expected.events["chA"])
    assert np.array_equal(found["height"], expected.events["height"][:, 0])
    assert np.array_equal(found["timestamp"], expected.timestamp)
    assert some.dtype.names == ("chB", "counter")
    assert some["counter"].tolist() == [1, 2, 3, 4]
    assert np.array_equal(some["chB"], expected.events["chB"][1:5])


def test_arrow_has_units_and_metadata(dataset: Path) -> None:
    with open_events(dataset) as events:
        table = events.to_arrow()
        none = events.to_arrow(["height"], 3, 3)
    assert table["counter"].to_pylist() == list(range(6))
    assert str(table.schema.field("chA").type) == "fixed_size_list<element: float not null>[8]"
    assert table.schema.field("chA").metadata[b"unit"] == b"V"
    assert table.schema.metadata[b"run"] == b"12"
    assert (none.num_rows, none.column_names) == (0, ["height"])


def test_pandas_gives_what_pandas_itself_reads(dataset: Path) -> None:
    with open_events(dataset) as events:
        frame = events.to_pandas()
    expected = pd.read_parquet(dataset).sort_values("counter", ignore_index=True)
    for name in frame.columns:
        assert np.array_equal(np.stack(frame[name]), np.stack(expected[name])), name


def test_a_text_gives_the_same_tables(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(5))
    with CsvWriter(tmp_path / "x.csv", WAVES, expand=True) as writer:
        writer.append(batch)
    with open_events(tmp_path / "x.csv") as events:
        found = events.to_numpy(["chB", "height"])
        assert events.to_pandas(["counter"])["counter"].tolist() == list(range(5))
    assert np.array_equal(found["chB"], batch.events["chB"])
    assert np.array_equal(found["height"], batch.events["height"][:, 0])


def test_an_unknown_column_is_named(dataset: Path) -> None:
    with open_events(dataset) as events, pytest.raises(FilesError, match=r"unknown \['chX'\].*Choose from counter"):
        events.to_numpy(["chX"])


def test_without_pandas_the_way_out_is_told(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with open_events(dataset) as events, pytest.raises(FilesError, match=r"pip install pandas, or use to_numpy"):
        events.to_pandas()
