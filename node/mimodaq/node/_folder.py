"""The folder in memory through which the processes of a run and their node know of each other.

What a process reports and prints goes into files here, so nothing is lost and nobody is hit by a broken pipe when
the node daemon dies; the next one reads on. That a process lives is told by locks (flock(2)), which the kernel lets go
of with their owner: `life` is held by the node, `<process>.lock` by the process, which inherits it and so has it from
its first moment on. It lies in /dev/shm because a full disk must not keep a process from saying so, and because it
means nothing after the host was started again.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

_SHM: Final = Path("/dev/shm")
_CHUNK: Final = 65536
_AT_ONCE: Final = 1 << 20
"""Whoever writes faster than we read must not keep us from everything else."""
_PLACE: Final = struct.Struct("<q")
_PUNCH_BYTES: Final = 1 << 20
"""What has been read is given back to the system in pieces of this size."""
_KEEP_SIZE_PUNCH_HOLE: Final = 0x01 | 0x02
_IN_MODIFY: Final = 0x02
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class FolderInUse(Exception):
    """Another node daemon works with this folder."""


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Folder:
    """The folder of one run on one node, owned by this process as long as it lives."""

    def __init__(self, path: Path) -> None:
        """Take it, made new or left by a node daemon that died. Raises FolderInUse, OSError."""
        path.mkdir(mode=0o700, exist_ok=True)
        self.path = path
        self._life = os.open(self.life, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(self._life):
            os.close(self._life)
            raise FolderInUse(f"{path} belongs to a node daemon that is running: is this node started twice?")

    @classmethod
    def of(cls, partition: str) -> Folder:
        """The folder of a partition of this user."""
        return cls(folder_path(partition))

    @property
    def life(self) -> Path:
        """Locked as long as the node lives."""
        return self.path / "life"

    def lock_path(self, label: str) -> Path:
        """Locked as long as the process lives."""
        return self._file(label, "lock")

    def reports_path(self, label: str) -> Path:
        """What it reports, one JSON object a line."""
        return self._file(label, "reports")

    def output_path(self, label: str) -> Path:
        """What it prints."""
        return self._file(label, "output")

    def _file(self, label: str, kind: str) -> Path:
        return _file(self.path, label, kind)

    def holder(self, label: str) -> int | None:
        """Process id of the living process of that label; None if there is none."""
        path = self.lock_path(label)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return None if _try_lock(fd) else process_of(self.path, label)
        finally:
            os.close(fd)

    def note_directory(self, run_dir: Path) -> None:
        """Tell those who look on where the run writes its files."""
        link = self.path / RUN_DIRECTORY
        with suppress(OSError):  # no memory is left: the run matters more than what is told of it
            link.unlink(missing_ok=True)
            link.symlink_to(run_dir.absolute())

    def release(self) -> None:
        """Let go of the folder and leave it as it is."""
        os.close(self._life)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()


def _file(folder: Path, label: str, kind: str) -> Path:
    return folder / f"{quote(label, safe='[]')}.{kind}"


def process_of(folder: Path, label: str) -> int | None:
    """Process id of the living process of that label in the folder of a run; None if there is none."""
    return next(_processes_with(_file(folder, label, "lock")), None)


def processes_of(folder: Path) -> dict[str, int]:
    """All living processes in the folder of a run, by label."""
    found = {}
    for path in sorted(folder.glob("*.lock")):
        label = unquote(path.name.removesuffix(".lock"))
        pid = process_of(folder, label)
        if pid is not None:
            found[label] = pid
    return found


def folder_path(partition: str) -> Path:
    """Where the folder of a partition of this user is."""
    return _SHM / f"mimodaq-{os.getuid()}-{quote(partition, safe='')}"


def remove_dead_folders() -> list[Path]:
    """Remove the folders of this user that no living node and no living process has; returns them."""
    removed = []
    for path in sorted(_SHM.glob(f"mimodaq-{os.getuid()}-*")):
        if not (path / KEPT).exists() and _is_dead(path):
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


KEPT: Final = "kept"
"""A folder with a file of this name waits for its node daemon to be started again."""


RUN_DIRECTORY: Final = "run_directory"
"""A link to the directory of the run."""


def living_folders() -> list[Path]:
    """The folders of this user's runs on this computer that a node or a process has, the newest first."""
    found = [path for path in _SHM.glob(f"mimodaq-{os.getuid()}-*") if not _is_dead(path)]
    return sorted(found, key=lambda path: path.stat().st_ctime, reverse=True)


def partition_of(path: Path) -> str:
    """The inverse of `folder_path`."""
    return unquote(path.name.split("-", 2)[2])


_ONLOOKER: Final = "window[0].lock"
"""Of the window, which has nothing to show when all others are dead, and leaves with the folder."""


def _is_dead(path: Path) -> bool:
    locks = (file for file in path.glob("*.lock") if file.name != _ONLOOKER)
    for file in (path / "life", *locks):
        try:
            fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if not _try_lock(fd):
                return False
        finally:
            os.close(fd)
    return True


def _processes_with(path: Path) -> Iterator[int]:
    """Processes that have a file open, leaders of their process group first."""
    try:
        wanted = os.stat(path)
    except FileNotFoundError:
        return
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid() and _has_open(int(entry), wanted):
            found.append(int(entry))
    with suppress(ProcessLookupError):
        found.sort(key=lambda pid: os.getpgid(pid) != pid)
    yield from found


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        for fd in os.listdir(folder):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(f"{folder}/{fd}"), wanted):
                    return True
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False  # gone meanwhile, or another user's
    return False


class Watch:
    """Tells when a file of a folder has grown: `fd` is readable then (inotify(7))."""

    def __init__(self, folder: Path) -> None:
        self.fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0 or _libc.inotify_add_watch(self.fd, os.fsencode(folder), _IN_MODIFY) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"watching {folder}: {os.strerror(number)}")

    def names(self) -> set[str]:
        """Names of the files that have grown since the last call."""
        names: set[str] = set()
        with suppress(BlockingIOError):
            while data := os.read(self.fd, _CHUNK):
                at = 0
                while at < len(data):
                    _, _, _, length = struct.unpack_from("iIII", data, at)
                    names.add(os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0")))
                    at += 16 + length
        return names

    def close(self) -> None:
        """Stop watching."""
        os.close(self.fd)


@dataclass(slots=True)
class Lines:
    """Splits what is in a growing file into lines."""

    longest: int | None = None
    rest: bytes = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete with `data`; the rest, too, if that is the end (b"")."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.rest and (not data or (self.longest is not None and len(self.rest) >= self.longest)):
            lines.append(self.rest)
            self.rest = b""
        for line in lines:
            yield line.decode(errors="replace")


@dataclass(slots=True)
class Tail:
    """Reads a file that others append to, and gives the memory of what was read back.

    How far it has come is kept beside the file, so that the next node daemon goes on there.
    """

    path: Path
    lines: Lines = field(default_factory=Lines)
    most_behind: float = math.inf
    """If more bytes than this wait, the older ones down to half of it are left out and counted in `left_out`."""
    left_out: int = 0
    """Bytes; whoever tells of them sets it back."""
    _fd: int = -1
    _place: int = -1
    _at: int = 0
    _punched: int = 0

    def __post_init__(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._place = os.open(f"{self.path}.at", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        kept = os.pread(self._place, _PLACE.size, 0)
        if len(kept) == _PLACE.size:
            (self._at,) = _PLACE.unpack(kept)
            self._punched = self._at

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be read."""
        return self._fd >= 0 and os.fstat(self._fd).st_size > self._at

    def read(self, most: float = _AT_ONCE) -> Iterator[str]:
        """Complete lines that have come since the last call, or of so many bytes if these are more."""
        behind = os.fstat(self._fd).st_size - self._at
        if behind > self.most_behind:
            skipped = behind - int(self.most_behind) // 2
            self._at += skipped
            self.left_out += skipped + len(self.lines.rest)
            self.lines.rest = b""
        before = self._at
        while self._at - before < most and (data := os.pread(self._fd, _CHUNK, self._at)):
            self._at += len(data)
            yield from self.lines.feed(data)
        if self._at != before:
            os.pwrite(self._place, _PLACE.pack(self._at - len(self.lines.rest)), 0)
        if self._at - self._punched >= _PUNCH_BYTES:
            _libc.fallocate(self._fd, _KEEP_SIZE_PUNCH_HOLE, self._punched, self._at - self._punched)
            self._punched = self._at

    def end(self) -> Iterator[str]:
        """All that is left, after the writer has gone; the file is closed."""
        yield from self.read(math.inf)
        yield from self.lines.feed(b"")
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            os.close(self._place)
            self._fd = -1
