"""What all readers of event files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._layout import METADATA, Batch, Field, planar_dtype, sort_order

UNKNOWN_TIMESTAMP: Final = 0.0
UNKNOWN_DEADTIME: Final = -1.0


class Columns(NamedTuple):
    """Consecutive events in the arrays of their file, without a copy where the file allows."""

    counter: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.float64]
    deadtime: npt.NDArray[np.float64]
    fields: Mapping[str, npt.NDArray[Any]]
    """Field name to values (n, samples)."""

    def take(self, rows: npt.NDArray[np.intp]) -> Columns:
        """A copy of some of the events."""
        fields = {name: values[rows] for name, values in self.fields.items()}
        return Columns(self.counter[rows], self.timestamp[rows], self.deadtime[rows], fields)


class EventFile(ABC):
    """Recorded events, in order of their counters.

    What a file does not say is the same in every reading: a missing counter is the row number from 0, a missing
    timestamp 0.0, a missing dead time -1.
    """

    path: Path
    format: str
    """Kind of file: `parquet`, `tar`, `text` or `npy`."""
    dtype: np.dtype[Any]
    """Planar record dtype of the events; a scalar has the sub-array shape (1,)."""
    count: int
    """Number of events."""
    metadata: Mapping[str, str]
    """What the file says about itself: schema metadata of Parquet, else empty."""
    ignored: tuple[str, ...] = ()
    """Columns that are no numbers and are left out."""
    has_timestamps: bool = False
    is_complete: bool = True
    """False if it is still being written, or was left by a writer that was killed."""
    skipped: int = 0
    """Damaged events left out so far, because `skip_corrupt` was asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open_files = ExitStack()

    def numbers(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Counters and timestamps of all events. Raises CorruptFileError."""
        found = self.columns(0, self.count)
        return found.counter, found.timestamp

    @abstractmethod
    def columns(self, start: int, stop: int) -> Columns:
        """Events `start` to `stop` - 1; fewer if damaged ones are skipped. Raises CorruptFileError."""

    def batches(self, max_bytes: int = 8_000_000, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Events as structured arrays, at most `max_bytes` of events (but at least one) at a time."""
        stop = self.count if stop is None else min(stop, self.count)
        step = max(1, max_bytes // max(1, self.dtype.itemsize))
        for begin in range(start, stop, step):
            found = self.columns(begin, min(begin + step, stop))
            events = np.empty(len(found.counter), self.dtype)
            for name, values in found.fields.items():
                events[name] = values
            yield Batch(events, found.counter, found.timestamp, found.deadtime)

    def to_numpy(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.void]:
        """Events as one structured array (n,): a scalar is a plain field, a waveform one of shape (samples,).

        columns: names of fields, and counter, timestamp, deadtime; default all. start, stop: as in a slice. Raises
        FilesError for an unknown column, CorruptFileError.
        """
        from mimodaq.functions.files import _tables

        return _tables.to_numpy(self, columns, start, stop)

    def to_arrow(self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None) -> Any:
        """The same as a pyarrow.Table; a waveform is a list of fixed size."""
        from mimodaq.functions.files import _tables

        return _tables.to_arrow(self, columns, start, stop)

    def to_pandas(self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None) -> Any:
        """The same as a pandas.DataFrame; a waveform is an array in each row. FilesError if pandas is missing."""
        from mimodaq.functions.files import _tables

        return _tables.to_pandas(self, columns, start, stop)

    def close(self) -> None:
        """Close the file."""
        self._open_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class ArrayEvents(EventFile):
    """Events that are in memory (or mapped into it) as arrays, one per field."""

    def __init__(self, path: Path, kind: str, arrays: Mapping[str, npt.NDArray[Any]], **about: Any) -> None:
        """Take arrays (n,) or (n, samples) of numbers; those named like metadata are the metadata."""
        fields = {
            name: values if values.ndim == 2 else values[:, np.newaxis]
            for name, values in arrays.items()
            if name not in METADATA
        }
        super().__init__(path)
        self.format = kind
        self.dtype = planar_dtype([Field(name, values.dtype, values.shape[1]) for name, values in fields.items()])
        self.count = len(next(iter(fields.values())))
        self.metadata = about.get("metadata", {})
        self.ignored = tuple(about.get("ignored", ()))
        self.skipped = int(about.get("skipped", 0))
        self.is_complete = bool(about.get("is_complete", True))
        self.has_timestamps = "timestamp" in arrays
        self._columns = Columns(*metadata_or_default(arrays, self.count), fields)
        self._order = sort_order(self._columns.counter, self._columns.timestamp)

    def numbers(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        order = slice(None) if self._order is None else self._order
        return self._columns.counter[order], self._columns.timestamp[order]

    def columns(self, start: int, stop: int) -> Columns:
        if self._order is not None:
            return self._columns.take(self._order[start:stop])
        counter, timestamp, deadtime, fields = self._columns
        part = slice(start, stop)
        return Columns(
            counter[part], timestamp[part], deadtime[part], {name: values[part] for name, values in fields.items()}
        )


def metadata_or_default(
    arrays: Mapping[str, npt.NDArray[Any]], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Counter, timestamp and dead time (n,), made up as `EventFile` says where the file has none."""
    counter = arrays["counter"].reshape(-1) if "counter" in arrays else np.arange(count)
    timestamp = arrays["timestamp"].reshape(-1) if "timestamp" in arrays else np.full(count, UNKNOWN_TIMESTAMP)
    deadtime = arrays["deadtime"].reshape(-1) if "deadtime" in arrays else np.full(count, UNKNOWN_DEADTIME)
    return counter.astype(np.int64, copy=False), timestamp.astype(np.float64, copy=False), deadtime.astype(np.float64)


def channel_names(count: int) -> Sequence[str]:
    """Names for channels that have none: chA, chB, ... as an oscilloscope counts, ch26, ... after chZ."""
    return [f"ch{chr(ord('A') + i)}" if i < 26 else f"ch{i}" for i in range(count)]
