"""What was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any, Final

_PACKAGES: Final = ("mimodaq", "numpy", "pyarrow", "pyzmq", "scipy")


def machine() -> dict[str, Any]:
    """Processor, memory, system, versions, and how busy the machine is (load averages) at this moment."""
    import psutil

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "load": list(os.getloadavg()),
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
