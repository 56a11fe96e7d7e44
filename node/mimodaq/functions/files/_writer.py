"""What all writers of event files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._layout import EventBatch

Fsync = Literal["never", "batch", "close"]
"""What survives a power cut as well: nothing for sure, every released event (slow), or complete files."""


class EventWriter(ABC):
    """Writes events to files that survive the death of the process.

    The caller's part: take a batch, `append` it, release it, and only then append the next. After a crash a new
    writer with the same arguments continues; events that come again although they are stored are left out.

    Used as a context manager, an exception aborts, anything else closes. Not safe for several threads; a lock keeps
    other processes out.
    """

    batch_events: int
    """The most events one `append` takes."""
    duplicates_dropped: int
    """Events that came again after a crash although they were stored, and were left out."""
    bytes_dropped: int
    """Bytes of an event a killed writer had begun (never released), cut off when this one continued."""

    def __init__(self, batch_events: int, fsync: str) -> None:
        if fsync not in get_args(Fsync):
            raise FilesError(f"option `fsync: {fsync}` is unknown. Choose from {', '.join(get_args(Fsync))}.")
        self.batch_events = batch_events
        self.duplicates_dropped = 0
        self.bytes_dropped = 0

    @property
    @abstractmethod
    def files(self) -> list[Path]:
        """The complete files, in order."""

    @abstractmethod
    def append(self, batch: EventBatch) -> int:
        """Append at most `batch_events` events; answers how many were new.

        When it returns, the events survive the death of this process: release them then, and before the next call.
        Raises DiskFullError (none of the batch is kept), FilesError if a finished file is in the way, ValueError
        for too many events.
        """

    @abstractmethod
    def close(self) -> None:
        """Complete the files. Raises DiskFullError with everything left for `recover`."""

    @abstractmethod
    def abort(self) -> None:
        """Stop at once and leave everything for `recover` or the next writer; after `close` without effect."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _check_size(self, events: int) -> None:
        if events > self.batch_events:
            raise ValueError(
                f"{events} events in one call; after a crash at most {self.batch_events} can be told from new ones"
            )
