"""A dataset that goes on on the next disk when the one it was begun on has no more room."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from client.command import wait_until
from files.conftest import make_batch
from files.test_disk_full import counters, fill_up, small_disk
from mimodaq.functions.files import DatasetWriter, FilesError, recover
from mimodaq.functions.files._room import RunFiles, look_at_files

__all__ = ["small_disk"]

WAVES = np.dtype([("chA", "<f4", (1000,))])
STEP = 20


def noise(start: int) -> object:
    batch = make_batch(WAVES, range(start, start + STEP))
    batch.events["chA"] = np.random.default_rng(start).normal(size=(STEP, 1000))
    return batch


def write(writer: DatasetWriter, start: int, stop: int) -> None:
    for first in range(start, stop, STEP):
        writer.append(noise(first))


@pytest.fixture
def make(small_disk: Path, tmp_path: Path) -> Callable[..., DatasetWriter]:
    """A writer whose dataset begins on a disk of 4 MB."""

    def make(reserve_bytes: int = 500_000) -> DatasetWriter:
        spill = [tmp_path / "next" / "run" / "x"]
        return DatasetWriter(small_disk / "x", WAVES, spill=spill, reserve_bytes=reserve_bytes, fsync="never")

    return make


def test_a_dataset_goes_on_on_the_next_disk(make: Callable[..., DatasetWriter], small_disk: Path) -> None:
    writer = make()
    write(writer, 0, 2000)
    assert writer.place.name == "x"
    writer.close()
    assert counters(small_disk / "x") == list(range(2000))
    assert pq.read_table(small_disk / "x")["counter"].to_pylist() == list(range(2000))
    parts = sorted((small_disk / "x").iterdir())
    assert [path.is_symlink() for path in parts] == [False, True]
    assert all(path.suffix == ".parquet" for path in parts)
    assert [path.name for path in writer.place.iterdir()] == [parts[1].name]


def test_another_program_that_fills_the_disk_moves_it_on(make: Callable[..., DatasetWriter], small_disk: Path) -> None:
    writer = make(reserve_bytes=0)
    write(writer, 0, 100)
    fill_up(small_disk)
    write(writer, 100, 300)
    writer.close()
    assert counters(small_disk / "x") == list(range(300))


def test_what_a_killed_writer_has_left_on_two_disks_is_recovered(
    make: Callable[..., DatasetWriter], small_disk: Path
) -> None:
    writer = make()
    write(writer, 0, 2000)
    writer.abort()
    assert recover(small_disk).is_complete
    assert counters(small_disk / "x") == list(range(2000))
    assert not list(small_disk.rglob("_*"))
    assert not list(writer.place.glob("_*"))


def test_the_next_writer_goes_on_where_the_killed_one_was(make: Callable[..., DatasetWriter], small_disk: Path) -> None:
    writer = make()
    write(writer, 0, 1000)
    writer.abort()
    again = make()
    assert again.place == writer.place
    write(again, 1000, 1200)
    again.close()
    assert counters(small_disk / "x") == list(range(1200))


def test_a_disk_that_is_not_there_is_named(
    make: Callable[..., DatasetWriter], small_disk: Path, tmp_path: Path
) -> None:
    writer = make()
    write(writer, 0, 1000)
    writer.abort()
    os.rename(tmp_path / "next", tmp_path / "unplugged")
    left = [file for file in recover(small_disk).files if file.outcome == "failed"]
    place = f"{writer.place}/_x-0001.rows"
    text = f"it lies on another disk, as {place}, and that is not there: mount the disk, then try again"
    assert [file.problem for file in left] == [text]
    with pytest.raises(FilesError, match="No such file"):
        make()
    os.rename(tmp_path / "unplugged", tmp_path / "next")
    assert recover(small_disk).is_complete
    assert counters(small_disk / "x") == list(range(1000))


def test_a_link_left_by_a_writer_killed_in_the_last_moment_is_no_journal(
    make: Callable[..., DatasetWriter], small_disk: Path
) -> None:
    writer = make()
    write(writer, 0, 1000)
    writer.close()
    (small_disk / "x" / "_x-0001.rows").symlink_to(writer.place / "_x-0001.rows")
    assert recover(small_disk).files == ()
    assert counters(small_disk / "x") == list(range(1000))


def test_the_files_of_a_run_on_all_disks_are_seen(make: Callable[..., DatasetWriter], small_disk: Path) -> None:
    writer = make()
    write(writer, 0, 1000)
    (small_disk / "notes.txt").write_bytes(bytes(100))
    (small_disk / "y.csv").write_bytes(bytes(50))
    (small_disk / "_y.csv.index").write_bytes(bytes(10))
    wait_until(lambda: not (small_disk / "x" / "_x-0000.rows").exists(), "the first part is not completed")
    found = look_at_files(small_disk)
    part = small_disk / "x" / "x-0001.parquet"
    assert found.journals[str(part)] > 500_000
    assert found.rooms > found.journals[str(part)]
    assert (found.sorted_later, found.others) == (50, 150)
    assert found.to_close <= found.rooms + 50
    writer.close()
    found = look_at_files(small_disk)
    assert found.journals == {}
    assert set(found.parts) == {str(part), str(part.with_name("x-0000.parquet"))}
    assert found == RunFiles({}, found.parts, 0, 0, 150, 50)
