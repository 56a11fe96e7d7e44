"""Where runs of this host that have a broker of their own are found: a folder each, with its sockets and its memory.

A folder belongs to a run as long as the process of that run has its lock. Folders of dead processes are removed by
whoever begins the next run.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mimodaq.client._session_values import SessionError
from mimodaq.keys import DEFAULT_PORT
from mimodaq.system import FolderLock, private_folder

HERE: Final = "127.0.0.1"
"""The address of a broker if none is given."""
_BASE_MAX: Final = 60
"""What is longer is not used: the name of a socket in it has at most 107 bytes."""
_NAME_MAX: Final = 20
_LOCK: Final = "lock"
_CONNECT_S: Final = 0.5


class PlaceError(Exception):
    """The folder cannot be made; the message says why and what to do."""


class Place:
    """The folder of one run, made new; `remove` it at the end."""

    def __init__(self, name: str) -> None:
        """Make and take it. Raises PlaceError."""
        base = base_folder()
        short = re.sub(r"[^A-Za-z0-9_-]", "", name)[:_NAME_MAX] or "run"
        try:
            with _one_at_a_time(base):
                _remove_dead(base)
                self.path = base / f"{short}-{os.getpid()}"
                self.path.mkdir(mode=0o700)
                self._lock = FolderLock(self.path, "a run", "")
        except OSError as error:
            raise PlaceError(
                f"making a folder for the sockets of the run in {base}: {error.strerror}. See to it, or use --headless"
            ) from error

    @property
    def address(self) -> str:
        """Where its broker is, as typed after --broker."""
        return address_of(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it, and what is around it if it was the last."""
        if self.path.is_dir():  # a logout may have cleared it away
            with _one_at_a_time(self.path.parent):
                shutil.rmtree(self.path, ignore_errors=True)
                _remove_if_empty(self.path.parent)
        self._lock.release()


def address_of(folder: Path) -> str:
    """The address of the broker in a folder."""
    return f"ipc://{folder}"


def base_folder() -> Path:
    """Where the folders of all runs of this user are: in memory, as their buffers are, and gone with them."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    home = Path(given) / "mimodaq" / "runs"
    if os.path.isabs(given) and len(os.fsencode(home)) <= _BASE_MAX:
        return home
    return Path("/dev/shm") / f"mimodaq-runs-{os.getuid()}"


def running() -> list[str]:
    """Addresses of the brokers of all runs that go on."""
    base = base_folder()
    if not (base.is_dir() and _is_private(base)):
        return []
    with _one_at_a_time(base):
        folders = [path for path in sorted(base.iterdir()) if (path / "control").exists()]
        return [address_of(path) for path in folders if not _is_dead(path)]


def remove_if_dead(address: str) -> None:
    """Clear away what a run has left whose process was killed."""
    path = Path(address.removeprefix("ipc://"))
    if path.is_dir():
        with _one_at_a_time(path.parent):
            if _is_dead(path):
                shutil.rmtree(path, ignore_errors=True)
            _remove_if_empty(path.parent)


def meant_by(address: str) -> str:
    """The broker that is meant by an address as typed.

    Where no broker is at the usual place of this host, it is that of the one run of this user that goes on here.
    Raises SessionError if there are several.
    """
    if address != HERE:
        return address
    found = running()
    if not found or _is_somebody_at(HERE, DEFAULT_PORT):
        return address
    if len(found) > 1:
        raise SessionError(
            f"several runs go on on this host; name one: {', '.join(f'--broker {one}' for one in found)}"
        )
    return found[0]


def _is_somebody_at(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except OSError:
        return False
    return True


def _make_private(base: Path) -> None:
    private_folder(base)
    if not _is_private(base):
        raise PlaceError(
            f"{base} can be entered by others, so they could command the run: chmod 700 {base}, or set XDG_RUNTIME_DIR "
            "to a folder of your own"
        )


def _is_private(base: Path) -> bool:
    found = base.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o077


@contextmanager
def _one_at_a_time(base: Path) -> Iterator[None]:
    """Keep others from making, removing and trying folders here; makes it if need be. Raises OSError, PlaceError."""
    while True:
        _make_private(base)
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_there(fd, base):  # else it was removed while this waited
                yield
                return
        finally:
            os.close(fd)


def _is_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _remove_if_empty(base: Path) -> None:
    if not any(base.iterdir()):
        base.rmdir()


def _remove_dead(base: Path) -> None:
    for path in base.iterdir():
        if path.is_dir() and _is_dead(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_dead(path: Path) -> bool:
    """Whether no living process has the folder."""
    try:
        fd = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
