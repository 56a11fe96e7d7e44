"""The record of a run: `run.json`, written at the beginning and, complete, at the end."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mimodaq.node._rundir import RECORD
from mimodaq.ring import RingStatus

_PACKAGES = ("mimodaq", "numpy", "pyarrow", "scipy", "pyzmq")


def versions() -> dict[str, str]:
    """Versions of everything that has a part in the data."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def where() -> dict[str, Any]:
    """Host, user and process that ran the run."""
    return {
        "host": socket.gethostname(),
        "user": os.environ.get("USER", str(os.getuid())),
        "pid": os.getpid(),
        "command": sys.argv,
        "cpus": os.cpu_count(),
    }


def utc(time_s: float | None) -> str | None:
    """A time as text with microseconds, UTC."""
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds")


def ledger(statuses: Sequence[RingStatus]) -> dict[str, Any]:
    """Where every event of every buffer went, for each reader group.

    `balanced`: committed = released + quarantined + left everywhere; `left` and `quarantined` are the sums.
    """
    buffers: dict[str, Any] = {}
    balanced, all_left, all_quarantined = True, 0, 0
    for status in statuses:
        groups = {}
        for group in status.groups:
            left = group.pending + group.reading + group.aside
            is_even = group.committed == group.released + group.quarantined + left
            balanced = balanced and is_even
            all_left += left
            all_quarantined += group.quarantined
            groups[group.name] = {
                "committed": group.committed,
                "released": group.released,
                "quarantined": group.quarantined,
                "left": left,
                "redelivered": group.redelivered,
                "balanced": is_even,
            }
        buffers[status.name] = groups
    return {"balanced": balanced, "left": all_left, "quarantined": all_quarantined, "buffers": buffers}


def buffer_record(status: RingStatus, running_s: float) -> dict[str, Any]:
    """Counts and dead time of one buffer over the whole run."""
    return {
        "events": status.committed,
        "slots": status.slots,
        "event_bytes": status.event_bytes,
        "rate_hz": status.committed / running_s if running_s > 0 else 0.0,
        "waited_s": status.waited_s,
        "waited_for_s": {group.name: group.blamed_s for group in status.groups},
        "paused_s": status.paused_s,
        "abandoned_slots": status.abandoned,
        "lock_repairs": status.repairs,
    }


def write_record(run_dir: Path, record: Mapping[str, Any]) -> Path:
    """Write `run.json` so that a reader sees the old or the new one, never half of it."""
    path = run_dir / RECORD
    temporary = path.with_suffix(".json.part")
    temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path
