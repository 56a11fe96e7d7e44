"""Carry out a run of a setup for a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mimodaq.client.bench._results import BenchError
from mimodaq.config import SetupErrors, load_setup
from mimodaq.node import Engine, Entry, RunDirectoryError, RunOptions
from mimodaq.ring import SegmentError


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that was good."""

    folder: Path
    seconds: float
    """From the moment the last worker was ready to the end: all files complete, all processes gone."""
    record: Mapping[str, Any]


def carry_out(setup: Path, folder: Path) -> Finished:
    """Run `setup` on this host with `folder` as run directory. Raises BenchError if the run is not good."""
    problems: list[str] = []

    def keep(entry: Entry) -> None:
        if entry.level != "info":
            problems.append(entry.text)

    try:
        result = Engine(load_setup(setup), RunOptions(directory=folder, on_log=keep)).run()
    except (SetupErrors, RunDirectoryError, SegmentError) as error:
        raise BenchError(str(error)) from error
    if result.verdict != "good":
        reasons = "; ".join([*result.record["reasons"], *problems[-1:]])
        raise BenchError(f"the run of {setup.name} ended {result.verdict}: {reasons}")
    times = result.record["times"]
    begin, end = (datetime.fromisoformat(times[key]) for key in ("start_complete", "stop_complete"))
    return Finished(result.run_dir, (end - begin).total_seconds(), result.record)
