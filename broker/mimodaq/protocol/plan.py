"""What each host has to make for a setup: rings, workers, links; and in which order all of it starts and stops.

Pure code, made from a checked `Setup`; every host and the broker make the same plan from the same setup, so plans
are never sent. A setup without hosts gives one node named `local` and no links.

Rules
-----
* A buffer lives on the host it names; else where its writers are, if that is one host; else where its readers are. A
  function without a host runs where its input lives, a source where its output lives. What is still open goes to
  the first host.
* `num_process` counts on each host of a function.
* A function on another host than its input gets a *mirror* of the buffer there. Functions that run on that host alone
  share one mirror with every event; a function on several hosts has mirrors of its own, and each event goes to one
  of them, because all its links, and its processes on the buffer's own host, are members of one reader group.
* A function on another host than its output writes a *feeder* there, which a link empties into the buffer.
* An observer takes a mirror that is there; else a link of *copies*, which takes a sample and never blocks.
* What runs is ordered by the graph of functions and links over all hosts. (The graph of hosts may have circles: source
  and files on one host, the filter on another.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Final

from mimodaq.config import FunctionSpec, Setup, topological_order
from mimodaq.protocol.ports import check_ports
from mimodaq.protocol.run import WorkerId, WorkerPlan

LOCAL: Final = "local"
"""The one node of a setup without hosts."""


@dataclass(frozen=True, slots=True)
class RingPlan:
    """One ring on one node."""

    name: str
    """On its node: the buffer's name, with `~function` for a mirror that shares events, `.out` for a feeder."""
    buffer: str
    groups: tuple[str, ...]
    """Reader groups: functions of this node, functions on several hosts, `to:host` for a shared link."""
    writers: int
    """Writers whose ends make the ring end: processes and links of this node."""
    is_home: bool
    """The ring of the buffer itself, not a mirror or a feeder."""
    is_source: bool
    """Sources of this node write it: it is held by pause."""
    size_bytes: int
    limit: int = 0
    """Events after which the ring ends; 0 = no limit."""


@dataclass(frozen=True, slots=True)
class FunctionPlan:
    """One function on one node."""

    name: str
    processes: int
    is_source: bool
    is_observer: bool
    restart: bool | int
    rings: Mapping[str, str]
    """Which ring of this node stands for each of its buffers."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link: a reader of a ring on one node, the writer of a ring on another."""

    name: str
    buffer: str
    sender: str
    receiver: str
    from_ring: str
    group: str
    """Reader group of the sending ring; empty for copies."""
    to_ring: str
    is_copies: bool = False
    """A sample for observers: drops rather than blocks, and no run depends on it."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Everything one node has to do."""

    node: str
    rings: tuple[RingPlan, ...]
    functions: tuple[FunctionPlan, ...]
    outgoing: tuple[LinkPlan, ...]
    incoming: tuple[LinkPlan, ...]

    @property
    def has_sources(self) -> bool:
        """Whether events come into being here."""
        return any(f.is_source for f in self.functions)

    @property
    def source_rings(self) -> tuple[str, ...]:
        """Rings that sources write: these are held by a pause."""
        return tuple(ring.name for ring in self.rings if ring.is_source)

    @property
    def fed_rings(self) -> tuple[str, ...]:
        """Rings that links write."""
        return tuple(link.to_ring for link in self.incoming)

    @property
    def size_bytes(self) -> int:
        """Shared memory for all slots."""
        return sum(ring.size_bytes for ring in self.rings)

    def workers(self) -> list[WorkerPlan]:
        """All processes of a run on this node, as `mimodaq.protocol.run` wants them."""
        plans = [
            WorkerPlan(WorkerId(f.name, i), f.is_source, f.restart, is_observer=f.is_observer)
            for f in self.functions
            for i in range(f.processes)
        ]
        plans += [WorkerPlan(WorkerId(link.name, 0), False, True, link.is_copies) for link in self.outgoing]
        plans += [WorkerPlan(WorkerId(link.name, 0), True, True, link.is_copies, is_fed=True) for link in self.incoming]
        return plans


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The plan of a whole setup."""

    nodes: Mapping[str, NodePlan]
    """Nodes that have something to do, by name."""
    links: tuple[LinkPlan, ...]
    stop_waves: tuple[tuple[tuple[str, str], ...], ...]
    """(node, function or link) in the order in which they end: sources first."""
    counted_node: str
    """Where the buffer lives whose events `events_limit` counts."""
    counted_ring: str
    """Name of its ring there."""
    source_nodes: frozenset[str]
    """Nodes where events come into being."""
    events_limit: int | None = None
    duration_s: float | None = None


def make_plan(setup: Setup) -> ClusterPlan:
    """The plan of a setup that has been loaded. Raises SetupErrors if hosts would meet at the same port."""
    return _Planner(setup).plan()


@dataclass(slots=True)
class _Ring:
    buffer: str
    groups: list[str] = field(default_factory=list)
    writers: int = 0
    is_home: bool = False
    is_source: bool = False


@dataclass(slots=True)
class _Parts:
    """What has been found for one node."""

    rings: list[RingPlan] = field(default_factory=list)
    functions: list[FunctionPlan] = field(default_factory=list)
    outgoing: list[LinkPlan] = field(default_factory=list)
    incoming: list[LinkPlan] = field(default_factory=list)

    def plan(self, node: str) -> NodePlan:
        return NodePlan(node, tuple(self.rings), tuple(self.functions), tuple(self.outgoing), tuple(self.incoming))


@dataclass(slots=True)
class _Planner:
    setup: Setup
    home: dict[str, str] = field(default_factory=dict)
    """Buffer to host."""
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Function to hosts."""
    rings: dict[tuple[str, str], _Ring] = field(default_factory=dict)
    """By node and name."""
    links: dict[str, LinkPlan] = field(default_factory=dict)
    used: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """(node, function) to the rings it uses."""
    access: dict[tuple[str, str], list[FunctionSpec]] = field(default_factory=dict)
    """(buffer, "read" | "write" | "observe") to functions, in the order written."""

    def plan(self) -> ClusterPlan:
        for function in self.setup.functions.values():
            for buffer, word in function.rb_assign.items():
                self.access.setdefault((buffer, word), []).append(function)
        self._place()
        for buffer in self.setup.buffers:
            self._connect(buffer)
        parts = {node: _Parts() for node in self.setup.hosts or (LOCAL,)}
        for (node, name), ring in self.rings.items():
            parts[node].rings.append(self._ring_plan(name, ring))
        for function in self.setup.functions.values():
            for node in self.hosts[function.name]:
                parts[node].functions.append(self._function_plan(node, function))
        for link in self.links.values():
            parts[link.sender].outgoing.append(link)
            parts[link.receiver].incoming.append(link)
        nodes = {node: part.plan(node) for node, part in parts.items() if part.rings or part.functions}
        check_ports(self.setup, nodes)
        return ClusterPlan(
            nodes,
            tuple(self.links.values()),
            self._waves(),
            self.home[self.setup.counted_buffer],
            self.setup.counted_buffer,
            frozenset(name for name, node in nodes.items() if node.has_sources),
            self.setup.events_limit,
            self.setup.duration_s,
        )

    def _who(self, word: str, buffer: str) -> list[FunctionSpec]:
        return self.access.get((buffer, word), [])

    # -- where things are -----------------------------------------------------------------------------------

    def _place(self) -> None:
        setup = self.setup
        default = next(iter(setup.hosts), LOCAL)
        self.home = {name: b.host for name, b in setup.buffers.items() if b.host is not None}
        for function in topological_order(setup):
            self.hosts[function.name] = function.host or (self._near(function) or default,)
            for buffer in function.writes:
                if buffer not in self.home:
                    self.home[buffer] = self._home_of(buffer, default)
        for buffer in setup.buffers:
            self.home.setdefault(buffer, default)

    def _near(self, function: FunctionSpec) -> str | None:
        """The host of the first of its buffers that has one: inputs before outputs."""
        around = (*function.reads, *function.observes, *function.writes)
        return next((self.home[b] for b in around if b in self.home), None)

    def _home_of(self, buffer: str, default: str) -> str:
        writers = {h for f in self._who("write", buffer) for h in self.hosts.get(f.name, f.host)}
        if len(writers) == 1:
            return writers.pop()
        readers = [h for f in self._who("read", buffer) for h in f.host]
        return readers[0] if readers else min(writers, default=default)

    # -- how they are connected -----------------------------------------------------------------------------

    def _connect(self, buffer: str) -> None:
        home = self.home[buffer]
        self.rings[home, buffer] = _Ring(buffer, is_home=True)
        for function in self._who("write", buffer):
            for node in self.hosts[function.name]:
                name = buffer if node == home else self._feeder(buffer, node)
                ring = self.rings[node, name]
                ring.writers += function.processes
                ring.is_source = ring.is_source or _is_source(function)
                self._use(node, function, buffer, name)
        for function in self._who("read", buffer):
            for node in self.hosts[function.name]:
                name = buffer if node == home else self._mirror(buffer, node, function)
                ring = self.rings[node, name]
                if function.name not in ring.groups:
                    ring.groups.append(function.name)
                self._use(node, function, buffer, name)
        for function in self._who("observe", buffer):
            for node in self.hosts[function.name]:
                self._use(node, function, buffer, self._observed(buffer, node))

    def _use(self, node: str, function: FunctionSpec, buffer: str, ring: str) -> None:
        self.used.setdefault((node, function.name), {})[buffer] = ring

    def _feeder(self, buffer: str, node: str) -> str:
        name, home = f"{buffer}.out", self.home[buffer]
        if (node, name) not in self.rings:
            self.rings[node, name] = _Ring(buffer, groups=[f"to:{home}"])
            self._link(f"{name}:{node}>{home}", buffer, node, home, name, f"to:{home}", buffer)
        return name

    def _mirror(self, buffer: str, node: str, function: FunctionSpec) -> str:
        home = self.home[buffer]
        is_shared = len(self.hosts[function.name]) == 1
        name = buffer if is_shared else f"{buffer}~{function.name}"
        group = f"to:{node}" if is_shared else function.name
        if (node, name) not in self.rings:
            self.rings[node, name] = _Ring(buffer)
            groups = self.rings[home, buffer].groups
            if group not in groups:
                groups.append(group)
            self._link(f"{name}:{home}>{node}", buffer, home, node, buffer, group, name)
        return name

    def _observed(self, buffer: str, node: str) -> str:
        names = (buffer, *(f"{buffer}~{f.name}" for f in self._who("read", buffer)))
        mirror = next((name for name in names if (node, name) in self.rings), None)
        if mirror is not None:
            return mirror
        name, home = f"{buffer}~copies", self.home[buffer]
        self.rings[node, name] = _Ring(buffer)
        self._link(f"{name}:{home}>{node}", buffer, home, node, buffer, "", name)
        return name

    def _link(self, name: str, buffer: str, sender: str, receiver: str, ring: str, group: str, to_ring: str) -> None:
        self.links[name] = LinkPlan(name, buffer, sender, receiver, ring, group, to_ring, is_copies=not group)
        self.rings[receiver, to_ring].writers += 1

    # -- the result -----------------------------------------------------------------------------------------

    def _ring_plan(self, name: str, ring: _Ring) -> RingPlan:
        is_limited = ring.is_home and ring.buffer == self.setup.counted_buffer and self._is_filled_by_sources_here(ring)
        return RingPlan(
            name,
            ring.buffer,
            tuple(ring.groups),
            ring.writers,
            ring.is_home,
            ring.is_source,
            self.setup.buffers[ring.buffer].size_bytes,
            (self.setup.events_limit or 0) if is_limited else 0,
        )

    def _is_filled_by_sources_here(self, ring: _Ring) -> bool:
        """Only then the ring can take exactly so many: a filter cannot be told to stop in the middle of its input."""
        writers = self._who("write", ring.buffer)
        return all(_is_source(f) and self.hosts[f.name] == (self.home[ring.buffer],) for f in writers)

    def _function_plan(self, node: str, function: FunctionSpec) -> FunctionPlan:
        return FunctionPlan(
            function.name,
            function.processes,
            is_source=_is_source(function),
            is_observer=not function.reads and not function.writes,
            restart=restarts(self.setup, function),
            rings=self.used.get((node, function.name), {}),
        )

    def _waves(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Everything that runs, each after all that feeds it; a link counts where it receives."""
        makers: dict[tuple[str, str], list[tuple[str, str]]] = {}
        takers: dict[tuple[str, str], list[tuple[str, str]]] = {}
        elements: list[tuple[str, str]] = []
        for (node, function), rings in self.used.items():
            element = (node, function)
            elements.append(element)
            writes = self.setup.functions[function].writes
            for buffer, ring in rings.items():
                (makers if buffer in writes else takers).setdefault((node, ring), []).append(element)
        for link in self.links.values():
            element = (link.receiver, link.name)
            elements.append(element)
            takers.setdefault((link.sender, link.from_ring), []).append(element)
            makers.setdefault((link.receiver, link.to_ring), []).append(element)
        before: dict[tuple[str, str], set[tuple[str, str]]] = {element: set() for element in elements}
        for ring_key, ones in takers.items():
            for element in ones:
                before[element].update(makers.get(ring_key, ()))
        return tuple(tuple(sorted(wave)) for wave in _generations(before))


def _generations(before: Mapping[tuple[str, str], Iterable[tuple[str, str]]]) -> list[tuple[tuple[str, str], ...]]:
    sorter = TopologicalSorter(before)
    sorter.prepare()
    waves = []
    while sorter.is_active():
        wave = sorter.get_ready()
        waves.append(wave)
        sorter.done(*wave)
    return waves


def _is_source(function: FunctionSpec) -> bool:
    """Whether events begin here: it is told to stop, all others end with their input."""
    return bool(function.writes) and not function.reads and not function.observes


def restarts(setup: Setup, function: FunctionSpec) -> bool | int:
    """Whether or how often a process is started again when it dies.

    A source only if the setup asks for it: most would begin from the first event.
    """
    if _is_source(function) and (function.name, "restart") not in setup.places:
        return False
    return function.restart
