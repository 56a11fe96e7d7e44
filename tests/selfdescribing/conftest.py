"""Runs, and directories that look like runs, for the tests of what data files say about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.command import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a run directory with a record, and nothing else in it."""

    def make(name: str, **record: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        times = {"start_asked": "2026-11-22T15:10:02.000001+00:00", "stop_complete": None}
        full = {"run": 12, "verdict": "good", "reasons": [], "times": times, "files": {}, "buffers": {}, "ledger": {}}
        (folder / "run.json").write_text(json.dumps({**full, **record}))
        return folder

    return make
