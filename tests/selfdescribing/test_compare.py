"""Whether two runs have written the same: what is told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.client._compare import OTHER_PARTS, OTHER_TIMES, ROUNDED, SAME_BYTES, SAME_EVENTS, compare, differences
from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, EXIT_USAGE
from mimodaq.client.runs import open_run
from mimodaq.functions.files import Batch, CsvWriter, DatasetWriter

MakeRun = Callable[..., Path]


@pytest.fixture
def two(run_folder: MakeRun) -> tuple[Path, Path]:
    files = {"Fkt_5": ["/elsewhere/one/counts.json", "/elsewhere/one/picture.png"]}
    return run_folder("one", files=files), run_folder("other", run=13, files=files)


def write(folder: Path, batch: Batch, parts: int = 1, **options: Any) -> None:
    with DatasetWriter(folder / "RB_1", batch.events.dtype, **options) as writer:
        for rows in np.array_split(np.arange(len(batch.counter)), parts):
            writer.append(Batch(*(values[rows] for values in batch)))
            if parts > 1:
                writer.rotate()


def found(two: tuple[Path, Path]) -> dict[str, str]:
    return {finding.name: finding.words for finding in differences(*map(open_run, two))}


def test_the_same_bytes_and_the_same_events(two: tuple[Path, Path]) -> None:
    for number, folder in enumerate(two):
        write(folder, make_batch(WAVES, range(9)), metadata={"run": number})
        with CsvWriter(folder / "out.csv", SCALARS) as writer:
            writer.append(make_batch(SCALARS, range(9)))
    assert found(two) == {"RB_1": SAME_EVENTS, "out": SAME_BYTES}
    assert compare(*two, as_json=False) == EXIT_GOOD


def test_events_in_other_parts(two: tuple[Path, Path]) -> None:
    write(two[0], make_batch(WAVES, range(9)), parts=2)
    write(two[1], make_batch(WAVES, range(9)), parts=3)
    assert found(two) == {"RB_1": OTHER_PARTS}


def test_events_at_other_times_are_not_the_same(two: tuple[Path, Path]) -> None:
    batch = make_batch(WAVES, range(9))
    write(two[0], batch)
    write(two[1], batch._replace(timestamp=batch.timestamp + 1))
    assert found(two) == {"RB_1": OTHER_TIMES}
    assert compare(*two, as_json=False) == EXIT_NOT_GOOD


def test_the_first_event_that_differs_is_named(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    batch = make_batch(WAVES, range(10, 19))
    events = batch.events.copy()
    events["chB"][4, 2] += 1
    write(two[0], batch)
    write(two[1], batch._replace(events=events))
    assert compare(*two, as_json=True) == EXIT_NOT_GOOD
    assert json.loads(capsys.readouterr().out) == {
        "same": False,
        "outputs": [{"name": "RB_1", "words": "different: events of event 14"}],
    }


def test_missing_events_fields_and_files_are_named(two: tuple[Path, Path]) -> None:
    write(two[0], make_batch(WAVES, range(9)))
    assert found(two) == {"RB_1": f"only in {two[0]}"}
    write(two[1], make_batch(WAVES, range(8)))
    assert found(two) == {"RB_1": "different: 9 and 8 events"}
    (two[1] / "counts.json").write_text("{}")
    assert found(two)["counts.json"] == f"only in {two[1]}"


def test_other_dtypes_are_named(two: tuple[Path, Path]) -> None:
    write(two[0], make_batch(WAVES, range(9)))
    write(two[1], make_batch(SCALARS, range(9)))
    assert found(two)["RB_1"].startswith("different: [")


def test_sums_may_be_rounded_otherwise_and_pictures_are_not_looked_at(two: tuple[Path, Path]) -> None:
    for folder, mean in zip(two, ("0.1", "0.10000000000000002"), strict=True):
        (folder / "counts.json").write_text(f'{{"mean": {mean}, "counts": [1, 2], "p": NaN}}')
        (folder / "picture.png").write_text(mean)
    assert found(two) == {"counts.json": ROUNDED}
    (two[1] / "counts.json").write_text('{"mean": 0.1, "counts": [1, 3], "p": NaN}')
    assert found(two) == {"counts.json": "different"}


def test_what_is_no_run_is_wrong_use(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(two[0], two[0].parent, as_json=False) == EXIT_USAGE
    assert "is no run directory: it has no run.json. There are runs in it: one, other" in capsys.readouterr().err
