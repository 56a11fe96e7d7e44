"""Damaged and unsuitable input: the error names the file, what is wrong and what to do."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from files.conftest import SCALARS, make_batch
from mimodaq.functions.files import CorruptFileError, CsvWriter, DatasetWriter, FilesError, TarWriter, open_events

CHANNELS = np.dtype([("chA", "<f4", (50_000,)), ("chB", "<f4", (50_000,))])
SHORT = np.dtype([("chA", "<f4", (50,))])


def counters(path: Path, **options: bool) -> list[int]:
    with open_events(path, **options) as events:  # type: ignore[arg-type]
        return [int(number) for batch in events.batches(500_000) for number in batch.counter]


def flip(path: Path, position: int, size: int = 200) -> None:
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(byte ^ 0xFF for byte in data[position : position + size])
    path.write_bytes(data)


def parquet(folder: Path) -> Path:
    noise = np.random.default_rng(1)
    with DatasetWriter(folder, CHANNELS) as writer:
        for counter in range(160):
            batch = make_batch(CHANNELS, [counter])
            batch.events["chA"] = noise.normal(size=(1, 50_000))
            writer.append(batch)
    return writer.files[0]


def test_a_damaged_row_group_is_named_and_can_be_skipped(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x")
    assert pq.read_metadata(path).num_row_groups == 3
    column = pq.read_metadata(path).row_group(1).column(3)
    flip(path, column.data_page_offset + 1000)
    with pytest.raises(CorruptFileError, match=r"x-0000.parquet: row group 1 .*skip_corrupt"):
        counters(path)
    with open_events(path, skip_corrupt=True) as events:
        found = [int(number) for batch in events.batches(400_000) for number in batch.counter]
        assert events.skipped == 160 - len(found)
    rows = pq.read_metadata(path).row_group(0).num_rows
    assert found == [*range(rows), *range(2 * rows, 160)]


def test_a_truncated_parquet_file_is_named_and_can_be_skipped(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", SCALARS) as writer:
        writer.append(make_batch(SCALARS, [1]))
        writer.rotate()
        writer.append(make_batch(SCALARS, [2]))
    writer.files[0].write_bytes(writer.files[0].read_bytes()[:-5])
    with pytest.raises(CorruptFileError, match=r"x-0000.parquet: it is no complete Parquet file .*skip_corrupt"):
        counters(tmp_path / "x")
    assert counters(tmp_path / "x", skip_corrupt=True) == [2]
    with pytest.raises(CorruptFileError, match="no readable Parquet file is left"):
        counters(writer.files[0], skip_corrupt=True)


def test_parts_with_different_columns_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "p-0.parquet")
    pq.write_table(pa.table({"b": [1.0]}), tmp_path / "p-1.parquet")
    with pytest.raises(CorruptFileError, match=r"p-1.parquet: its columns are not those of .*p-0.parquet"):
        open_events(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": ["a", "b"]}, "no column of numbers"),
        ({"a": [[1.0, 2.0], [1.0]]}, "different lengths"),
        ({"a": [[1.0, 2.0], None]}, "without values|different lengths"),
        ({"a": [1, None]}, "`a` has 1 missing"),
        ({"a": [1.0, 2.0], "counter": [1, None]}, "`counter` has 1 missing"),
    ],
)
def test_parquet_columns_that_are_no_events_are_named(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(CorruptFileError, match=message):
        counters(tmp_path / "x.parquet")


def test_a_missing_fraction_is_not_a_number(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, None]}), tmp_path / "x.parquet")
    with open_events(tmp_path / "x.parquet") as events:
        assert np.isnan(next(events.batches()).events["a"][:, 0]).tolist() == [False, True]


def tar(path: Path, events: int = 5) -> Path:
    with TarWriter(path, SHORT) as writer:
        writer.append(make_batch(SHORT, range(events)))
    return path


def test_a_damaged_tar_member_is_named_and_can_be_skipped(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar")
    flip(path, path.read_bytes().index(b"x_2.parquet") + 512)
    with pytest.raises(CorruptFileError, match=r"x.tar: member x_2.parquet cannot be used.*skip_corrupt"):
        counters(path)
    with open_events(path, skip_corrupt=True) as events:
        assert [int(n) for batch in events.batches() for n in batch.counter] == [0, 1, 3, 4]
        assert events.skipped == 1


def test_a_truncated_tar_is_named_and_its_whole_members_can_be_read(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"x_3.parquet") + 600])
    with pytest.raises(CorruptFileError, match=r"x.tar: it is no complete tar.*skip_corrupt"):
        counters(path)
    assert counters(path, skip_corrupt=True) == [0, 1, 2]


def test_a_truncated_compressed_tar_is_named_and_its_whole_members_can_be_read(tmp_path: Path) -> None:
    packed = gzip.compress(tar(tmp_path / "x.tar", 60).read_bytes())
    (tmp_path / "y.tar.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(CorruptFileError, match=r"y.tar.gz: it cannot be unpacked.*skip_corrupt"):
        counters(tmp_path / "y.tar.gz")
    found = counters(tmp_path / "y.tar.gz", skip_corrupt=True)
    assert found == list(range(len(found)))
    assert 0 < len(found) < 60


def test_a_tar_of_other_things_is_refused(tmp_path: Path) -> None:
    with TarWriter(tmp_path / "x.tar", SHORT):
        pass
    with pytest.raises(CorruptFileError, match="no readable member"):
        open_events(tmp_path / "x.tar")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("counter,a\n1,2.5\n2,x7\n", r"column `a`, event 2: 'x7' is no number.*skip_corrupt"),
        ("counter,a\n1,2.5\n2,3,4\n3,1\n", r"3 values, 2 expected.*skip_corrupt"),
        ("1,2.5\n2,3.5\n", "first line does not name"),
        ("", "first line does not name"),
        ("counter,name\n1,a\n2,b\n", "no column of numbers beside"),
    ],
)
def test_damaged_text_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(CorruptFileError, match=message):
        open_events(tmp_path / "x.csv")


def test_damaged_lines_of_text_can_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("counter,a\n1,2.5\n2,3,4\n3,x\n4,1.5\n")
    with open_events(tmp_path / "x.csv", skip_corrupt=True) as events:
        batch = next(events.batches())
        assert (batch.counter.tolist(), batch.events["a"][:, 0].tolist(), events.skipped) == ([1, 4], [2.5, 1.5], 2)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"no numpy at all"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_damaged_numpy_files_are_named(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=rf"x.{ending}: it is no complete numpy file"):
        open_events(path)


def test_numpy_files_that_are_no_events_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.zeros((4, 5)))
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-8])
    np.save(tmp_path / "deep.npy", np.zeros((2, 2, 2, 2)))
    np.save(tmp_path / "text.npy", np.array([["a"], ["b"]]))
    np.savez(tmp_path / "uneven.npz", a=np.zeros(3), b=np.zeros(4))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name in ("short.npy", "deep.npy", "text.npy", "uneven.npz", "objects.npy"):
        with pytest.raises(CorruptFileError, match=name):
            open_events(tmp_path / name)


def test_paths_that_hold_no_events_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="no such file"):
        open_events(tmp_path / "nothing.parquet")
    with pytest.raises(FilesError, match="folder holds no events"):
        open_events(tmp_path)
    (tmp_path / "x.yaml").write_text("a: 1")
    with pytest.raises(FilesError, match="Readable are"):
        open_events(tmp_path / "x.yaml")


def test_a_text_file_being_written_is_readable(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "x.csv", SCALARS) as writer:
        writer.append(make_batch(SCALARS, [1, 2]))
        assert counters(tmp_path / "x.csv") == [1, 2]
