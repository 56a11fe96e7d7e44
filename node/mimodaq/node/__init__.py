"""The node: carries out runs on this host.

Names are imported when they are asked for: a worker process needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mimodaq.node._alone import NodeAlone
    from mimodaq.node._check import check_functions
    from mimodaq.node._clear import clear_left
    from mimodaq.node._daemon import Node, serve
    from mimodaq.node._engine import Engine, RunOptions, RunResult
    from mimodaq.node._folder import folder_path, process_of, processes_of
    from mimodaq.node._log import Entry, is_running
    from mimodaq.node._options import NodeOptions
    from mimodaq.node._record import write_record
    from mimodaq.node._recover import close_record, is_unbegun, recover_run, unbegun_in_words
    from mimodaq.node._rings import remove_left_overs
    from mimodaq.node._rundir import RECORD, RESOLVED, RunDirectoryError, next_run_number
    from mimodaq.node._runs_here import RunHere, runs_here
    from mimodaq.node._snapshot import Snapshot
    from mimodaq.node._state import memory_of, tag_of

_PLACES: Final = {
    "RECORD": "_rundir",
    "RESOLVED": "_rundir",
    "NodeAlone": "_alone",
    "Engine": "_engine",
    "Node": "_daemon",
    "NodeOptions": "_options",
    "serve": "_daemon",
    "Entry": "_log",
    "RunDirectoryError": "_rundir",
    "RunOptions": "_engine",
    "RunResult": "_engine",
    "Snapshot": "_snapshot",
    "check_functions": "_check",
    "clear_left": "_clear",
    "close_record": "_recover",
    "recover_run": "_recover",
    "folder_path": "_folder",
    "is_running": "_log",
    "is_unbegun": "_recover",
    "remove_left_overs": "_rings",
    "unbegun_in_words": "_recover",
    "memory_of": "_state",
    "RunHere": "_runs_here",
    "runs_here": "_runs_here",
    "next_run_number": "_rundir",
    "process_of": "_folder",
    "processes_of": "_folder",
    "tag_of": "_state",
    "write_record": "_record",
}

__all__ = [
    "RECORD",
    "RESOLVED",
    "Engine",
    "Entry",
    "Node",
    "NodeAlone",
    "NodeOptions",
    "RunDirectoryError",
    "RunHere",
    "RunOptions",
    "RunResult",
    "Snapshot",
    "check_functions",
    "clear_left",
    "close_record",
    "folder_path",
    "is_running",
    "is_unbegun",
    "memory_of",
    "next_run_number",
    "process_of",
    "processes_of",
    "recover_run",
    "remove_left_overs",
    "runs_here",
    "serve",
    "tag_of",
    "unbegun_in_words",
    "write_record",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"mimodaq.node.{_PLACES[name]}"), name)
    raise AttributeError(f"mimodaq.node has no {name!r}")
