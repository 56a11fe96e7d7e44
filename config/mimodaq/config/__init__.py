"""The setup of an experiment: read, checked and ready to use.

`load_setup` turns a setup file (mimoCoRB's format with a few more keys) into a `Setup`, or raises
`SetupErrors` with every mistake as `file:line: message`. Imports nothing else of mimodaq.
"""

from ._graph import check_graph, downstream, sources, topological_order, upstream
from ._loader import load_setup
from ._model import PLAIN_FIELD, BufferSpec, FieldSpec, FunctionSpec, HostSpec, Setup
from ._problems import Problem, SetupErrors, Where, nearest
from ._quantities import QuantityError, parse_quantity
from ._yaml import dump_text

__all__ = [
    "PLAIN_FIELD",
    "BufferSpec",
    "FieldSpec",
    "FunctionSpec",
    "HostSpec",
    "Problem",
    "QuantityError",
    "Setup",
    "SetupErrors",
    "Where",
    "check_graph",
    "downstream",
    "dump_text",
    "load_setup",
    "nearest",
    "parse_quantity",
    "sources",
    "topological_order",
    "upstream",
]
