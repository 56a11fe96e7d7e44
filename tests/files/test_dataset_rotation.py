from pathlib import Path

import pyarrow.parquet as pq

from files.conftest import WAVES, make_batch
from mimodaq.functions.files import DatasetWriter


def parts(folder: Path) -> list[list[int]]:
    return [pq.read_table(path)["counter"].to_pylist() for path in sorted(folder.glob("*.parquet"))]


def test_a_new_part_begins_when_the_size_is_reached(tmp_path: Path) -> None:
    row = 24 + WAVES.itemsize
    with DatasetWriter(tmp_path / "x", WAVES, rotate_size=10 * row) as writer:
        for start in range(0, 25, 5):
            writer.append(make_batch(WAVES, range(start, start + 5)))
    assert parts(tmp_path / "x") == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert [path.name for path in writer.files] == ["x-0000.parquet", "x-0001.parquet", "x-0002.parquet"]


def test_a_new_part_begins_when_the_time_has_passed_but_never_an_empty_one(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES, rotate_time=1e-9) as writer:
        writer.rotate_if_due()
        writer.append(make_batch(WAVES, [1]))
        writer.rotate_if_due()
        writer.rotate_if_due()
        writer.append(make_batch(WAVES, [2]))
    assert parts(tmp_path / "x") == [[1], [2]]


def test_ending_right_after_a_rotation_leaves_no_empty_part(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [1]))
        writer.rotate()
    assert parts(tmp_path / "x") == [[1]]
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["x-0000.parquet"]


def test_at_most_one_part_is_pending(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        for counter in range(6):
            writer.append(make_batch(WAVES, [counter]))
            writer.rotate()
            assert len(list((tmp_path / "x").glob("_*.rows"))) <= 2
    assert parts(tmp_path / "x") == [[counter] for counter in range(6)]


def test_each_part_is_sorted(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES) as writer:
        writer.append(make_batch(WAVES, [3, 1]))
        writer.rotate()
        writer.append(make_batch(WAVES, [4, 2]))
    assert parts(tmp_path / "x") == [[1, 3], [2, 4]]


def test_units_of_size_and_time_are_understood(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x", WAVES, rotate_size="1 kB", rotate_time="2 h") as writer:
        for counter in range(30):
            writer.append(make_batch(WAVES, [counter]))
    assert [len(part) for part in parts(tmp_path / "x")] == [13, 13, 4]
