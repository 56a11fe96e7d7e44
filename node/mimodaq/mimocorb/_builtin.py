"""Run a built-in function of mimodaq, which wants a `FunctionIO`, on the ends of buffers of the mimoCoRB form."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mimodaq.mimocorb._access import Config
from mimodaq.mimocorb.mimo_buffer import Observer, Reader
from mimodaq.ring import Batch, Observed


@dataclass(slots=True)
class BuiltinReader:
    """A `Reader` as built-in functions see it; keeps the figures of the summary that mimoCoRB prints."""

    source: Reader
    dtype: np.dtype[np.void]
    events: int = 0
    last_counter: int = 0
    deadtime_sum: float = 0.0

    @property
    def name(self) -> str:
        """Name of the buffer."""
        return self.source.buffer

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        """Up to n events."""
        batch = self.source.take(n, timeout)
        if batch is not None and len(batch.events):
            self.events += len(batch.events)
            self.last_counter = int(batch.counter[-1])
            self.deadtime_sum += float(np.maximum(batch.deadtime, 0).sum())
        return batch

    def sequences(self, n: int) -> npt.NDArray[np.int64]:
        """Their numbers in the ring."""
        return self.source.sequences(n)

    def release(self, n: int | None = None) -> None:
        """Release them."""
        self.source.release(n)


@dataclass(slots=True)
class BuiltinObserver:
    """An `Observer` as built-in functions see it."""

    source: Observer
    dtype: np.dtype[np.void]

    @property
    def name(self) -> str:
        """Name of the buffer."""
        return self.source.buffer

    def get(self, timeout: float | None = None) -> Observed | None:
        """The newest event."""
        return self.source.look()


@dataclass(slots=True)
class BuiltinIO:
    """The surroundings of one built-in function."""

    name: str
    run_dir: Path
    log: logging.Logger
    stopping: Callable[[], bool]
    readers: Sequence[BuiltinReader] = ()
    observers: Sequence[BuiltinObserver] = ()
    writers: Sequence[Any] = ()
    process: int = 0
    processes: int = 1
    setup_dir: Path = field(default_factory=Path.cwd)
    run_folder: Path | None = None
    run_info: Mapping[str, Any] = field(default_factory=dict)

    def files(self, *paths: Path) -> None:
        """Files are found in the output folder by whoever runs the function."""

    def note(self, **figures: Any) -> None:
        """Figures of a mimoCoRB function go nowhere: its interface has no place for them."""


def surroundings(end: Reader | Observer, config: Config, log: logging.Logger) -> BuiltinIO:
    """The surroundings of a function that uses one end of a buffer."""
    name, _, process = end.label.partition("[")
    return BuiltinIO(
        name=name.replace(" ", "_"),
        process=int(process[:-1]) if process[:-1].isdecimal() else 0,
        run_dir=Path((config or {}).get("directory_prefix", ".")),
        log=log,
        stopping=lambda: not end.is_active(),
        readers=[BuiltinReader(end, end.event_dtype)] if isinstance(end, Reader) else [],
        observers=[BuiltinObserver(end, end.event_dtype)] if isinstance(end, Observer) else [],
        run_folder=end.run_folder,
    )
