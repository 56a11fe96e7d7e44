"""The wall clock of this host, as daemons read it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

CLOCK_STEP: Final = "MIMODAQ_CLOCK_STEP"
"""Variable with the path of a file: the nanoseconds in it are added to every reading. For tests of what happens when a
clock is set; the clock itself is that of all programs of this computer and is left alone."""


def wall_ns() -> int:
    """UTC in nanoseconds."""
    path = os.environ.get(CLOCK_STEP)
    return time.time_ns() + (_step_ns(Path(path)) if path else 0)


def _step_ns(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
