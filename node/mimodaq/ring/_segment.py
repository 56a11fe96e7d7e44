"""A segment: one file in /dev/shm that any process of the same user may attach to by name.

`multiprocessing.shared_memory` is not used: its resource tracker unlinks segments of living owners. A
segment appears under its name only when it is complete (made without a name, then linked), so nobody ever
sees a half-made one, and one whose maker was killed vanishes by itself.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import mmap
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from mimodaq.ring import _layout as lay
from mimodaq.ring._errors import NoSpace, SegmentError, SegmentInUse
from mimodaq.ring._process import Identity, boot_id, is_alive, namespace

SHM: Final = Path("/dev/shm")
_PREFIX: Final = "mimodaq"
_HEAD: Final = struct.Struct("<8sIIQ")
_O_TMPFILE: Final = getattr(os, "O_TMPFILE", 0)


def segment_name(buffer: str, *, partition: str, node: str = "local") -> str:
    """The name of a buffer's segment: user, partition, node and buffer (any text; quoted where needed)."""
    parts = (str(os.getuid()), partition, node, buffer)
    return ".".join((_PREFIX, *(quote(part, safe="").replace(".", "%2E") for part in parts)))


def create(name: str, size: int, header: Mapping[str, Any]) -> tuple[mmap.mmap, int]:
    """Make a nameless segment of `size` bytes, all pages reserved; returns the mapping and its descriptor.

    `publish` gives it the name. Raises NoSpace when /dev/shm cannot hold it, SegmentError otherwise.
    """
    body = json.dumps(header).encode()
    if _HEAD.size + len(body) > lay.HEADER_BYTES:
        raise SegmentError(f"ring {name}: the description of the buffer is too long ({len(body)} bytes)")
    fd = os.open(SHM, os.O_RDWR | _O_TMPFILE, 0o600)
    try:
        _reserve(fd, name, size)
        mapping = mmap.mmap(fd, size)
    except BaseException:
        os.close(fd)
        raise
    mapping[: _HEAD.size + len(body)] = _HEAD.pack(lay.MAGIC, lay.VERSION, len(body), size) + body
    return mapping, fd


def _reserve(fd: int, name: str, size: int) -> None:
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise SegmentError(f"ring {name}: reserving {size} bytes in {SHM}: {error.strerror}") from error
        free = os.statvfs(SHM)
        raise NoSpace(
            f"ring {name} needs {_human(size)} in {SHM}, where {_human(free.f_bavail * free.f_frsize)} are free: "
            f"lower number_of_slots, or enlarge it: sudo mount -o remount,size=SIZE {SHM}"
        ) from error


def _human(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def publish(name: str, fd: int) -> None:
    """Let the finished segment appear under `name`; a leftover of dead processes is replaced.

    Raises SegmentInUse when living processes use one of that name, SegmentError when the file is not ours.
    """
    path = SHM / name
    for _ in range(2):
        try:
            # a directory descriptor makes Python call linkat(AT_SYMLINK_FOLLOW), see open(2) on O_TMPFILE
            os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
        except FileExistsError:
            _remove_left_over(path)
        else:
            return
    raise SegmentInUse(f"ring {name}: another process makes a ring of this name at this moment")


def remove_left_overs() -> list[Path]:
    """Remove the segments of this user that no living process made or uses; returns them."""
    removed = []
    for path in left_overs():
        with suppress(SegmentError):  # in use again, or replaced by somebody else, since it was looked at
            _remove_left_over(path)
            removed.append(path)
    return removed


def _remove_left_over(path: Path) -> None:
    """Remove a segment that no living process made or uses.

    Raises SegmentInUse when there is one, SegmentError when the file is no segment of ours.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SegmentError(f"opening {path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # two processes may clean up here, and one of them make a new segment
        users = _living_users(path, fd)
        if users:
            raise SegmentInUse(
                f"ring {path.name} exists and is used by process {', '.join(str(u.pid) for u in users)}: "
                "is this experiment running already?"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.lstat()):
                path.unlink()
    finally:
        os.close(fd)


def open_segment(name: str) -> tuple[mmap.mmap, dict[str, Any]]:
    """Map an existing segment; returns the mapping and its header.

    Raises SegmentError when there is none, or when it is foreign, damaged or of another version.
    """
    path = SHM / name
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SegmentError(f"there is no ring {name} (yet, or no longer): is its run active?") from None
    except OSError as error:
        raise SegmentError(f"opening ring {name}: {error.strerror}") from error
    try:
        header = _read_header(path, fd)
        if header["creator"][2] != namespace():
            raise SegmentError(
                f"ring {name} was made in another pid namespace (container), so the owner of its lock cannot be told: "
                "run all programs of an experiment in the same one"
            )
        return mmap.mmap(fd, os.fstat(fd).st_size), header
    finally:
        os.close(fd)


def _read_header(path: Path, fd: int) -> dict[str, Any]:
    raw = os.pread(fd, lay.HEADER_BYTES, 0)
    if len(raw) < _HEAD.size:
        raise SegmentError(f"{path} is not a ring of mimodaq")
    magic, version, length, size = _HEAD.unpack_from(raw)
    if magic != lay.MAGIC:
        raise SegmentError(f"{path} is not a ring of mimodaq")
    if version != lay.VERSION:
        raise SegmentError(
            f"{path} has layout version {version}, this mimodaq knows {lay.VERSION}: end the programs of the other one"
        )
    if size != os.fstat(fd).st_size or _HEAD.size + length > len(raw):
        raise SegmentError(f"{path} is damaged: {os.fstat(fd).st_size} bytes where its header says {size}")
    try:
        header: dict[str, Any] = json.loads(raw[_HEAD.size : _HEAD.size + length])
        Identity(*header["creator"])
        header["boot"], header["buffer"], header["description"]
        layout = lay.Layout.of(header["slots"], lay.dtype_from_json(header["dtype"]).itemsize)
    except (ValueError, TypeError, LookupError) as error:
        raise SegmentError(f"{path} is damaged: its header cannot be read ({error})") from error
    if layout.total != size:
        raise SegmentError(f"{path} is damaged: {size} bytes for {header['slots']} slots, which need {layout.total}")
    return header


def living_users(path: Path) -> list[Identity]:
    """The living processes that made or use the segment at `path`; its header says who, never its name.

    Raises SegmentError when the file is no segment of ours.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return _living_users(path, fd)
    finally:
        os.close(fd)


def _living_users(path: Path, fd: int) -> list[Identity]:
    header = _read_header(path, fd)
    if header["boot"] != boot_id():
        return []
    layout = lay.Layout.of(header["slots"], lay.dtype_from_json(header["dtype"]).itemsize)
    table = memoryview(os.pread(fd, lay.MAX_CLIENTS * lay.CLIENT_WORDS * 8, layout.clients)).cast("q")
    users = {Identity(*header["creator"])}
    for row in range(0, len(table), lay.CLIENT_WORDS):
        if table[row + lay.ROLE]:
            users.add(Identity(table[row + lay.PID], table[row + lay.START], table[row + lay.NAMESPACE]))
    return sorted(user for user in users if is_alive(user))


def left_overs() -> list[Path]:
    """Segments of this user that no living process made or uses: what a killed run has left behind."""
    found = []
    for path in sorted(SHM.glob(f"{_PREFIX}.{os.getuid()}.*")):
        try:
            if not living_users(path):
                found.append(path)
        except (SegmentError, OSError):
            continue  # not ours to judge: wrong magic, another version, or gone meanwhile
    return found


def segments_of(partition: str) -> list[str]:
    """Names of the segments of this user that belong to a partition."""
    prefix = segment_name("", partition=partition, node="").removesuffix(".")
    return sorted(path.name for path in SHM.glob(f"{glob.escape(prefix)}*"))
