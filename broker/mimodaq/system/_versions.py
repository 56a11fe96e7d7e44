"""What this program is, in one line, for others to compare with what they are."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache


@cache
def own_versions() -> str:
    """As in `mimodaq 0.1.0, Python 3.11.2`."""
    return f"mimodaq {importlib.metadata.version('mimodaq')}, Python {platform.python_version()}"
