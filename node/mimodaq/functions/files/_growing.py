"""Read a dataset that is not complete: its parts, and the events in its journals.

What is read is what was there when it was opened. A journal that becomes a part meanwhile loses its name, not its
content, and a part and its journal hold the same events, so each event is read once at whatever moment it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mimodaq.functions.files._errors import CorruptFileError, FilesError, NothingYetError
from mimodaq.functions.files._eventfile import ArrayEvents, Columns, EventFile
from mimodaq.functions.files._layout import METADATA, dtype_from_json, sort_order
from mimodaq.functions.files._parts import list_journals, list_parts, part_of
from mimodaq.functions.files._rowfile import RowFile

_TRIES: Final = 100


def open_growing(folder: Path, *, skip_corrupt: bool = False) -> GrowingDataset:
    """The events that are in a dataset at this moment. Raises FilesError, CorruptFileError."""
    for _ in range(_TRIES):
        journals = list_journals(folder)  # before the parts: what becomes a part meanwhile is found there
        try:
            return GrowingDataset(folder, list_parts(folder), journals, skip_corrupt=skip_corrupt)
        except FileNotFoundError:
            continue  # a journal has become a part between the two looks
    raise FilesError(
        f"reading {folder}: its files change faster than they can be listed. Try again, or wait for its end."
    )


class GrowingDataset(EventFile):
    """Several pieces, each in order of its counters, read as one."""

    format = "parquet"

    def __init__(
        self, folder: Path, parts: Sequence[Path], journals: Sequence[Path], *, skip_corrupt: bool = False
    ) -> None:
        """Open what there is; FileNotFoundError if a journal has gone."""
        super().__init__(folder)
        self.is_complete = not journals
        self._skip_corrupt = skip_corrupt
        self._pieces: list[EventFile] = []
        try:
            self._load(parts, journals)
        except BaseException:
            self.close()
            raise

    def _load(self, parts: Sequence[Path], journals: Sequence[Path]) -> None:
        found = [_Journal.open(path) for path in journals if part_of(path) not in parts]
        waiting = [journal for journal in found if journal is not None]
        if parts:
            from mimodaq.functions.files._parquet_events import ParquetEvents

            complete = ParquetEvents(self.path, parts, skip_corrupt=self._skip_corrupt)
            self._pieces.append(self._open_files.enter_context(complete))
        self._pieces += [journal.events for journal in waiting]
        if not self._pieces:
            raise NothingYetError(self.path)
        first = self._pieces[0]
        self.dtype, self.metadata = first.dtype, first.metadata if parts else waiting[0].metadata
        for piece in self._pieces[1:]:
            if piece.dtype.names != self.dtype.names:
                raise CorruptFileError(piece.path, f"its columns are not those of {first.path}")
        self.has_timestamps = first.has_timestamps
        self._starts = np.cumsum([0, *(piece.count for piece in self._pieces)])
        self.count = int(self._starts[-1])
        self._is_numbered = all(journal.is_numbered for journal in waiting)
        numbers = [piece.numbers() for piece in self._pieces]
        counter, timestamp = (np.concatenate(columns) for columns in zip(*numbers, strict=True))
        self._order = sort_order(counter, timestamp) if self._is_numbered else None

    def columns(self, start: int, stop: int) -> Columns:
        stop = min(stop, self.count)
        rows = np.arange(start, stop) if self._order is None else self._order[start:stop]
        found = []
        for piece, begin, end in zip(self._pieces, self._starts[:-1], self._starts[1:], strict=True):
            inside = rows[(rows >= begin) & (rows < end)] - begin  # in order of the counter, so without gaps
            if len(inside):
                part = piece.columns(int(inside[0]), int(inside[-1]) + 1)
                found.append(part if self._is_numbered else part._replace(counter=part.counter + begin))
        self.skipped = sum(piece.skipped for piece in self._pieces)
        if not found:
            return self._pieces[0].columns(0, 0)
        together = _together(found)
        order = sort_order(together.counter, together.timestamp) if self._is_numbered else None
        return together if order is None else together.take(order)


def _together(found: Sequence[Columns]) -> Columns:
    if len(found) == 1:
        return found[0]
    counter, timestamp, deadtime = (np.concatenate([part[i] for part in found]) for i in range(3))
    fields = {name: np.concatenate([part.fields[name] for part in found]) for name in found[0].fields}
    return Columns(counter, timestamp, deadtime, fields)


class _Journal(NamedTuple):
    """The events of a journal."""

    events: ArrayEvents
    metadata: Mapping[str, str]
    is_numbered: bool

    @classmethod
    def open(cls, path: Path) -> _Journal | None:
        """None if its writer has not come to its first event."""
        journal = RowFile.open(path, writable=False)
        if journal is None:
            return None
        journal.close()
        rows, header = journal.rows(), journal.header
        events = rows["event"].view(dtype_from_json(header["event"]))
        columns = {name: rows[name] if name in METADATA else events[name] for name in header["columns"]}
        if all(name in METADATA for name in columns):
            raise CorruptFileError(path, "it has no column of numbers beside counter, timestamp and deadtime")
        return cls(ArrayEvents(path, "parquet", columns), header["metadata"], "counter" in columns)
