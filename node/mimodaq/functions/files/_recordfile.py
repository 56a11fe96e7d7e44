"""A file of records of any length (lines of text, members of a tar) that survives the death of its writer.

Theory of operation. Beside `spectrum.csv` lies `_spectrum.csv.index`, a row file with the counter, the timestamp and
the end of each record. A batch is first appended to the index and then, in one `write`, to the file. After a crash
the records whose end lies inside the file are whole; whatever is behind them is cut off, in both files. The index
also gives the order in which the file is rewritten at the end, and says that the file is not complete yet: closing
removes it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._errors import FilesError, storing
from mimodaq.functions.files._layout import sort_order
from mimodaq.functions.files._parts import lock
from mimodaq.functions.files._redelivered import Redelivered
from mimodaq.functions.files._room import Room
from mimodaq.functions.files._rowfile import RowFile, make_folder, sync_file, write_all
from mimodaq.functions.files._writer import EventWriter, Fsync

_INDEX: Final = np.dtype([("counter", "<i8"), ("timestamp", "<f8"), ("end", "<i8")])


class RecordFile(EventWriter):
    """Appends records to a file, and continues one whose writer was killed.

    path: the file; it has its header at once, so it can be followed while it grows.
    header, trailer: bytes before the first and after the last record.
    run: whose file it is; a file of another run is not continued.
    is_header_kept: the header describes the run; a file that is continued keeps its own, however the new one reads.
    batch_events: the most records one `append` takes.
    sort_by_counter: rewrite the file in order of (counter, timestamp) when it is closed.
    fsync: as in `DatasetWriter`.

    A kind of file adds `append`, which makes the records of a batch. Raises FilesError, DiskFullError.
    """

    def __init__(
        self,
        path: Path,
        header: bytes,
        trailer: bytes = b"",
        *,
        batch_events: int,
        sort_by_counter: bool = True,
        fsync: Fsync = "close",
        run: object = None,
        is_header_kept: bool = False,
    ) -> None:
        super().__init__(batch_events, fsync)
        self.path = path
        self._fsync = fsync
        self._fd = -1
        self._end = 0
        self._index: RowFile | None = None
        self._room = Room.beside(index_of(path))
        self._end_bytes = len(header) + len(trailer)
        self._is_sorted = sort_by_counter
        self._settings = {
            "header": header.hex(),
            "trailer": trailer.hex(),
            "batch_events": batch_events,
            "sort_by_counter": sort_by_counter,
            "durable": fsync != "never",
            "run": run,
        }
        self._compared = [key for key in self._settings if key != "header" or not is_header_kept]
        with storing(f"opening {path}", safe="Nothing was written."):
            make_folder(path.parent, durable=fsync != "never")
            self._redelivered = Redelivered(redelivered_of(path))
            try:
                self._take_up()
            except BaseException:
                self.abort()
                raise

    @property
    def files(self) -> list[Path]:
        """The file."""
        return [self.path]

    def append_records(
        self, counter: npt.NDArray[np.int64], timestamp: npt.NDArray[np.float64], records: Sequence[bytes]
    ) -> int:
        """Append one record per event: the second half of `append`."""
        if self._index is None:
            raise FilesError(f"writing to {self.path}: it is complete. Choose another `filename` or output folder.")
        self._check_size(len(records))
        fresh = self._redelivered.fresh(counter, records.__getitem__)
        if fresh is not None:
            self.duplicates_dropped += int(np.count_nonzero(~fresh))
            counter, timestamp = counter[fresh], timestamp[fresh]
            records = [record for record, new in zip(records, fresh.tolist(), strict=True) if new]
        before = len(self._index)
        rows = np.empty(len(records), _INDEX)
        rows["counter"], rows["timestamp"] = counter, timestamp
        rows["end"] = np.fromiter(map(len, records), np.int64, len(records)).cumsum() + self._end
        with storing(f"appending {len(records)} events to {self.path}", safe=self._safe()):
            try:
                self._room.keep(self._end_bytes + (self._end + sum(map(len, records)) if self._is_sorted else 0))
                self._index.append(rows)
                write_all(self._fd, b"".join(records))
                if self._fsync == "batch":
                    self._index.sync()
                    os.fdatasync(self._fd)
            except OSError:
                self._index.truncate(before)
                os.ftruncate(self._fd, self._end)
                raise
        if len(rows):
            self._end = int(rows["end"][-1])
        return len(rows)

    def close(self) -> None:
        """Sort and complete the file. Raises DiskFullError with the unsorted file and its index left."""
        index, self._index = self._index, None
        try:
            if index is not None:
                index.close()
                with storing(f"completing {self.path}", safe=self._safe()):
                    complete(self.path, index)
        finally:
            self.abort()

    def abort(self) -> None:
        """Stop at once and leave file and index for `recover` or the next writer."""
        if self._index is not None:
            self._index.close()
            self._index = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take_up(self) -> None:
        """Continue what an earlier writer left, or begin; a finished file is left alone."""
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        lock(self._fd, self.path)
        if sorted_mark_of(self.path).exists():
            finish_sorted(self.path)
            return
        index = open_index(self.path)
        if index is None:
            if os.fstat(self._fd).st_size:
                return
            index = RowFile.create(index_of(self.path), _INDEX, self._settings)
        self._index = index
        if any(index.header.get(key) != self._settings[key] for key in self._compared):
            raise FilesError(
                f"{self.path} was left incomplete by a writer with other columns or options, or of another run. "
                "Run `mimodaq recover` on it, or choose another `filename`."
            )
        self.bytes_dropped = trim(self._fd, index)
        self._end = os.fstat(self._fd).st_size
        last = index.rows()[-self.batch_events :]
        if len(last):
            self._redelivered.suspect(last["counter"], _records(self._fd, index, len(index) - len(last)))

    def _safe(self) -> str:
        return f"{self.path} holds every released event."


def index_of(path: Path) -> Path:
    """Where the index of a file lies while the file is not complete."""
    return path.with_name(f"_{path.name}.index")


def redelivered_of(path: Path) -> Path:
    """Where the suspects of a file lie after a crash of its writer."""
    return path.with_name(f"_{path.name}.redelivered.npy")


def open_index(path: Path) -> RowFile | None:
    """The index of a locked file, None (and removed) if its writer died before it had a header."""
    if not index_of(path).exists():
        return None
    index = RowFile.open(index_of(path), writable=True)
    if index is None:
        index_of(path).unlink()
    return index


def trim(fd: int, index: RowFile) -> int:
    """Cut file and index back to the whole records both know; answers the bytes cut off the file."""
    header = bytes.fromhex(index.header["header"])
    size = os.fstat(fd).st_size
    if size < len(header):
        os.ftruncate(fd, 0)
        write_all(fd, header)
        size = len(header)
    ends = index.rows()["end"]
    whole = int(np.searchsorted(ends, size, side="right"))
    end = int(ends[whole - 1]) if whole else len(header)
    index.truncate(whole)
    os.ftruncate(fd, end)
    return size - end


def complete(path: Path, index: RowFile) -> None:
    """Sort a trimmed file and end it, then remove its index. Interrupted, it can be done again. Raises OSError.

    The offsets of the index hold for the unsorted file only. So the index is renamed once the sorted copy is
    complete and before that takes the place of the file: the new name says that only `finish_sorted` is left to do.
    """
    redelivered_of(path).unlink(missing_ok=True)
    settings, rows = index.header, index.rows()
    trailer = bytes.fromhex(settings["trailer"])
    order = sort_order(rows["counter"], rows["timestamp"]) if settings["sort_by_counter"] else None
    Room.beside(index.path).leave(0)
    if order is None:
        with path.open("ab", buffering=0) as file:
            write_all(file.fileno(), trailer)
            if settings["durable"]:
                os.fsync(file.fileno())
        index.path.unlink()
    else:
        copy = _sorted_copy_of(path)
        try:
            _write_sorted(path, copy, bytes.fromhex(settings["header"]), rows["end"], order, trailer)
            if settings["durable"]:
                sync_file(copy)
        except OSError:
            copy.unlink(missing_ok=True)
            raise
        index.path.replace(sorted_mark_of(path))
        finish_sorted(path)


def finish_sorted(path: Path) -> None:
    """Put the complete sorted copy, if it is still there, in the place of the file."""
    copy = _sorted_copy_of(path)
    if copy.exists():
        copy.replace(path)
    sorted_mark_of(path).unlink(missing_ok=True)


def sorted_mark_of(path: Path) -> Path:
    """The name of the index while a complete sorted copy waits to take the place of the file."""
    return path.with_name(f"_{path.name}.sorted")


def _sorted_copy_of(path: Path) -> Path:
    return path.with_name(f"_{path.name}.tmp")


def _write_sorted(
    path: Path, temporary: Path, header: bytes, ends: npt.NDArray[np.int64], order: npt.NDArray[np.intp], trailer: bytes
) -> None:
    starts = np.concatenate(([len(header)], ends[:-1]))
    with path.open("rb") as source, temporary.open("wb") as target:
        data = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
        target.write(header)
        for start, end in zip(starts[order].tolist(), ends[order].tolist(), strict=True):
            target.write(data[start:end])
        target.write(trailer)
        data.close()


def _records(fd: int, index: RowFile, first: int) -> list[bytes]:
    """The records of a trimmed file from number `first` on."""
    ends: list[Any] = index.rows()["end"][first:].tolist()
    start = int(index.rows()["end"][first - 1]) if first else len(index.header["header"]) // 2
    return [os.pread(fd, end - begin, begin) for begin, end in zip([start, *ends[:-1]], ends, strict=True)]
