"""How the computer of a node is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import psutil

from mimodaq.protocol.parts import HostLine
from mimodaq.system import own_versions

_SHM: Final = Path("/dev/shm")


def host_line(data: Path) -> HostLine:
    """Load, memory, temperature, room where runs are written and rings are made; what cannot be told is None."""
    return HostLine(
        cpu=psutil.cpu_percent(None) / 100,
        memory=psutil.virtual_memory().percent / 100,
        temperature_c=_temperature(),
        disk_free_bytes=_free(data),
        shm_free_bytes=_free(_SHM),
        versions=own_versions(),
    )


def _free(place: Path) -> int | None:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _temperature() -> float | None:
    """The hottest of all sensors of the computer, in °C."""
    read = getattr(psutil, "sensors_temperatures", None)
    found = read() if read is not None else {}
    values = [entry.current for entries in found.values() for entry in entries if entry.current is not None]
    return max(values, default=None)
