"""The setup of an experiment: read, checked and ready to use.

`load_setup` turns a setup file (mimoCoRB's format with a few more keys) into a `Setup`, or raises
`SetupErrors` with every mistake as `file:line: message`. Imports nothing else of mimodaq.
"""

from ._bundle import (
    MAX_BUNDLE_BYTES,
    BundleError,
    change_setup,
    load_unpacked,
    pack_loaded,
    pack_setup,
    unpack_setup,
)
from ._graph import check_graph, downstream, sources, topological_order, upstream
from ._loader import load_setup
from ._model import PLAIN_FIELD, BufferSpec, DiskSpec, FieldSpec, FunctionSpec, HostSpec, Setup
from ._problems import Problem, SetupErrors, Where, nearest
from ._quantities import QuantityError, parse_quantity
from ._queue import QueuedRun, QueueSpec, load_queue
from ._yaml import dump_text

__all__ = [
    "MAX_BUNDLE_BYTES",
    "PLAIN_FIELD",
    "BufferSpec",
    "BundleError",
    "DiskSpec",
    "FieldSpec",
    "FunctionSpec",
    "HostSpec",
    "Problem",
    "QuantityError",
    "QueueSpec",
    "QueuedRun",
    "Setup",
    "SetupErrors",
    "Where",
    "change_setup",
    "check_graph",
    "downstream",
    "dump_text",
    "load_queue",
    "load_setup",
    "load_unpacked",
    "nearest",
    "pack_loaded",
    "pack_setup",
    "parse_quantity",
    "sources",
    "topological_order",
    "unpack_setup",
    "upstream",
]
