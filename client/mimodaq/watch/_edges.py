"""The graph of a setup as it runs: which ring, link and function gets its events from which.

Pure functions of a checked setup; every viewer makes the same graph, so it is never sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mimodaq.config import FunctionSpec, Setup
from mimodaq.protocol.plan import ClusterPlan, FunctionPlan, make_plan

from ._figures import Subject


@dataclass(frozen=True, slots=True)
class Edge:
    """A way events go; one end is a buffer, the other a buffer or a function that is an end of the graph."""

    source: Subject
    target: Subject
    via: str
    """The function or link in between; empty if the function itself is an end."""
    is_link: bool = False
    is_observer: bool = False
    """It only looks on."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything of a setup that events pass."""

    nodes: tuple[str, ...]
    buffers: tuple[Subject, ...]
    """Sources of events first."""
    edges: tuple[Edge, ...]

    def into(self, subject: Subject) -> tuple[Edge, ...]:
        """The ways that lead to `subject`."""
        return tuple(edge for edge in self.edges if edge.target == subject)

    def out_of(self, subject: Subject) -> tuple[Edge, ...]:
        """The ways that lead away from `subject`."""
        return tuple(edge for edge in self.edges if edge.source == subject)

    def upstream(self) -> Mapping[Subject, tuple[Subject, ...]]:
        """What each buffer and each link gets its events from."""
        return _grouped((after, before) for before, after in self._steps())

    def downstream(self) -> Mapping[Subject, tuple[Subject, ...]]:
        """Where the events of each buffer and each link go next, observers left out."""
        return _grouped(self._steps())

    def sources(self) -> frozenset[Subject]:
        """Buffers that sources write."""
        return frozenset(edge.target for edge in self.edges if edge.source.kind == "worker")

    def readers(self) -> Mapping[Subject, tuple[str, ...]]:
        """Functions and links that take the events out of each buffer."""
        taking = [edge for edge in self.edges if edge.source.kind == "buffer" and not edge.is_observer]
        found: dict[Subject, dict[str, None]] = {}
        for edge in taking:
            found.setdefault(edge.source, {})[edge.via or edge.target.name] = None
        return {buffer: tuple(names) for buffer, names in found.items()}

    def _steps(self) -> Iterator[tuple[Subject, Subject]]:
        """From buffer to buffer; over a link in two steps, by way of its sender, beside it its receiver."""
        for edge in self.edges:
            if edge.is_observer or "worker" in {edge.source.kind, edge.target.kind}:
                continue
            if edge.is_link:
                sender, receiver = (Subject("link", end.node, edge.via) for end in (edge.source, edge.target))
                yield from ((edge.source, sender), (sender, receiver), (sender, edge.target))
            else:
                yield edge.source, edge.target


def _grouped(pairs: Iterable[tuple[Subject, Subject]]) -> Mapping[Subject, tuple[Subject, ...]]:
    found: dict[Subject, list[Subject]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def graph_of(setup: Setup) -> Graph:
    """The graph of a setup that has been checked."""
    plan = make_plan(setup)
    edges = [*_function_edges(setup, plan), *_link_edges(plan)]
    rings = [Subject("buffer", node.node, ring.name) for node in plan.nodes.values() for ring in node.rings]
    return Graph(tuple(plan.nodes), _in_order(rings, edges), tuple(edges))


def _function_edges(setup: Setup, plan: ClusterPlan) -> Iterable[Edge]:
    for node in plan.nodes.values():
        for function in node.functions:
            yield from _edges_of(node.node, function, setup.functions[function.name])


def _edges_of(node: str, function: FunctionPlan, spec: FunctionSpec) -> Iterable[Edge]:
    me = Subject("worker", node, function.name)

    def rings(buffers: Iterable[str]) -> list[Subject]:
        return [Subject("buffer", node, function.rings[buffer]) for buffer in buffers]

    taken, looked_at, given = rings(spec.reads), rings(spec.observes), rings(spec.writes)
    for before, is_observer in [*((ring, False) for ring in taken), *((ring, True) for ring in looked_at)]:
        if given:
            yield from (Edge(before, after, function.name, is_observer=is_observer) for after in given)
        else:
            yield Edge(before, me, "", is_observer=is_observer)
    if not taken and not looked_at:
        yield from (Edge(me, after, "") for after in given)


def _link_edges(plan: ClusterPlan) -> Iterable[Edge]:
    for link in plan.links:
        before, after = Subject("buffer", link.sender, link.from_ring), Subject("buffer", link.receiver, link.to_ring)
        yield Edge(before, after, link.name, is_link=True, is_observer=link.is_copies)


def _in_order(rings: list[Subject], edges: list[Edge]) -> tuple[Subject, ...]:
    """Each ring after all that feed it, else as written."""
    before = {ring: {e.source for e in edges if e.target == ring and e.source.kind == "buffer"} for ring in rings}
    done: list[Subject] = []
    while len(done) < len(rings):
        done.append(next(ring for ring in rings if ring not in done and before[ring] <= set(done)))
    return tuple(done)
