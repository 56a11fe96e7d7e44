"""What the source needs from the runtime: the seam to `mimodaq.functions`, which this package must not import."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mimodaq.ring import Batch


class Writer(Protocol):
    """The writing end of a buffer."""

    name: str
    slots: int
    waited_s: float
    dtype: np.dtype[np.void]

    @property
    def is_ending(self) -> bool: ...
    @property
    def is_paused(self) -> bool: ...
    def claim(self, n: int, timeout: float | None = None, *, afresh: bool = False) -> Batch: ...
    def commit_batch(self, n: int | None = None) -> None: ...
    def flush(self) -> None: ...


class FunctionIO(Protocol):
    """The world of one worker."""

    name: str
    process: int
    processes: int
    setup_dir: Path
    run_dir: Path
    log: logging.Logger

    @property
    def flag(self) -> Callable[[str], None]: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def writers(self) -> Sequence[Writer]: ...
    def stopping(self) -> bool: ...
    def note(self, **figures: Any) -> None: ...
