"""The graph that buffers and functions form: its order, and what makes it unable to run.

Pure functions of a `Setup`; nothing is read and nothing is imported.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from ._model import FunctionSpec, Setup
from ._problems import Problem

_Node = tuple[str, str]
"""("buffer" | "function", name); the two kinds may not be mixed up even if names were alike."""


def check_graph(setup: Setup) -> list[Problem]:
    """Why a run of this setup would block or never end; empty if it can run.

    Found are: buffers without writer or reader (observers do not free slots), functions without buffers,
    and cycles, through observers too, because the end of the data could not travel round them.
    """
    problems = []
    for name, buffer in setup.buffers.items():
        written, read = setup.writers(name), setup.readers(name)
        if not written and not read and not setup.observers(name):
            message = f"buffer {name!r} is not used by any function: remove it, or name it in an RB_assign"
            problems.append(Problem(buffer.where, message))
            continue
        if not written:
            message = f"buffer {name!r} has no writer, so it stays empty: give a function '{name}: write'"
            problems.append(Problem(buffer.where, message))
        if not read:
            message = f"buffer {name!r} has no reader, so a run would block once it is full"
            if setup.observers(name):
                message += " (an observer frees no slots)"
            message += f": add a reader, for example 'function: drain' with '{name}: read'"
            problems.append(Problem(buffer.where, message))
    for function in setup.functions.values():
        if not function.rb_assign:
            message = f"function {function.name!r} has no buffers: name what it reads or writes in RB_assign"
            problems.append(Problem(function.where, message))
    problems.extend(_cycles(setup))
    return problems


def sources(setup: Setup) -> tuple[FunctionSpec, ...]:
    """Functions that write without reading or observing anything: where events come from."""
    return tuple(f for f in setup.functions.values() if f.writes and not f.reads and not f.observes)


def topological_order(setup: Setup) -> tuple[FunctionSpec, ...]:
    """All functions, each after everything it gets events from: sources first.

    Raises `ValueError` if the graph has a cycle (`check_graph` names it).
    """
    try:
        nodes = tuple(TopologicalSorter(_predecessors(setup)).static_order())
    except CycleError as error:
        raise ValueError(f"the buffers of {setup.path} form a cycle: {error.args[1]}") from error
    return tuple(setup.functions[name] for kind, name in nodes if kind == "function")


def upstream(setup: Setup, name: str) -> frozenset[str]:
    """Names of all buffers and functions that events pass before they reach `name`."""
    return _reachable(_predecessors(setup), name)


def downstream(setup: Setup, name: str) -> frozenset[str]:
    """Names of all buffers and functions that events from `name` can reach."""
    forward: dict[_Node, list[_Node]] = {}
    for node, before in _predecessors(setup).items():
        for origin in before:
            forward.setdefault(origin, []).append(node)
    return _reachable(forward, name)


def _predecessors(setup: Setup) -> dict[_Node, list[_Node]]:
    """Every buffer and function with those directly before it, always in the same order."""
    graph: dict[_Node, list[_Node]] = {("function", name): [] for name in setup.functions}
    graph.update({("buffer", name): [] for name in setup.buffers})
    for function in setup.functions.values():
        node = ("function", function.name)
        graph[node].extend(("buffer", name) for name in function.reads + function.observes)
        for name in function.writes:
            graph["buffer", name].append(node)
    return graph


def _cycles(setup: Setup) -> list[Problem]:
    """One problem for each cycle; a cycle found is cut where it closes so that the next one shows."""
    problems: list[Problem] = []
    graph = _predecessors(setup)
    listed = list(setup.buffers)
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            nodes: list[_Node] = error.args[1][:-1]
        else:
            return problems
        first = min((n for n in nodes if n[0] == "buffer"), key=lambda n: listed.index(n[1]))
        start = nodes.index(first)
        around = [*nodes[start:], *nodes[:start]]
        closing = around[-1]
        graph[first].remove(closing)
        path = " -> ".join(name for _, name in [*around, first])
        message = f"the buffers form a cycle, so a run could never end: {path}"
        problems.append(Problem(setup.functions[closing[1]].where, message))


def _reachable(edges: dict[_Node, list[_Node]], name: str) -> frozenset[str]:
    found: set[_Node] = set()
    waiting = [node for kind in ("buffer", "function") for node in edges.get((kind, name), ())]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(edges.get(node, ()))
    return frozenset(name for _, name in found)
