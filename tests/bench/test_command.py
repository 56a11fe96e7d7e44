"""`mimodaq bench` as it is typed."""

from __future__ import annotations

import json

import pytest

from mimodaq.client.bench import bench


def test_json_goes_to_stdout_and_progress_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("write", True, quick=True) == 0

    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert {row["name"] for row in found["results"]} == {"write.parquet.68kB", "write.parquet.64B", "write.csv.64B"}
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["other_cores"] >= 0
    assert "pyarrow csv from memory" in captured.err


def test_a_wrong_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("everything", False) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there are ring, " in captured.err
