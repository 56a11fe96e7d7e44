"""The formats of docs/files.md are what a run writes, read with the programs that are printed there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.pages import blocks, execute, keys_of
from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.functions.files import CsvWriter, DatasetWriter

PAGE = "files.md"


def test_every_format_is_as_it_is_described(tmp_path: Path) -> None:
    assert "run 1, started 20" in execute(PAGE, tmp_path)
    record = json.loads((tmp_path / "run/run.json").read_text())
    about = json.loads((tmp_path / "run/levels.csv.json").read_text())
    assert set(record) <= keys_of(PAGE, "run.json")
    assert set(about) <= keys_of(PAGE, "The description in data files")
    assert set(about["end"]["end"]) - {"left_out"} <= set(record)


def test_files_in_the_making_can_be_read_with_numpy_alone(tmp_path: Path) -> None:
    *_, (_, _, program) = blocks(PAGE)
    names: dict[str, Any] = {}
    exec(program, names)
    journal = DatasetWriter(tmp_path / "x", WAVES, metadata={"run": 12})
    journal.append(make_batch(WAVES, [3, 1, 2]))
    journal.abort()
    path = tmp_path / "x/_x-0000.rows"
    path.write_bytes(path.read_bytes()[:-1])
    rows, header = names["read_rows"](path)
    assert (rows["counter"].tolist(), header["metadata"]["run"]) == ([3, 1], "12")
    assert rows["event"]["chA"].tolist() == make_batch(WAVES, [3, 1]).events["chA"].tolist()
    text = CsvWriter(tmp_path / "y.csv", SCALARS)
    text.append(make_batch(SCALARS, [5, 4]))
    text.abort()
    rows, _ = names["read_rows"](tmp_path / "_y.csv.index")
    assert (rows["counter"].tolist(), rows["end"][-1]) == ([5, 4], (tmp_path / "y.csv").stat().st_size)
