import bz2
import gzip
import io
import tarfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from files.conftest import SCALARS, WAVES, assert_same, make_batch, write
from mimodaq.functions.files import (
    Batch,
    CsvWriter,
    DatasetWriter,
    EventFile,
    FilesError,
    TarWriter,
    describe,
    open_events,
)

CHANNELS = np.dtype([("chA", "<f4", (50,)), ("chB", "<f4", (50,))])


def joined(events: EventFile, max_bytes: int = 8_000_000) -> Batch:
    batches = list(events.batches(max_bytes))
    return Batch(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))


def test_a_dataset_reads_back_as_it_was_written(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(500))
    with DatasetWriter(tmp_path / "RB_1", WAVES, metadata={"run": 12}, units={"chA": "V"}) as writer:
        write(writer, batch)
    with open_events(tmp_path / "RB_1") as events:
        assert (events.format, events.count, events.dtype, events.has_timestamps) == ("parquet", 500, WAVES, True)
        assert events.metadata["run"] == "12"
        assert_same(joined(events), batch)
        assert_same(joined(events, max_bytes=1), batch)


def test_parts_that_overlap_come_in_order_of_the_counter(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        for counters in ([1, 4, 9], [2, 3, 10], [0, 5]):
            writer.append(make_batch(WAVES, counters))
            writer.rotate()
    with open_events(tmp_path / "x") as events:
        assert_same(joined(events, max_bytes=150), make_batch(WAVES, [0, 1, 2, 3, 4, 5, 9, 10]))


def test_a_file_of_another_program_needs_no_metadata_columns(tmp_path: Path) -> None:
    waves = np.arange(40, dtype="<i2").reshape(5, 8)
    pq.write_table(
        pa.table({"chA": pa.FixedSizeListArray.from_arrays(pa.array(waves.ravel()), 8), "note": list("abcde")}),
        tmp_path / "x.parquet",
    )
    with open_events(tmp_path / "x.parquet") as events:
        assert events.dtype == np.dtype([("chA", "<i2", (8,))])
        assert events.ignored == ("note",)
        assert not events.has_timestamps
        found = joined(events)
    assert found.counter.tolist() == [0, 1, 2, 3, 4]
    assert found.timestamp.tolist() == [0.0] * 5
    assert found.deadtime.tolist() == [-1.0] * 5
    assert np.array_equal(found.events["chA"], waves)


def test_lists_as_pandas_and_duckdb_write_them_are_waveforms(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer:
        writer.append(make_batch(WAVES, range(20)))
    part = writer.files[0]
    pd.read_parquet(part).to_parquet(tmp_path / "pandas.parquet")
    duckdb.sql(f"copy (from '{part}') to '{tmp_path}/duckdb.parquet'")
    for name in ("pandas", "duckdb"):
        with open_events(tmp_path / f"{name}.parquet") as events:
            assert events.dtype == WAVES
            assert_same(joined(events), make_batch(WAVES, range(20)))


def test_row_groups_larger_than_the_memory_bound_are_read_in_chunks(tmp_path: Path) -> None:
    dtype = np.dtype([("chA", "<f4", (50_000,))])
    batch = make_batch(dtype, range(200))
    table = pa.table({"counter": batch.counter, "chA": list(batch.events["chA"])})
    pq.write_table(table, tmp_path / "x.parquet")
    with open_events(tmp_path / "x.parquet") as events:
        assert events.count == 200
        for start in (0, 180, 155, 20):
            found = events.columns(start, start + 20)
            assert np.array_equal(found.fields["chA"], batch.events["chA"][start : start + 20])


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.bz2"])
def test_the_tar_of_the_ancestor_is_read_in_numeric_order(tmp_path: Path, ending: str) -> None:
    batch = make_batch(CHANNELS, [2, 10, 100])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for i in (2, 0, 1):
            content = io.BytesIO()
            pd.DataFrame({name: batch.events[name][i] for name in ("chA", "chB")}).to_parquet(content)
            info = tarfile.TarInfo(f"double_pulses_{batch.counter[i]}.parquet")
            info.size = len(content.getvalue())
            archive.addfile(info, io.BytesIO(content.getvalue()))
    pack = {".tar": bytes, ".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.bz2": bz2.compress}[ending]
    (tmp_path / f"double_pulses{ending}").write_bytes(pack(packed.getvalue()))
    with open_events(tmp_path / f"double_pulses{ending}") as events:
        assert (events.format, events.count, events.dtype) == ("tar", 3, CHANNELS)
        found = joined(events)
    assert found.counter.tolist() == [2, 10, 100]
    assert np.array_equal(found.events["chB"], batch.events["chB"])
    assert found.timestamp.tolist() == [0.0, 0.0, 0.0]


def test_a_folder_of_tars_is_read_one_after_the_other(tmp_path: Path) -> None:
    for name, counters in (("b", [1, 2]), ("a", [3, 4])):
        with TarWriter(tmp_path / "tars" / f"{name}.tar", CHANNELS) as writer:
            writer.append(make_batch(CHANNELS, counters))
    with open_events(tmp_path / "tars") as events:
        assert joined(events).counter.tolist() == [3, 4, 1, 2]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_text_reads_back_with_whole_numbers_and_fractions(tmp_path: Path, separator: str) -> None:
    batch = make_batch(SCALARS, [3, 1, 2])
    with CsvWriter(tmp_path / "x.txt", SCALARS, separator=separator, sort_by_counter=False) as writer:
        writer.append(batch)
    with open_events(tmp_path / "x.txt") as events:
        assert events.dtype == np.dtype([("height", "<f8", (1,)), ("position", "<i8", (1,)), ("integral", "<f8", (1,))])
        found = joined(events)
    assert found.counter.tolist() == [1, 2, 3]
    assert found.timestamp.tolist() == sorted(batch.timestamp)
    assert found.events["height"][:, 0].astype("f4").tolist() == batch.events["height"][[1, 2, 0], 0].tolist()


def test_expanded_columns_of_text_become_waveforms_again(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(12))
    with CsvWriter(tmp_path / "x.csv", WAVES, expand=True) as writer:
        writer.append(batch)
    with open_events(tmp_path / "x.csv") as events:
        assert {name: events.dtype[name].shape for name in events.dtype.names or ()} == {
            "chA": (8,),
            "chB": (8,),
            "height": (1,),
        }
        assert np.array_equal(joined(events).events["chB"], batch.events["chB"])


def test_numpy_files_of_every_form(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(6))
    np.save(tmp_path / "structured.npy", batch.events)
    np.save(tmp_path / "channels.npy", np.arange(6 * 2 * 4, dtype="<i2").reshape(6, 2, 4))
    np.save(tmp_path / "one.npy", np.arange(24, dtype="<f8").reshape(6, 4))
    np.savez(tmp_path / "named.npz", chX=np.ones((6, 3), "f4"), counter=np.arange(6)[::-1], timestamp=np.arange(6.0))
    with open_events(tmp_path / "structured.npy") as events:
        assert events.dtype == WAVES
        assert np.array_equal(joined(events).events, batch.events)
    with open_events(tmp_path / "channels.npy") as events:
        assert events.dtype == np.dtype([("chA", "<i2", (4,)), ("chB", "<i2", (4,))])
        assert joined(events).events["chB"][1].tolist() == [12, 13, 14, 15]
    with open_events(tmp_path / "one.npy") as events:
        assert events.dtype == np.dtype([("chA", "<f8", (4,))])
    with open_events(tmp_path / "named.npz") as events:
        assert joined(events).counter.tolist() == [0, 1, 2, 3, 4, 5]
        assert joined(events).timestamp.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "muons_2026-01-01_1200"
    with DatasetWriter(folder / "RB_1", WAVES) as waves, DatasetWriter(folder / "RB_3", SCALARS) as heights:
        waves.append(make_batch(WAVES, range(5)))
        heights.append(make_batch(SCALARS, range(4)))
    with CsvWriter(folder / "table.csv", SCALARS) as table:
        table.append(make_batch(SCALARS, range(3)))
    (folder / "run.json").write_text("{}")
    (folder / "message.txt").write_text("drained\n")
    return folder


def test_a_run_directory_gives_its_only_waveforms(run_dir: Path) -> None:
    assert describe(run_dir).path == run_dir / "RB_1"


@pytest.mark.parametrize(("dataset", "count"), [("RB_1", 5), ("RB_3", 4), ("table", 3)])
def test_a_run_directory_gives_what_is_named(run_dir: Path, dataset: str, count: int) -> None:
    assert describe(run_dir, dataset).count == count


def test_a_run_directory_with_several_waveforms_asks_which(run_dir: Path) -> None:
    with DatasetWriter(run_dir / "RB_2", WAVES) as writer:
        writer.append(make_batch(WAVES, [1]))
    with pytest.raises(FilesError, match=r"RB_1, RB_2, RB_3, table.*`dataset`"):
        open_events(run_dir)
    with pytest.raises(FilesError, match="no events called 'RB_9'"):
        open_events(run_dir, "RB_9")


def test_a_text_file_called_like_a_dataset_is_chosen_by_its_whole_name(run_dir: Path) -> None:
    with CsvWriter(run_dir / "RB_3.csv", SCALARS) as table:
        table.append(make_batch(SCALARS, range(2)))
    assert describe(run_dir, "RB_3").count == 4
    assert describe(run_dir, "RB_3.csv").count == 2


def test_a_dataset_with_a_journal_left_is_not_taken_for_all(run_dir: Path) -> None:
    writer = DatasetWriter(run_dir / "RB_9", WAVES)
    writer.append(make_batch(WAVES, [1]))
    writer.abort()
    with pytest.raises(FilesError, match=r"not complete.*mimodaq recover"):
        open_events(run_dir, "RB_9")
    assert describe(run_dir, "RB_1").count == 5


def test_a_description_gives_the_keys_of_a_buffer(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", CHANNELS) as writer:
        writer.append(make_batch(CHANNELS, [1]))
    assert describe(tmp_path / "x").buffer() == {
        "channel_per_slot": 50,
        "data_type": {1: ["chA", "float32"], 2: ["chB", "float32"]},
    }
    with DatasetWriter(tmp_path / "y", WAVES) as writer:
        writer.append(make_batch(WAVES, [1]))
    with pytest.raises(FilesError, match="different numbers of samples"):
        describe(tmp_path / "y").buffer()


def test_an_empty_dataset_has_no_events(tmp_path: Path) -> None:
    DatasetWriter(tmp_path / "x", WAVES).close()
    with open_events(tmp_path / "x") as events:
        assert (events.count, events.dtype) == (0, WAVES)
        assert list(events.batches()) == []
