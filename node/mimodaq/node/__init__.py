"""The node: carries out runs on this host.

Names are imported when they are asked for: a worker process needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mimodaq.node._check import check_functions
    from mimodaq.node._clear import clear_left
    from mimodaq.node._daemon import Node, NodeOptions, serve
    from mimodaq.node._engine import Engine, RunOptions, RunResult
    from mimodaq.node._log import Entry, is_running
    from mimodaq.node._record import write_record
    from mimodaq.node._rundir import RECORD, RESOLVED, RunDirectoryError
    from mimodaq.node._snapshot import Snapshot
    from mimodaq.node._state import tag_of

_PLACES: Final = {
    "RECORD": "_rundir",
    "RESOLVED": "_rundir",
    "Engine": "_engine",
    "Node": "_daemon",
    "NodeOptions": "_daemon",
    "serve": "_daemon",
    "Entry": "_log",
    "RunDirectoryError": "_rundir",
    "RunOptions": "_engine",
    "RunResult": "_engine",
    "Snapshot": "_snapshot",
    "check_functions": "_check",
    "clear_left": "_clear",
    "is_running": "_log",
    "tag_of": "_state",
    "write_record": "_record",
}

__all__ = [
    "RECORD",
    "RESOLVED",
    "Engine",
    "Entry",
    "Node",
    "NodeOptions",
    "RunDirectoryError",
    "RunOptions",
    "RunResult",
    "Snapshot",
    "check_functions",
    "clear_left",
    "is_running",
    "serve",
    "tag_of",
    "write_record",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"mimodaq.node.{_PLACES[name]}"), name)
    raise AttributeError(f"mimodaq.node has no {name!r}")
