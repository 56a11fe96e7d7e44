"""What a new writer, or `recover`, makes of a text file or tar that a dead writer left."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from files.conftest import SCALARS, make_batch
from mimodaq.functions.files import Batch, CsvWriter, EventWriter, FilesError, TarWriter, open_events, recover

WAVES = np.dtype([("chA", "<f4", (20,)), ("chB", "<f4", (20,))])
KINDS = pytest.mark.parametrize(
    ("name", "make", "dtype"), [("x.csv", CsvWriter, SCALARS), ("x.tar", TarWriter, WAVES)], ids=["csv", "tar"]
)
Make = Callable[..., EventWriter]


def counters(path: Path) -> list[int]:
    with open_events(path) as events:
        return [int(number) for batch in events.batches() for number in batch.counter]


def left_by_a_dead_writer(path: Path, make: Make, *batches: Batch) -> None:
    writer = make(path, batches[0].events.dtype)
    for batch in batches:
        writer.append(batch)
    writer.abort()


@KINDS
def test_a_crash_leaves_no_trace_in_the_bytes_of_the_file(
    tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any]
) -> None:
    left_by_a_dead_writer(tmp_path / name, make, make_batch(dtype, [3, 1, 2]), make_batch(dtype, [5, 4]))
    with make(tmp_path / name, dtype) as writer:
        assert writer.append(make_batch(dtype, [4, 6, 5])) == 1
    assert writer.duplicates_dropped == 2
    with make(tmp_path / "other" / name, dtype) as other:
        other.append(make_batch(dtype, range(1, 7)))
    assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert not list(tmp_path.glob("_*"))


@KINDS
@pytest.mark.parametrize("finish", ["writer", "recover"])
def test_a_torn_end_is_cut_off_wherever_it_is(
    tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any], finish: str
) -> None:
    path, index = tmp_path / name, tmp_path / f"_{name}.index"
    left_by_a_dead_writer(path, make, make_batch(dtype, range(3)))
    before = path.stat().st_size
    left_by_a_dead_writer(path, make, make_batch(dtype, [3]))
    whole, ends = path.read_bytes(), index.read_bytes()
    for cut in (1, 5, len(whole) - before - 1, len(whole) - before):
        path.write_bytes(whole[:-cut])
        index.write_bytes(ends)
        if finish == "recover":
            report = recover(path)
            assert report.events == 3
            assert report.bytes_dropped == len(whole) - before - cut
        else:
            with make(path, dtype) as writer:
                assert writer.append(make_batch(dtype, [2])) == 0
            assert writer.bytes_dropped == len(whole) - before - cut
        assert counters(path) == [0, 1, 2]
    path.write_bytes(whole)
    index.write_bytes(ends[:-10])  # a power cut may lose the index row of a line that is there
    assert recover(path).events == 3


@KINDS
def test_a_writer_killed_before_the_header_begins_again(
    tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any]
) -> None:
    path, index = tmp_path / name, tmp_path / f"_{name}.index"
    left_by_a_dead_writer(path, make, make_batch(dtype, []))
    header = index.read_bytes()
    for text, rows in ((b"", None), (b"", header[:10]), (b"", header), (b"cou", header)):
        if name == "x.tar" and text:
            continue
        path.write_bytes(text)
        index.unlink(missing_ok=True)
        if rows is not None:
            index.write_bytes(rows)
        with make(path, dtype) as writer:
            writer.append(make_batch(dtype, [1]))
        assert counters(path) == [1]


@KINDS
def test_sorting_may_be_interrupted_at_every_step(tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any]) -> None:
    left_by_a_dead_writer(tmp_path / "a" / name, make, make_batch(dtype, [3, 1, 2]))
    unsorted = (tmp_path / "a" / name).read_bytes()
    index = (tmp_path / "a" / f"_{name}.index").read_bytes()
    recover(tmp_path / "a")
    done = (tmp_path / "a" / name).read_bytes()
    states = [
        {name: unsorted, f"_{name}.index": index, f"_{name}.tmp": done[:30]},
        {name: unsorted, f"_{name}.index": index, f"_{name}.tmp": done},
        {name: unsorted, f"_{name}.sorted": index, f"_{name}.tmp": done},
        {name: done, f"_{name}.sorted": index},
    ]
    for i, state in enumerate(states):
        for finish in ("writer", "recover"):
            folder = tmp_path / f"{finish}{i}"
            folder.mkdir()
            for file, content in state.items():
                (folder / file).write_bytes(content)
            if finish == "writer":
                make(folder / name, dtype).close()
            else:
                assert recover(folder).is_complete
            assert (folder / name).read_bytes() == done
            assert [path.name for path in folder.iterdir()] == [name]


@KINDS
def test_a_finished_file_is_never_added_to(tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any]) -> None:
    with make(tmp_path / name, dtype) as writer:
        writer.append(make_batch(dtype, [1]))
    make(tmp_path / name, dtype).close()  # a worker started again after the end of the stream
    with make(tmp_path / name, dtype) as writer, pytest.raises(FilesError, match=r"complete.*filename"):
        writer.append(make_batch(dtype, [2]))
    assert counters(tmp_path / name) == [1]


@KINDS
def test_two_writers_of_one_file_are_refused(tmp_path: Path, name: str, make: Make, dtype: np.dtype[Any]) -> None:
    with make(tmp_path / name, dtype) as writer:
        writer.append(make_batch(dtype, [1]))
        with pytest.raises(FilesError, match=r"another process.*filename"):
            make(tmp_path / name, dtype)
        assert recover(tmp_path).files[0].outcome == "in use"
    assert counters(tmp_path / name) == [1]


def test_a_file_of_a_writer_with_other_columns_is_not_continued(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x.csv", CsvWriter, make_batch(SCALARS, [1]))
    with pytest.raises(FilesError, match="mimodaq recover"):
        CsvWriter(tmp_path / "x.csv", SCALARS, columns=["counter"])
    assert recover(tmp_path).events == 1


def test_an_unfinished_tar_is_a_tar(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x.tar", TarWriter, make_batch(WAVES, [1, 2]))
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert archive.getnames() == ["x_1.parquet", "x_2.parquet"]
