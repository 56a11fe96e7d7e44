"""A file that cannot grow: a clear error, nothing released lost, and the rest completed when there is room."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from files.conftest import make_batch
from mimodaq.functions import FunctionIO
from mimodaq.functions.files import (
    CsvWriter,
    DatasetWriter,
    DiskFullError,
    EventWriter,
    TarWriter,
    open_events,
    recover,
    to_csv,
    to_parquet,
    to_tar,
)
from mimodaq.ring import Reader, Ring

WAVES = np.dtype([("chA", "<f4", (1000,))])
SCALARS = np.dtype([("height", "<f4", (1,))])
MAKERS: dict[str, tuple[np.dtype[Any], Callable[..., EventWriter]]] = {
    "x": (WAVES, DatasetWriter),
    "x.csv": (SCALARS, CsvWriter),
    "x.tar": (WAVES, TarWriter),
}


@contextmanager
def size_limit(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes (Python ignores SIGXFSZ, so write answers EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(writer: EventWriter, dtype: np.dtype[Any], step: int) -> int:
    """Append until the disk is full; answers the events that may have been released."""
    released = 0

    def append_for_ever() -> None:
        nonlocal released
        while True:
            released += writer.append(make_batch(dtype, range(released, released + step)))

    with pytest.raises(DiskFullError, match=r"released event.*mimodaq recover") as caught:
        append_for_ever()
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    return released


class Few:
    """A reader that takes 100 events at most."""

    def __init__(self, reader: Reader) -> None:
        self.name, self.dtype, self.release = "RB_1", reader.dtype, reader.release
        self._reader = reader

    def take(self, n: int, timeout: float | None = None) -> Any:
        return self._reader.take(min(n, 100), timeout)


def append_noise(writer: EventWriter, dtype: np.dtype[Any]) -> None:
    """200 events that cannot be compressed, in falling order."""
    for start in range(200, 0, -10):
        batch = make_batch(dtype, range(start - 10, start))
        for name in dtype.names or ():
            batch.events[name] = np.random.default_rng(start).normal(size=batch.events[name].shape)
        writer.append(batch)


def fill_up(disk: Path, but: int = 0) -> Path:
    """Fill a disk with one file, as another program may."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        free = os.statvfs(disk)
        file.write(bytes(free.f_bavail * free.f_bsize - but))
    return filler


def counters(path: Path) -> list[int]:
    with open_events(path) as events:
        return [int(number) for batch in events.batches() for number in batch.counter]


@pytest.mark.parametrize("name", MAKERS)
def test_a_full_disk_while_appending_keeps_all_whole_batches(small_disk: Path, tmp_path: Path, name: str) -> None:
    dtype, make = MAKERS[name]
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1_000_000))
    writer = make(small_disk / name, dtype)
    released = fill(writer, dtype, 7)
    writer.abort()

    filler.unlink()
    report = recover(small_disk / name)
    assert report.is_complete
    assert report.bytes_dropped == 0
    assert counters(small_disk / name) == list(range(released))


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_size_limit_while_appending_keeps_all_whole_batches(tmp_path: Path, name: str) -> None:
    dtype, make = MAKERS[name]
    writer = make(tmp_path / name, dtype)
    with size_limit(300_000):
        released = fill(writer, dtype, 7)
    # room was made in time: the same writer goes on
    assert writer.append(make_batch(dtype, range(released, released + 7))) == 7
    writer.close()
    assert counters(tmp_path / name) == list(range(released + 7))


@pytest.mark.parametrize("name", MAKERS)
def test_whatever_fills_the_disk_files_can_be_completed(small_disk: Path, name: str) -> None:
    dtype, make = MAKERS[name]
    writer = make(small_disk / name, dtype)
    append_noise(writer, dtype)
    fill_up(small_disk)
    writer.close()
    assert counters(small_disk / name) == list(range(200))
    assert not list(small_disk.rglob("_*"))


@pytest.mark.parametrize("name", MAKERS)
def test_a_disk_that_fills_up_for_good_ends_in_complete_files(
    small_disk: Path, make_ring: Callable[..., Ring], make_io: Callable[..., FunctionIO], name: str
) -> None:
    dtype, _ = MAKERS[name]
    ring = make_ring(dtype, slots=3000)
    end = ring.writer()
    batch = make_batch(dtype, range(3000))
    for name_of_field in dtype.names or ():
        batch.events[name_of_field] = np.random.default_rng(1).normal(size=batch.events[name_of_field].shape)
    for i in range(3000):
        end.put(batch.events[i], i, 0.0, 0.0)
    end.close()
    io = make_io(readers=[Few(ring.reader("g"))], run_dir=small_disk)
    sink = {"x": to_parquet, "x.csv": to_csv, "x.tar": to_tar}[name]
    (small_disk / "filler").write_bytes(bytes(0 if name != "x.csv" else 4_000_000))
    with pytest.raises(DiskFullError, match="appending"):
        sink(io, filename="x")
    released = ring.status().groups[0].released
    assert 0 < released < 3000
    assert counters(small_disk / name) == list(range(released))
    assert not list(small_disk.rglob("_*"))
    assert recover(small_disk).files == ()


@pytest.mark.parametrize("name", MAKERS)
def test_where_no_space_can_be_set_aside_everything_is_left_to_recover(small_disk: Path, name: str) -> None:
    dtype, make = MAKERS[name]
    writer = make(small_disk / name, dtype)
    append_noise(writer, dtype)
    next(small_disk.rglob("_*.room")).unlink()
    filler = fill_up(small_disk)
    with pytest.raises(DiskFullError, match="Free some space"):
        writer.close()
    assert not list(small_disk.rglob("*.tmp"))
    assert not recover(small_disk).is_complete
    assert recover(small_disk).files[0].outcome == "failed"

    filler.unlink()
    assert recover(small_disk).is_complete
    assert recover(small_disk).files == ()
    assert counters(small_disk / name) == list(range(200))


def test_a_part_that_cannot_be_written_by_the_thread_is_reported_by_the_next_append(small_disk: Path) -> None:
    writer = DatasetWriter(small_disk / "x", WAVES)
    batch = make_batch(WAVES, range(200))
    batch.events["chA"] = np.random.default_rng(1).normal(size=(200, 1000))
    writer.append(batch)
    filler = fill_up(small_disk, but=100_000)
    next(small_disk.rglob("_*.room")).unlink()
    fill_up(small_disk, but=100_000)
    writer.rotate()
    with pytest.raises(DiskFullError, match="part of dataset"):
        writer.rotate()  # waits for the part before
    writer.abort()
    filler.unlink()
    assert recover(small_disk).events == 200


def test_a_disk_too_full_to_begin_leaves_nothing(tmp_path: Path) -> None:
    with size_limit(10), pytest.raises(DiskFullError, match="opening"):
        DatasetWriter(tmp_path / "x", WAVES)
    assert list((tmp_path / "x").iterdir()) == []
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [1]))
    assert counters(tmp_path / "x") == [1]
