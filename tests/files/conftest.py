"""Rings, worker surroundings and events for the tests of files."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.functions import FunctionIO
from mimodaq.functions.files import Batch
from mimodaq.ring import Reader, Ring, Writer

WAVES = np.dtype([("chA", "<f4", (8,)), ("chB", "<i2", (8,)), ("height", "<f8", (1,))])
SCALARS = np.dtype([("height", "<f4", (1,)), ("position", "<i4", (1,)), ("integral", "<f8", (1,))])

_numbers = itertools.count()


def make_batch(dtype: np.dtype[Any], counters: Any) -> Batch:
    """Events whose content follows from their counter alone."""
    counter = np.asarray(counters, np.int64)
    events = np.zeros(len(counter), dtype)
    for i, name in enumerate(dtype.names or ()):
        samples = events[name].shape[1]
        values = (counter[:, None] * 13 + np.arange(samples) + i) & 1023
        events[name] = values * (0.1 if dtype[name].base.kind == "f" else 0.05)
    return Batch(events, counter, 1.5e9 + counter * 0.125, np.where(counter % 3 == 0, -1.0, 0.001 * (counter % 7)))


def assert_same(found: Batch, expected: Batch) -> None:
    """Events and all their metadata are the same."""
    for name in expected.events.dtype.names or ():
        assert np.array_equal(found.events[name], expected.events[name]), name
    assert np.array_equal(found.counter, expected.counter)
    assert np.array_equal(found.timestamp, expected.timestamp)
    assert np.array_equal(found.deadtime, expected.deadtime)


def split(batch: Batch, *sizes: int) -> list[Batch]:
    """A batch in pieces; the last one takes the rest."""
    limits = [0, *np.cumsum(sizes).tolist(), len(batch.counter)]
    return [Batch(*(values[a:b] for values in batch)) for a, b in itertools.pairwise(limits)]


def write(writer: Any, batch: Batch) -> int:
    """Append a batch of any size in pieces the writer takes."""
    step = writer.batch_events
    return sum(
        writer.append(Batch(*(values[i : i + step] for values in batch))) for i in range(0, len(batch.counter), step)
    )


@pytest.fixture
def make_ring() -> Iterator[Callable[..., Ring]]:
    made = []

    def make(dtype: np.dtype[Any], slots: int = 64, writers: int = 1, **options: Any) -> Ring:
        name = f"mimodaq.test-files-{os.getpid()}-{next(_numbers)}"
        made.append(Ring.create(name, dtype, slots, groups=("g",), expected_writers=writers, buffer="RB_1", **options))
        return made[-1]

    yield make
    for ring in made:
        ring.verify()
        ring.unlink()


@pytest.fixture
def make_io(tmp_path: Path) -> Callable[..., FunctionIO]:
    def make(readers: list[Reader] | None = None, writers: list[Writer] | None = None, **about: Any) -> FunctionIO:
        settings: dict[str, Any] = {
            "name": "Fkt_1",
            "process": 0,
            "processes": 1,
            "config": {},
            "run_dir": tmp_path,
            "setup_dir": tmp_path,
            "run_info": {"run": 12, "setup": {"RingBuffer": []}, "versions": {"mimodaq": "0"}},
            "log": logging.getLogger("test"),
        }
        return FunctionIO(**(settings | about), readers=readers or [], writers=writers or [])

    return make
