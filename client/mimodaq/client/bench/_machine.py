"""What was measured on, and what else was going on there."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import time
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


class Bystanders:
    """How much processor time other programs have used since this was made."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._others = _others_s()

    @property
    def cores(self) -> float:
        """Cores other programs have kept busy on average; above 0.1 the figures are disturbed."""
        return max(0.0, _others_s() - self._others) / max(time.monotonic() - self._since, 1e-9)


def _others_s() -> float:
    """CPU time of all processes but this one and its finished children, in s."""
    import psutil

    times = psutil.cpu_times()
    ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return float(times.user + times.system + times.nice - sum(u.ru_utime + u.ru_stime for u in ours))


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
