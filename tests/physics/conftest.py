"""Buffers of plain arrays with the ends of the worker interface, and a worker's world around them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


class Batch(NamedTuple):
    events: np.ndarray
    counter: np.ndarray
    timestamp: np.ndarray
    deadtime: np.ndarray


class Observed(NamedTuple):
    event: np.void
    counter: int
    timestamp: float
    sequence: int
    deadtime: float = -1.0


class ArrayReader:
    """Hands out events in batches of at most `most`; empty batches come where `most` has a 0."""

    name = "RB_1"

    def __init__(self, events: np.ndarray, most: Sequence[int] = (7, 3, 11)) -> None:
        self.dtype = events.dtype
        self._events = events
        self._counter = np.arange(100, 100 + len(events), dtype=np.int64)
        self._most = list(most)
        self._at = 0
        self.taken = self.released = 0

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        if self._at == len(self._events):
            return None
        size = min(n, self._most[0])
        self._most.append(self._most.pop(0))
        some = slice(self._at, min(self._at + size, len(self._events)))
        self._at = some.stop
        self.taken = self._at
        counter = self._counter[some]
        events = self._events[some].view()
        events.flags.writeable = False
        return Batch(events, counter, counter * 0.5, np.full(len(counter), 0.01))

    def sequences(self, n: int) -> np.ndarray:
        return np.arange(self._at - n, self._at)

    def release(self, n: int | None = None) -> None:
        self.released = self.taken if n is None else self.released + n


class ArrayWriter:
    """Keeps copies of what is committed; gives at most `slots` slots at once, with leftovers in them."""

    def __init__(self, dtype: np.dtype, slots: int = 5) -> None:
        self.dtype = np.dtype(dtype)
        self.waited_s = 0.0
        self._slots = slots
        self._open: Batch | None = None
        self._kept: list[Batch] = []

    def claim(self, n: int, timeout: float | None = None) -> Batch:
        assert n >= 1
        size = min(n, self._slots)
        events = np.frombuffer(b"\x55" * (size * self.dtype.itemsize), dtype=self.dtype).copy()
        self._open = Batch(events, np.full(size, -1, dtype=np.int64), np.full(size, np.nan), np.full(size, -1.0))
        return self._open

    def commit_batch(self, n: int | None = None) -> None:
        assert self._open is not None
        self._kept.append(Batch(*(part[:n].copy() for part in self._open)))
        self._open = None

    @property
    def sizes(self) -> list[int]:
        return [len(batch.events) for batch in self._kept]

    @property
    def events(self) -> np.ndarray:
        return np.concatenate([batch.events for batch in self._kept] or [np.zeros(0, self.dtype)])

    @property
    def counter(self) -> np.ndarray:
        return np.concatenate([batch.counter for batch in self._kept] or [np.zeros(0, np.int64)])

    @property
    def metadata(self) -> np.ndarray:
        """Counter, timestamp, dead time; shape (events, 3)."""
        return np.concatenate([np.stack(batch[1:], axis=1) for batch in self._kept] or [np.zeros((0, 3))])


class ArrayObserver:
    """Shows the given events one after the other."""

    name = "RB_1"

    def __init__(self, events: np.ndarray) -> None:
        self.dtype = events.dtype
        self._events = events
        self._next = 0

    def get(self, timeout: float | None = None) -> Observed | None:
        if self._next == len(self._events):
            return None
        at, self._next = self._next, self._next + 1
        return Observed(self._events[at].copy(), 10 * at, 1.7e9 + 2 * at, at)


@dataclass
class WorkerWorld:
    """What a worker's runtime hands to a built-in function."""

    run_dir: Path
    readers: list[Any] = field(default_factory=list)
    writers: list[Any] = field(default_factory=list)
    observers: list[Any] = field(default_factory=list)
    name: str = "Fkt_2"
    process: int = 0
    processes: int = 1
    stop_after: int | None = None
    """Number of questions after which `stopping` says yes."""
    run_folder: Path | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    registered: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.setup_dir = self.run_dir
        self.run_info: dict[str, Any] = {"run": 1}
        self.log = logging.getLogger("mimodaq.test")
        self._asked = 0

    def stopping(self) -> bool:
        self._asked += 1
        return self.stop_after is not None and self._asked > self.stop_after

    def files(self, *paths: Path) -> None:
        self.registered += paths

    def note(self, **figures: Any) -> None:
        self.notes.update(figures)


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., WorkerWorld]:
    """Make a worker's world around buffers: `world(reads=array, writes=[dtype, ...], observes=array, ...)`."""

    def make(
        reads: np.ndarray | None = None,
        writes: Sequence[Any] = (),
        observes: np.ndarray | None = None,
        **more: Any,
    ) -> WorkerWorld:
        return WorkerWorld(
            tmp_path,
            readers=[] if reads is None else [ArrayReader(reads)],
            writers=[ArrayWriter(dtype) for dtype in writes],
            observers=[] if observes is None else [ArrayObserver(observes)],
            **more,
        )

    return make


def waveform_dtype(channels: str, samples: int, kind: str = "<f4") -> np.dtype:
    return np.dtype([(f"ch{name}", kind, (samples,)) for name in channels])


@pytest.fixture
def waveforms_of() -> Callable[..., np.dtype]:
    """Give the dtype of a waveform buffer: `waveforms_of("AB", 500)`."""
    return waveform_dtype
