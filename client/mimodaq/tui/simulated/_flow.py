"""Events as a fluid: how they fill and leave the rings of a setup, and what one fault does to all of it.

Pure code on a plan of the real setup: full rings hold up who writes them, over links too, so dead time appears where it
would appear in the experiment.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mimodaq.config import Setup
from mimodaq.protocol.plan import make_plan
from mimodaq.watch import Edge, Graph, Subject, graph_of

STEP_S: Final = 0.1


@dataclass(slots=True)
class Ring:
    """One ring."""

    slots: int
    event_bytes: int
    pending: dict[str, float] = field(default_factory=dict)
    """Events not done, by reader group."""
    committed: float = 0.0
    """Since the run began."""
    wanted: float = 0.0
    given: float = 0.0
    """Since the last look."""
    blamed: dict[str, float] = field(default_factory=dict)

    @property
    def space(self) -> float:
        """Events it can take."""
        return self.slots - max(self.pending.values(), default=0.0)

    @property
    def lag(self) -> float:
        """Events its slowest group has before it."""
        return max(self.pending.values(), default=0.0)

    def put(self, events: float) -> None:
        """Commit."""
        self.committed += events
        for group in self.pending:
            self.pending[group] += events

    def note(self, wanted: float, given: float) -> None:
        """Keep what a writer wanted and could give; the slowest group is blamed for the difference."""
        self.wanted += wanted
        self.given += given
        if given < wanted * 0.999 and self.pending:
            worst = max(self.pending, key=lambda group: self.pending[group])
            self.blamed[worst] = self.blamed.get(worst, 0.0) + wanted - given

    @property
    def dead_fraction(self) -> float:
        """Of the time since the last look."""
        return 1.0 - self.given / self.wanted if self.wanted > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Speed:
    """What a function does with events."""

    limit_hz: float = math.inf
    """Most events a second it can take, or gives if it is a source."""
    keeps: float = 1.0
    """Fraction of its events it passes on."""


@dataclass(slots=True)
class Flow:
    """All rings of one setup, and who moves events between them."""

    setup: Setup
    speeds: Mapping[str, Speed]
    random: random.Random
    graph: Graph = field(init=False)
    rings: dict[Subject, Ring] = field(init=False)
    through: dict[Subject, float] = field(default_factory=dict)
    """Events through each link since the last look."""
    slowed: dict[str, float] = field(default_factory=dict)
    """Functions that do only this fraction of their speed; 0 = nothing."""
    broken: set[str] = field(default_factory=set)
    """Links without connection."""
    are_sources_held: bool = True

    def __post_init__(self) -> None:
        plan = make_plan(self.setup)
        self.graph = graph_of(self.setup)
        self.rings = {}
        for node in plan.nodes.values():
            for ring in node.rings:
                spec = self.setup.buffers[ring.buffer]
                groups: dict[str, float] = dict.fromkeys(ring.groups, 0.0)
                self.rings[Subject("buffer", node.node, ring.name)] = Ring(
                    spec.slots, spec.event_dtype.itemsize, groups
                )
        self._groups = {link.name: link.group for link in plan.links}
        self._by_target = sorted(self._moves(), key=lambda move: -self._depth(move[1]))

    _groups: dict[str, str] = field(init=False)
    _by_target: list[tuple[str, Sequence[Edge]]] = field(init=False)

    def advance(self, seconds: float) -> None:
        """Let events flow."""
        for _ in range(max(1, round(seconds / STEP_S))):
            for via, edges in self._by_target:
                self._move(via, edges, STEP_S)

    def clear(self) -> None:
        """Empty rings, as at the beginning of a run."""
        for ring in self.rings.values():
            ring.pending = dict.fromkeys(ring.pending, 0.0)
            ring.committed = ring.wanted = ring.given = 0.0
        self.through.clear()

    def is_empty(self) -> bool:
        """Whether everything has been worked off."""
        return all(ring.lag < 1 for ring in self.rings.values())

    def looked(self) -> None:
        """Begin to count anew what is counted since the last look."""
        for ring in self.rings.values():
            ring.wanted = ring.given = 0.0
            ring.blamed.clear()
        self.through.clear()

    def _moves(self) -> list[tuple[str, Sequence[Edge]]]:
        """Edges that move together: all inputs and outputs of one function on one node, or one link."""
        together: dict[tuple[str, str], list[Edge]] = {}
        for edge in self.graph.edges:
            if edge.is_observer:
                continue
            name = edge.via or (edge.target.name if edge.target.kind == "worker" else edge.source.name)
            together.setdefault((name, "" if edge.is_link else edge.source.node), []).append(edge)
        return [(name, edges) for (name, _), edges in together.items()]

    def _depth(self, edges: Sequence[Edge]) -> int:
        order = {subject: i for i, subject in enumerate(self.graph.buffers)}
        return max(order.get(edge.target, len(order)) for edge in edges)

    def _move(self, via: str, edges: Sequence[Edge], step_s: float) -> None:
        sources = list(dict.fromkeys(e.source for e in edges if e.source.kind == "buffer"))
        targets = [self.rings[t] for t in dict.fromkeys(e.target for e in edges) if t.kind == "buffer"]
        speed = self.speeds.get(via, Speed())
        factor = 0.0 if via in self.broken else self.slowed.get(via, 1.0)
        space = min((ring.space for ring in targets), default=math.inf)
        if not sources:
            self._give(targets, 0.0 if self.are_sources_held else speed.limit_hz * factor * step_s, space)
            return
        for source in self.random.sample(sources, len(sources)):  # nobody is always the first
            ring = self.rings[source]
            group = self._groups.get(via, via)
            ready = min(ring.pending.get(group, 0.0), speed.limit_hz * factor * step_s if factor else 0.0)
            done = min(ready, max(0.0, space) / speed.keeps)
            ring.pending[group] -= done
            for target in targets:
                target.note(ready * speed.keeps, done * speed.keeps)
                target.put(done * speed.keeps)
            space -= done * speed.keeps
            for edge in edges:
                if edge.is_link:
                    for end in (edge.source, edge.target):
                        link = Subject("link", end.node, via)
                        self.through[link] = self.through.get(link, 0.0) + done

    def _give(self, targets: Sequence[Ring], wanted: float, space: float) -> None:
        wanted *= 1 + 0.05 * self.random.gauss(0, 1)
        given = max(0.0, min(wanted, space))
        for ring in targets:
            ring.note(wanted, given)
            ring.put(given)
