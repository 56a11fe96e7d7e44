"""What a new writer, or `recover`, makes of what a dead one left. The states are made by stopping at each step."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.functions.files import Batch, DatasetWriter, FilesError, recover


def counters(folder: Path) -> list[int]:
    return [n for path in sorted(folder.glob("*.parquet")) for n in pq.read_table(path)["counter"].to_pylist()]


def left_by_a_dead_writer(folder: Path, *batches: Batch, **options: object) -> Path:
    """Journals as they are after SIGKILL between two batches; returns the newest."""
    writer = DatasetWriter(folder, WAVES, **options)  # type: ignore[arg-type]
    for batch in batches:
        writer.append(batch)
    writer.abort()
    return max(folder.glob("_*.rows"))


def test_a_new_writer_goes_on_where_the_dead_one_ended(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, range(10)))
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, range(10, 15)))
    assert counters(tmp_path / "x") == list(range(15))
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["x-0000.parquet"]


def test_a_crash_leaves_no_trace_in_the_bytes_of_the_file(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, range(10)))
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, range(5, 15)))
    with DatasetWriter(tmp_path / "y" / "x", WAVES) as other:
        other.append(make_batch(WAVES, range(15)))
    assert writer.duplicates_dropped == 5
    assert writer.files[0].read_bytes() == other.files[0].read_bytes()


@pytest.mark.parametrize("cut", [1, 40, 79])
def test_half_an_event_at_the_end_is_cut_off_and_counted(tmp_path: Path, cut: int) -> None:
    journal = left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, range(10)))
    journal.write_bytes(journal.read_bytes()[:-cut])
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [9]))
    assert writer.bytes_dropped == 80 - cut
    assert writer.duplicates_dropped == 0
    assert counters(tmp_path / "x") == list(range(10))


@pytest.mark.parametrize("keep", [0, 5, 20, 200])
def test_a_journal_whose_header_is_torn_is_begun_again(tmp_path: Path, keep: int) -> None:
    journal = left_by_a_dead_writer(tmp_path / "x")
    journal.write_bytes(journal.read_bytes()[:keep])
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [1]))
    assert counters(tmp_path / "x") == [1]


def test_redelivered_events_are_dropped_once_each_in_any_order(tmp_path: Path) -> None:
    batch = make_batch(WAVES, range(10))
    left_by_a_dead_writer(tmp_path / "x", batch)
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        assert writer.append(make_batch(WAVES, [12, 9, 3, 11])) == 2
        assert writer.append(make_batch(WAVES, [3, 10])) == 2
    assert writer.duplicates_dropped == 2
    assert counters(tmp_path / "x") == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_another_event_with_the_same_counter_is_not_a_duplicate(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, [7]))
    other = make_batch(WAVES, [7])
    other.events["height"] += 1
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        assert writer.append(other) == 1
    assert counters(tmp_path / "x") == [7, 7]


def test_a_second_crash_does_not_forget_what_the_first_left_unreleased(tmp_path: Path) -> None:
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, range(10)))
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, [0, 1, 2]), make_batch(WAVES, [50]))
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [*range(10), 50, 51]))
    assert writer.duplicates_dropped == 11
    assert counters(tmp_path / "x") == [*range(10), 50, 51]


def test_a_crash_after_a_rotation_remembers_the_batch_before_it(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "x", WAVES)
    writer.append(make_batch(WAVES, range(5)))
    writer.abort()
    sealed = tmp_path / "x" / "_x-0000.rows"
    shutil.copy(sealed, tmp_path / "kept")
    writer = DatasetWriter(tmp_path / "x", WAVES)
    writer.rotate()
    writer.abort()
    shutil.copy(tmp_path / "kept", sealed)
    (tmp_path / "x" / "_redelivered.npy").unlink()
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, range(7)))
    assert writer.duplicates_dropped == 5
    assert sorted(counters(tmp_path / "x")) == list(range(7))


@pytest.mark.parametrize("finish", ["writer", "recover"])
def test_a_conversion_may_be_interrupted_at_every_step(tmp_path: Path, finish: str) -> None:
    batch = make_batch(WAVES, range(10))
    journal = left_by_a_dead_writer(tmp_path / "done", batch).read_bytes()
    recover(tmp_path / "done")
    part = (tmp_path / "done" / "done-0000.parquet").read_bytes()
    states = {
        "temporary begun": {"_x-0000.parquet.tmp": part[: len(part) // 2]},
        "temporary complete": {"_x-0000.parquet.tmp": part},
        "renamed": {"x-0000.parquet": part},
        "temporary empty": {"_x-0000.parquet.tmp": b""},
    }
    for state, files in states.items():
        folder = tmp_path / state / "x"
        folder.mkdir(parents=True)
        (folder / "_x-0000.rows").write_bytes(journal)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        if finish == "writer":
            DatasetWriter(folder, WAVES).close()
        else:
            assert recover(folder).is_complete
        assert counters(folder) == list(range(10)), state
        assert [path.name for path in folder.iterdir()] == ["x-0000.parquet"], state


def test_an_exception_leaves_the_journal_and_a_clean_end_does_not(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "x", WAVES)
    writer.append(make_batch(WAVES, range(3)))
    with pytest.raises(ValueError, match="at most"), writer:
        writer.append(make_batch(WAVES, range(writer.batch_events + 1)))
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["_x-0000.room", "_x-0000.rows"]
    DatasetWriter(tmp_path / "x", WAVES).close()
    assert counters(tmp_path / "x") == [0, 1, 2]


def test_a_finished_dataset_is_never_added_to(tmp_path: Path) -> None:
    DatasetWriter(tmp_path / "x", WAVES).close()
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        pass  # a worker started again after the end of the stream
    with DatasetWriter(tmp_path / "x", WAVES) as writer, pytest.raises(FilesError, match="finished dataset"):
        writer.append(make_batch(WAVES, [1]))
    assert len(writer.files) == 1


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "x", WAVES)
    writer.close()
    writer.close()
    with pytest.raises(FilesError, match="is closed"):
        writer.append(make_batch(WAVES, [1]))


def test_two_writers_of_one_folder_are_refused(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        with pytest.raises(FilesError, match=r"another process.*filename"):
            DatasetWriter(tmp_path / "x", WAVES)
        writer.append(make_batch(WAVES, [1]))
    assert counters(tmp_path / "x") == [1]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [(SCALARS, {}), (WAVES, {"metadata": {"run": 13}}), (WAVES, {"columns": ["counter"]})],
)
def test_a_journal_of_something_else_is_not_continued(
    tmp_path: Path, dtype: np.dtype[Any], options: dict[str, Any]
) -> None:
    left_by_a_dead_writer(tmp_path / "x", make_batch(WAVES, [1]), metadata={"run": 12})
    with pytest.raises(FilesError, match="mimodaq recover"):
        DatasetWriter(tmp_path / "x", dtype, **({"metadata": {"run": 12}} | options))
    assert recover(tmp_path / "x").events == 1


def test_fsync_of_every_batch_writes_the_same_file(tmp_path: Path) -> None:
    for fsync in ("never", "batch", "close"):
        with DatasetWriter(tmp_path / fsync / "x", WAVES, fsync=fsync) as writer:  # type: ignore[arg-type]
            writer.append(make_batch(WAVES, range(10)))
            writer.rotate()
    contents = {(tmp_path / fsync / "x" / "x-0000.parquet").read_bytes() for fsync in ("never", "batch", "close")}
    assert len(contents) == 1
