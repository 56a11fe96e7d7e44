"""Complete what killed writers left behind."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimodaq.functions.files._errors import FilesError, storing
from mimodaq.functions.files._parts import convert, list_journals, lock, lock_folder, part_of
from mimodaq.functions.files._recordfile import complete, finish_sorted, open_index, sorted_mark_of, trim
from mimodaq.functions.files._rowfile import RowFile

Outcome = Literal["recovered", "complete", "in use", "failed"]


@dataclass(frozen=True, slots=True)
class RecoveredFile:
    """What became of one file or part."""

    path: Path
    outcome: Outcome
    events: int = 0
    """Events that are in the file now."""
    bytes_dropped: int = 0
    """Bytes of a half-written event at the end, cut off. Its slot was never released."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What `recover` did; empty if there was nothing to do."""

    files: tuple[RecoveredFile, ...]

    @property
    def events(self) -> int:
        """Events recovered."""
        return sum(file.events for file in self.files)

    @property
    def bytes_dropped(self) -> int:
        """Bytes of half-written events, cut off."""
        return sum(file.bytes_dropped for file in self.files)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to recover."""
        return all(file.outcome in ("recovered", "complete") for file in self.files)


def recover(path: Path | str) -> RecoveryReport:
    """Complete what killed writers left in a run directory, a dataset or a file.

    Journals become parts of their dataset; torn ends of text files and tars are cut off, and the files sorted as
    their writers were told. Files of writers that live are left alone (`in use`). May be called again at any time,
    and may itself be killed. Raises FilesError if the path does not exist; a file that cannot be recovered is in
    the report, with its problem, and unchanged.
    """
    path = Path(path)
    if not path.exists():
        raise FilesError(f"recovering {path}: there is no such file or folder.")
    if path.is_dir():
        return RecoveryReport(tuple(_folder(path)))
    if path.suffix == ".rows":
        return RecoveryReport(tuple(_dataset(path.parent)))
    return RecoveryReport((_file(path),))


def _folder(folder: Path) -> Iterator[RecoveredFile]:
    if list_journals(folder) or (folder / "_redelivered.npy").exists():
        yield from _dataset(folder)
    unfinished = {path.name[1:].removesuffix(path.suffix) for path in folder.glob("_*.index")}
    unfinished |= {path.name[1:].removesuffix(path.suffix) for path in folder.glob("_*.sorted")}
    for name in sorted(unfinished):
        yield _file(folder / name)
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield from _folder(inner)


def _dataset(folder: Path) -> Iterator[RecoveredFile]:
    try:
        fd = lock_folder(folder)
    except FilesError as error:
        yield RecoveredFile(folder, "in use", problem=str(error))
        return
    try:
        for journal in list_journals(folder):
            yield _journal(journal)
        if not list_journals(folder):
            (folder / "_redelivered.npy").unlink(missing_ok=True)
    finally:
        os.close(fd)


def _journal(path: Path) -> RecoveredFile:
    if not path.exists():
        text = f"it lies on another disk, as {path.readlink()}, and that is not there: mount the disk, then try again"
        return RecoveredFile(path, "failed", problem=text)
    try:
        with storing(f"recovering {path}", safe="The journal is unchanged."):
            rows = RowFile.open(path, writable=False)
            torn = 0 if rows is None else rows.torn_bytes
            if rows is not None:
                rows.close()
            return RecoveredFile(part_of(path), "recovered", convert(path), torn)
    except FilesError as error:
        return RecoveredFile(path, "failed", problem=str(error))


def _file(path: Path) -> RecoveredFile:
    fd = -1
    try:
        with storing(f"recovering {path}", safe=f"{path} holds every released event."):
            fd = os.open(path, os.O_RDWR | os.O_APPEND)
            lock(fd, path)
            if sorted_mark_of(path).exists():
                finish_sorted(path)
                return RecoveredFile(path, "complete")
            index = open_index(path)
            if index is None:
                return _plain(path)
            dropped = trim(fd, index)
            index.close()
            complete(path, index)
            return RecoveredFile(path, "recovered", len(index), dropped)
    except FilesError as error:
        outcome: Outcome = "in use" if isinstance(error.__cause__, BlockingIOError) else "failed"
        return RecoveredFile(path, outcome, problem=str(error))
    finally:
        if fd >= 0:
            os.close(fd)


def _plain(path: Path) -> RecoveredFile:
    """Cut the torn end off a file that has no index: one of another program, or a complete one."""
    size = path.stat().st_size
    if path.name.endswith((".csv", ".txt", ".tsv", ".dat")):
        keep, events = _whole_lines(path)
    elif path.suffix == ".tar":
        keep, events = _whole_members(path)
    else:
        raise FilesError(f"recovering {path}: only text files, tars and journals can be incomplete, this is neither.")
    if keep == size:
        return RecoveredFile(path, "complete", events)
    os.truncate(path, keep)
    return RecoveredFile(path, "recovered", events, size - keep)


def _whole_lines(path: Path) -> tuple[int, int]:
    keep = lines = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                keep += len(line)
                lines += 1
    return keep, max(0, lines - 1)


def _whole_members(path: Path) -> tuple[int, int]:
    """Where the last whole member ends (the end blocks of a complete tar included), and how many there are."""
    size = path.stat().st_size
    keep = events = 0
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if end > size:
                    return keep, events
                keep, events = end, events + 1
    except tarfile.ReadError:
        return keep, events
    with path.open("rb") as file:
        file.seek(keep)
        rest = file.read()
    return (size if not rest.strip(b"\0") and len(rest) % tarfile.BLOCKSIZE == 0 else keep), events
