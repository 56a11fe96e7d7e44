"""What a worker function is given to work with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mimodaq.ring import Observer, Reader, Writer

T = TypeVar("T")


@dataclass(slots=True)
class FunctionIO:
    """The world of one worker process: its buffers, its options, its run.

    Handed to functions whose first parameter is called `io`; the other forms are run on top of it.
    """

    name: str
    """Name of the function's entry in the setup, for example `Fkt_2`."""
    process: int
    """Number of this process, from 0."""
    processes: int
    """How many processes run this function."""
    config: Mapping[str, Any]
    """The options as written, merged from all their places."""
    run_dir: Path
    setup_dir: Path
    run_info: Mapping[str, Any]
    """Run number, setup, versions: what belongs into the metadata of files."""
    log: logging.Logger
    spill: Sequence[Path] = ()
    """Where this run may write on other disks, when that of `run_dir` has less than `reserve_bytes` left."""
    reserve_bytes: int = 0
    readers: Sequence[Reader] = ()
    writers: Sequence[Writer] = ()
    observers: Sequence[Observer] = ()
    run_folder: Path | None = None
    """The folder of the run in memory, where others may look while the run goes on; None outside of a run."""
    is_stopping: Callable[[], bool] = lambda: False
    """Whether the run is being stopped; long waits of a source must ask."""
    register: Callable[[Sequence[Path]], None] = lambda paths: None
    flag: Callable[[str], None] = lambda reason: None
    """Tell why the run is not to be called good although it goes on, for example a scope that was unplugged."""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def reader(self) -> Reader:
        """The first buffer read; LookupError if the function reads none."""
        return self._first(self.readers, "read")

    @property
    def writer(self) -> Writer:
        """The first buffer written; LookupError if the function writes none."""
        return self._first(self.writers, "write")

    @property
    def observer(self) -> Observer:
        """The first buffer observed; LookupError if the function observes none."""
        return self._first(self.observers, "observe")

    def _first(self, ends: Sequence[T], access: str) -> T:
        if not ends:
            raise LookupError(f"{self.name} has no buffer to {access}: add `RB_assign: {{RB_1: {access}}}`")
        return ends[0]

    def stopping(self) -> bool:
        """Whether the run is being stopped."""
        return self.is_stopping()

    def files(self, *paths: Path) -> None:
        """Tell the run record which files this worker writes."""
        self.register(paths)

    def note(self, **figures: Any) -> None:
        """Put figures of this worker into the run record (numbers, texts, lists)."""
        self.figures.update(figures)
