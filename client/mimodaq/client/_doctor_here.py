"""What `mimodaq doctor` looks at on this computer: shared memory, disk, clock; and what that means for a setup."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mimodaq.client._texts import rate, size
from mimodaq.config import DiskSpec
from mimodaq.picoscope import Finding
from mimodaq.system import own_versions

SHM: Final = Path("/dev/shm")
_USUAL_SHM_BYTES: Final = 256_000_000
_WRITTEN_BYTES: Final = 64_000_000
"""Most that is written to measure a disk, ..."""
_WRITING_S: Final = 1.0
"""... and for how long at most."""
_CHUNK: Final = os.urandom(1_000_000)
WRITTEN_TIMES: Final = 2
"""Every event is written to a journal, and once more into the complete file."""
_LITTLE_S: Final = 3600.0
_STA_UNSYNC: Final = 0x40
_TIMEX_STATUS: Final = 5
"""`status` in `struct timex` (adjtimex(2)), counted in words of its first members."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a setup needs of one host."""

    shm_bytes: int
    """For all rings."""
    event_bytes: int
    """Of one event in each buffer that is written to files here: the most that one trigger can make."""
    disk: DiskSpec
    rate_hz: float | None = None
    """Of triggers, if it is known."""
    linked_bytes: int = 0
    """Of one event in each buffer that comes from another host."""

    @property
    def bytes_per_s(self) -> float | None:
        """Into files, at most."""
        return None if self.rate_hz is None else self.rate_hz * self.event_bytes

    @property
    def linked_bytes_per_s(self) -> float | None:
        """From other hosts, at most; None if that is not known, or nothing comes."""
        return self.rate_hz * self.linked_bytes if self.rate_hz is not None and self.linked_bytes else None


def look_here(directory: Path, need: Need | None) -> Iterator[Finding]:
    """Everything about this computer; `directory` is where runs are written."""
    yield Finding("versions", True, own_versions())
    yield shared_memory(shutil.disk_usage(SHM).free, need)
    yield from look_at_disk(directory, need)
    yield clock(is_clock_synchronised())


def shared_memory(free: int, need: Need | None) -> Finding:
    """Whether the rings fit into what is free."""
    what, remedy = "shared memory", f"enlarge it (mount -o remount,size=50% {SHM}), or lower number_of_slots"
    if need is not None and need.shm_bytes > free:
        text = f"the buffers need {size(need.shm_bytes)}, {size(free)} are free in {SHM}"
        return Finding(what, False, text, remedy)
    if need is not None:
        return Finding(what, True, f"{size(free)} free in {SHM}, the buffers need {size(need.shm_bytes)}")
    if free < _USUAL_SHM_BYTES:
        return Finding(what, None, f"only {size(free)} are free in {SHM}", remedy)
    return Finding(what, True, f"{size(free)} free in {SHM}")


def look_at_disk(directory: Path, need: Need | None) -> Iterator[Finding]:
    """Space and speed of the disk on which a directory is or will be."""
    place = directory
    while not place.exists():
        place = place.parent
    try:
        if not place.is_dir():
            raise NotADirectoryError(20, "it is no directory", str(place))
        speed = write_speed(place)
        free = shutil.disk_usage(place).free
    except OSError as error:
        remedy = "choose another place: --output DIR or output_directory; on a node, mimodaq node --data DIR"
        yield Finding("disk", False, f"writing to {directory}: {error.strerror}", remedy)
        return
    yield disk_space(free, need, str(directory))
    yield disk_speed(speed, need)


def write_speed(place: Path) -> float:
    """Bytes a second that get onto the disk, measured with one file that is gone afterwards. Raises OSError."""
    with tempfile.TemporaryFile(dir=place) as file:
        began, written = time.monotonic(), 0
        while written < _WRITTEN_BYTES and time.monotonic() < began + _WRITING_S:
            written += file.write(_CHUNK)
            file.flush()
            os.fdatasync(file.fileno())
        return written / (time.monotonic() - began)


def disk_space(free: int, need: Need | None, where: str) -> Finding:
    """Whether there is room for a run."""
    spec = need.disk if need is not None else DiskSpec()
    remedy = "remove or move old runs, or write elsewhere (output_directory, disk.spill)"
    text = f"{size(free)} free for {where}"
    if free < spec.reserve_bytes:
        return Finding("disk", False, f"{text}, less than the reserve of {size(spec.reserve_bytes)}", remedy)
    per_s = need.bytes_per_s if need is not None else None
    if not per_s:
        return Finding("disk", True, text)
    left_s = (free - spec.reserve_bytes) / per_s
    text += f", enough for {left_s / 3600:.1f} h at {size(per_s)}/s"
    if left_s < max(_LITTLE_S, spec.warn_s):
        return Finding("disk", None, text, remedy)
    return Finding("disk", True, text)


def disk_speed(speed: float, need: Need | None) -> Finding:
    """Whether the disk is as fast as the events come."""
    text = f"{size(speed)}/s written"
    if need is None or not need.event_bytes:
        return Finding("disk speed", True, text)
    text += f", enough for {rate(speed / need.event_bytes / WRITTEN_TIMES)} of {size(need.event_bytes)} each"
    if need.bytes_per_s is not None and speed < need.bytes_per_s * WRITTEN_TIMES:
        text += f"; {rate(need.rate_hz or 0.0)} are wanted"
        remedy = "filter before the files, write to a faster disk, or lower the rate: the readout would have to wait"
        return Finding("disk speed", False, text, remedy)
    return Finding("disk speed", True, text)


def is_clock_synchronised() -> bool | None:
    """Whether the kernel counts its clock as synchronised; None if it does not say."""
    timex = (ctypes.c_long * 64)()
    if not sys.platform.startswith("linux") or ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return None
    return not timex[_TIMEX_STATUS] & 0xFFFFFFFF & _STA_UNSYNC


def clock(is_synchronised: bool | None) -> Finding:
    """What the kernel says of its clock."""
    if is_synchronised:
        return Finding("clock", True, "synchronised")
    found = "not synchronised" if is_synchronised is False else "synchronised? The kernel does not say"
    remedy = "start time synchronisation (chrony, systemd-timesyncd): events carry the time of their host"
    return Finding("clock", None, found, remedy)
