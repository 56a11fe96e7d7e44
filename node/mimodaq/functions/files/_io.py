"""What the functions of this package need of the worker runtime and of the ring, as protocols.

The runtime's `FunctionIO` and the ring's `Reader` and `Writer` fulfil them; so do stand-ins in tests and tools.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mimodaq.functions.files._layout import EventBatch


class EventReader(Protocol):
    """A member of a reader group of a buffer."""

    @property
    def name(self) -> str:
        """The name of the buffer."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Planar record dtype of the events."""

    def take(self, n: int, timeout: float | None = None) -> EventBatch | None:
        """1 to `n` events, none after `timeout` s, or None at the end of the stream."""

    def release(self, n: int | None = None) -> None:
        """Release the oldest `n` taken events, default all."""


class EventSink(Protocol):
    """A writer of a buffer."""

    @property
    def name(self) -> str:
        """The name of the buffer."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Planar record dtype of the events."""

    def claim(self, n: int) -> EventBatch:
        """1 to `n` free slots, to be filled with events and metadata; blocks until there is one."""

    def commit_batch(self, n: int | None = None) -> None:
        """Commit the first `n` claimed slots, default all."""


class SinkIO(Protocol):
    """What a function that writes files is given."""

    @property
    def name(self) -> str:
        """The name of the function in the setup, e.g. `Fkt_3`."""

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""

    @property
    def spill(self) -> Sequence[Path]:
        """Folders for this run on other disks, for when less than `reserve_bytes` are left on that of `run_dir`."""

    @property
    def reserve_bytes(self) -> int:
        """Space that no event may take."""

    @property
    def run_info(self) -> Mapping[str, Any]:
        """Run number, setup, versions, ...: goes into the metadata of the files."""

    @property
    def processes(self) -> int:
        """Number of processes of this function."""

    @property
    def log(self) -> logging.Logger:
        """Log of this function."""

    @property
    def readers(self) -> Sequence[Any]:
        """Its reading ends (`EventReader`)."""

    def files(self, *paths: Path) -> None:
        """Register output files for the run record."""

    def note(self, **figures: Any) -> None:
        """Add figures to the run record."""


class SourceIO(Protocol):
    """What a function that replays files is given."""

    @property
    def name(self) -> str:
        """The name of the function in the setup, e.g. `Fkt_1`."""

    @property
    def setup_dir(self) -> Path:
        """Folder of the setup file: relative paths of inputs start there."""

    @property
    def process(self) -> int:
        """Number of this process, from 0."""

    @property
    def processes(self) -> int:
        """Number of processes of this function."""

    @property
    def log(self) -> logging.Logger:
        """Log of this function."""

    @property
    def writers(self) -> Sequence[Any]:
        """Its writing ends (`EventSink`)."""

    def stopping(self) -> bool:
        """Whether the run is being stopped."""

    def note(self, **figures: Any) -> None:
        """Add figures to the run record."""
