"""Room on the disk that a file being written keeps for its own completion.

Turning a journal into Parquet, or sorting a text file, needs once more the space of what is there. So a file `*.room`
grows beside it, which holds nothing but space (fallocate): whatever fills the disk, the file can be completed.
The space is given back piece by piece while the complete file grows.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", _libc.fallocate)  # not posix_fallocate, which may write every block
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_AHEAD: Final = 16_000_000
"""The file grows in steps of at most this size."""
_SLACK: Final = 65_536
"""What a complete file needs at least, however few events are in it."""
FIRST_BYTES: Final = 16_384
"""Enough for a link in a folder of a full disk, or for the first bytes of a file."""
ROOMY_BYTES: Final = 1_000_000
"""A disk with less than this is never gone on with."""
_CANNOT: Final = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""A file system that cannot set space aside: then only the free space is looked at."""


class Room:
    """The space set aside for one file. Not safe for several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size if path.exists() else 0

    @classmethod
    def beside(cls, journal: Path) -> Room:
        """That of a journal or index, on the disk where it lies."""
        return cls(journal.resolve().with_suffix(".room"))

    def keep(self, need: int) -> None:
        """Have at least `need` bytes set aside. Raises OSError if there is no space for it; then it is as before."""
        if need <= self.size:
            return
        try:
            self._grow(need + min(need // 4, _AHEAD))
        except OSError:
            self._grow(need)

    def leave(self, size: int) -> None:
        """Give back all but `size` bytes."""
        if size <= 0:
            self.path.unlink(missing_ok=True)
            self.size = 0
        elif size < self.size:
            os.truncate(self.path, size)
            self.size = size

    def _grow(self, size: int) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            number = errno.EINTR
            while number == errno.EINTR:
                number = ctypes.get_errno() if _fallocate(fd, 0, self.size, size - self.size) else 0
            if number:
                os.ftruncate(fd, self.size)
        finally:
            os.close(fd)
        if not number:
            self.size = size
        elif number not in _CANNOT:
            raise OSError(number, os.strerror(number), str(self.path))


def room_for_part(header_bytes: int, data_bytes: int) -> int:
    """What turning a journal into a part may need at most: rows that cannot be compressed, and the metadata twice."""
    return data_bytes + data_bytes // 64 + 3 * header_bytes + _SLACK


def free_bytes(folder: Path) -> int:
    """Free space, for this user, on the disk where a folder is or will be. Raises OSError."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of a run at one moment, in bytes."""

    journals: Mapping[str, int]
    """Journals of datasets, by the path of the part they will become."""
    parts: Mapping[str, int]
    """Complete parts."""
    rooms: int
    """Set aside for completing files."""
    temporary: int
    """Halves of complete files."""
    others: int
    """Everything else, such as text files."""
    sorted_later: int
    """Of the text files and tars that will be written once more, in their order, at the end."""

    @property
    def to_close(self) -> int:
        """What completing all files needs at most."""
        return sum(self.journals.values()) + self.sorted_later - self.temporary


def look_at_files(run_dir: Path, but: Collection[str] = ()) -> RunFiles:
    """Look at the files of a run `but` some; those on other disks are found by their links. Raises OSError."""
    journals: dict[str, int] = {}
    parts: dict[str, int] = {}
    sums = {"rooms": 0, "temporary": 0, "others": 0, "sorted_later": 0}
    for path, size in _sizes(run_dir):
        if path.name.startswith("_") and path.suffix == ".rows":
            journals[str(path.with_name(path.stem.removeprefix("_") + ".parquet"))] = size
            sums["rooms"] += _size(path.resolve().with_suffix(".room"))
        elif path.suffix == ".parquet":
            parts[str(path)] = size
        elif path.name.startswith("_") and path.suffix == ".index":
            sums["sorted_later"] += _size(path.with_name(path.stem.removeprefix("_")))
            sums["rooms"] += _size(path.with_suffix(".room"))
        elif path.name.startswith("_") and path.suffix == ".tmp":
            sums["temporary"] += size
        elif path.suffix != ".room" and path.name not in but:
            sums["others"] += size
    return RunFiles(journals, parts, **sums)


def _sizes(folder: Path) -> list[tuple[Path, int]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _sizes(Path(entry.path))
            else:
                found.append((Path(entry.path), _size(Path(entry.path))))
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # completed or removed meanwhile, or on a disk that is not there
