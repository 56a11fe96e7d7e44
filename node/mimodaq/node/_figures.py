"""How the computer of a node is."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from mimodaq.protocol.parts import HostLine


def host_line(data: Path) -> HostLine:
    """Load, memory, temperature, and room where runs are written; what cannot be told is None."""
    try:
        free: int | None = shutil.disk_usage(data).free
    except OSError:
        free = None
    return HostLine(
        cpu=psutil.cpu_percent(None) / 100,
        memory=psutil.virtual_memory().percent / 100,
        temperature_c=_temperature(),
        disk_free_bytes=free,
    )


def _temperature() -> float | None:
    read = getattr(psutil, "sensors_temperatures", None)
    found = read() if read is not None else {}
    values = [entry.current for entries in found.values() for entry in entries if entry.current is not None]
    return max(values, default=None)
