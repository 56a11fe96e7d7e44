import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.functions import FunctionIO, check_options
from mimodaq.functions.files import (
    DatasetWriter,
    DiskFullError,
    FilesError,
    open_events,
    to_csv,
    to_parquet,
    to_tar,
)
from mimodaq.ring import Ring

MakeIO = Callable[..., FunctionIO]
MakeRing = Callable[..., Ring]
CHANNELS = np.dtype([("chA", "<f4", (50,)), ("chB", "<f4", (50,))])


@pytest.fixture
def filled(make_ring: MakeRing) -> Callable[[np.dtype[Any], int], Ring]:
    """A ring that holds events and whose writer has left."""

    def fill(dtype: np.dtype[Any], count: int) -> Ring:
        ring = make_ring(dtype, slots=count + 1)
        writer = ring.writer()
        batch = make_batch(dtype, range(count))
        for i in range(count):
            writer.put(batch.events[i], int(batch.counter[i]), float(batch.timestamp[i]), float(batch.deadtime[i]))
        writer.close()
        return ring

    return fill


@pytest.mark.parametrize(
    ("function", "dtype", "files"),
    [
        (to_parquet, WAVES, ["RB_1/RB_1-0000.parquet"]),
        (to_csv, SCALARS, ["RB_1.csv"]),
        (to_tar, CHANNELS, ["RB_1.tar"]),
    ],
)
def test_a_stream_is_written_to_its_end_released_and_registered(
    filled: Callable[..., Ring],
    make_io: MakeIO,
    tmp_path: Path,
    function: Callable[..., None],
    dtype: np.dtype[Any],
    files: list[str],
) -> None:
    ring = filled(dtype, 300)
    reader = ring.reader("g")
    registered: list[Path] = []
    io = make_io(readers=[reader], register=registered.extend)
    function(io)
    reader.close()
    assert [str(path.relative_to(tmp_path)) for path in registered] == files
    assert io.figures == {"events_written": 300, "duplicates_dropped": 0}
    assert ring.status().groups[0].released == 300
    with open_events(tmp_path) as events:
        assert [int(n) for batch in events.batches() for n in batch.counter] == list(range(300))


def test_events_handed_out_again_after_a_crash_are_left_out(
    filled: Callable[..., Ring], make_io: MakeIO, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = DatasetWriter(tmp_path / "RB_1", WAVES, metadata={"run": 12})
    dead.append(make_batch(WAVES, range(40)))
    dead.abort()
    journal = tmp_path / "RB_1" / "_RB_1-0000.rows"
    journal.write_bytes(journal.read_bytes()[:-3])
    reader = filled(WAVES, 100).reader("g")
    io = make_io(readers=[reader])
    with caplog.at_level(logging.WARNING):
        to_parquet(io)
    reader.close()
    assert "cut off 77 bytes" in caplog.text
    assert io.figures == {"events_written": 61, "duplicates_dropped": 39}


def test_a_failing_write_releases_nothing_more_and_keeps_the_journal(
    filled: Callable[..., Ring], make_io: MakeIO, tmp_path: Path
) -> None:
    ring = filled(WAVES, 50)
    reader = ring.reader("g")
    DatasetWriter(tmp_path / "RB_1", WAVES).close()  # a finished dataset is in the way
    with pytest.raises(FilesError, match="finished dataset"):
        to_parquet(make_io(readers=[reader]))
    assert ring.status().groups[0].released == 0
    reader.release()
    reader.close()


def test_file_names_and_options_reach_the_writers(filled: Callable[..., Ring], make_io: MakeIO, tmp_path: Path) -> None:
    to_parquet(make_io(readers=[filled(WAVES, 5).reader("g")]), filename="pulses.parquet", columns=["counter", "chA"])
    to_csv(make_io(readers=[filled(SCALARS, 5).reader("g")]), filename="heights", separator="\t")
    to_csv(make_io(readers=[filled(SCALARS, 5).reader("g")]), filename="table.dat", columns=["height"])
    to_tar(make_io(readers=[filled(CHANNELS, 5).reader("g")]), filename="waves")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "heights.txt",
        "heights.txt.json",
        "pulses",
        "table.dat",
        "table.dat.json",
        "waves.tar",
    ]


def test_files_without_metadata_do_not_depend_on_the_run(
    filled: Callable[..., Ring], make_io: MakeIO, tmp_path: Path
) -> None:
    for run in (1, 2):
        io = make_io(readers=[filled(WAVES, 5).reader("g")], run_dir=tmp_path / str(run), run_info={"run": run})
        to_parquet(io, filename="x", metadata=False)
        to_csv(make_io(readers=[filled(SCALARS, 5).reader("g")], run_dir=tmp_path / str(run)), metadata=False)
        assert not list((tmp_path / str(run)).glob("*.json"))
    files = [(tmp_path / run / "x" / "x-0000.parquet").read_bytes() for run in ("1", "2")]
    assert files[0] == files[1]


def test_several_processes_or_buffers_are_refused(make_ring: MakeRing, make_io: MakeIO) -> None:
    reader = make_ring(WAVES).reader("g")
    with pytest.raises(FilesError, match="num_process: 1"):
        to_parquet(make_io(readers=[reader], processes=2))
    with pytest.raises(FilesError, match="one buffer"):
        to_csv(make_io(readers=[]))
    reader.close()


def test_a_full_disk_is_an_os_error_with_its_number() -> None:
    assert issubclass(DiskFullError, OSError)
    assert issubclass(DiskFullError, FilesError)


def test_every_option_is_known_to_the_runtime() -> None:
    options = {"filename": "x", "rotate_size": "1 GB", "rotate_time": "1 h", "fsync": "batch", "units": {"chA": "V"}}
    assert check_options(to_parquet, options) == []
    assert check_options(to_csv, {"header_alias": {"a": "b"}, "separator": "\t", "expand": True}) == []
    assert [problem.option for problem in check_options(to_parquet, {"fsync": "often"})] == ["fsync"]
