"""A run as those who look on find it: a folder in memory, rings, a directory with its setup; without its processes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mimodaq.config import Setup, load_setup
from mimodaq.node import RESOLVED
from mimodaq.node._folder import Folder
from mimodaq.protocol.counts import LIVE, Counts, FieldCounts, file_of, pack
from mimodaq.protocol.histogram import Histogram
from mimodaq.ring import Ring, segment_name
from nodes.conftest import new_cluster

__all__ = ["new_cluster"]

_numbers = itertools.count(1)

SETUP: dict[str, Any] = {
    "RingBuffer": [
        {"RB_1": {"number_of_slots": 16, "channel_per_slot": 200, "data_type": {1: ["chA", "float32"]}}},
        {"RB_2": {"number_of_slots": 64, "data_type": {1: ["decay_time", "float64"], 2: ["height", "float32"]}}},
    ],
    "Functions": [
        {
            "Fkt_1": {
                "function": "simulate",
                "RB_assign": {"RB_1": "write"},
                "config": {"sample_time_ns": 4, "pre_trigger_samples": 50, "trigger_level": 30},
            }
        },
        {
            "Fkt_2": {
                "function": "find_peaks",
                "RB_assign": {"RB_1": "read", "RB_2": "write"},
            }
        },
        {"Fkt_3": {"function": "drain", "RB_assign": {"RB_2": "read"}}},
    ],
}


@dataclass(slots=True)
class RunThere:
    """A run that somebody else carries out."""

    number: int
    folder: Folder
    directory: Path
    setup: Setup
    rings: dict[str, Ring] = field(default_factory=dict)

    def put(self, buffer: str, events: np.ndarray) -> None:
        """Write events."""
        with self.rings[buffer].writer("source") as writer:
            for event in events:
                writer.put(event, None, 1.7e9, 0.0)

    def count(self, buffer: str, name: str, values: Any, *, function: str = "Fkt_5", **more: Any) -> None:
        """What a function of the run would have counted."""
        histogram = Histogram(0.0, 10.0, 20)
        histogram.fill(values)
        place = self.folder.path / LIVE / file_of(function, 0)
        place.parent.mkdir(exist_ok=True)
        counts = Counts(function, buffer, (FieldCounts(name, histogram, "decay time / µs"),), "Decays", **more)
        place.write_bytes(pack(counts))

    def close(self) -> None:
        for ring in self.rings.values():
            ring.unlink()
        self.folder.remove()


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., RunThere]]:
    """Make runs on this computer; what is left of them goes at the end."""
    runs: list[RunThere] = []

    def make(setup: dict[str, Any] = SETUP) -> RunThere:
        number = next(_numbers)
        directory = tmp_path / f"run{number}"
        directory.mkdir()
        (directory / RESOLVED).write_text(yaml.safe_dump(setup))
        partition = f"plot-{os.getpid()}-{number}"
        folder = Folder.of(partition)
        folder.note_directory(directory)
        run = RunThere(number, folder, directory, load_setup(directory / RESOLVED))
        runs.append(run)
        for name, buffer in run.setup.buffers.items():
            segment = segment_name(name, partition=f"plot-{os.getpid()}-{number}")
            description = {"folder": str(folder.path), "run": number}
            run.rings[name] = Ring.create(
                segment, buffer.event_dtype, buffer.slots, expected_writers=2, buffer=name, description=description
            )
        return run

    yield make
    for run in runs:
        run.close()


@pytest.fixture
def run(new_run: Callable[..., RunThere]) -> RunThere:
    """One run."""
    return new_run()


def pulses(n: int, height: float = 100.0) -> np.ndarray:
    """Events of RB_1 with a pulse behind the trigger."""
    events = np.zeros(n, np.dtype([("chA", "<f4", (200,))]))
    events["chA"][:, 50:60] = height
    return events


def decays(n: int) -> np.ndarray:
    """Events of RB_2."""
    events = np.zeros(n, np.dtype([("decay_time", "<f8", (1,)), ("height", "<f4", (1,))]))
    events["decay_time"][:, 0] = np.arange(n) % 10 + 0.25
    events["height"][:, 0] = 250
    return events
