"""Files that are whole or not there after a crash, folders of one's own, and one owner for a folder."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"


class LockedError(Exception):
    """A folder has another owner already; the message says who and what to do."""


def private_folder(path: Path) -> Path:
    """Make a folder that only this user can look into, with everything above it; one that exists is left as it is."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
    return path


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that, whatever happens, there is the old content or the new one, and nobody sees a part."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_number(path: Path) -> int:
    """The number in a file written with `write_file`; 0 if there is none, or no number in it."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() else 0


class FolderLock:
    """A folder belongs to one process at a time. The kernel lets go of it when that dies, however it dies."""

    def __init__(self, folder: Path, what: str, remedy: str) -> None:
        """Take the folder for `what` ("a broker"). Raises LockedError with the other's process number and `remedy`."""
        path = folder / _LOCK
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise LockedError(f"{folder} belongs to {what} that is running (process {owner}). {remedy}") from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another one have it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
