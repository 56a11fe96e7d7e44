"""The figures of the cluster for Prometheus: everything that is on the feed, with units in the names.

`families` is pure. `Exporter` serves them over HTTP from a thread of its own; it is handed immutable snapshots and asks
the broker for nothing, so whoever scrapes, however often, holds nobody up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mimodaq.broker._options import BrokerError
from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
_LOST: Final = "lost"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a part of a message."""

    name: str
    """After the prefix of its part; a counter gets `_total`."""
    kind: str
    help: str
    value: Callable[[Any], float | None]
    """None is not shown."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: tuple[tuple[tuple[str, ...], float], ...]


_CLUSTER: Final = (
    Figure("run_number", GAUGE, "Number of the run that goes on.", lambda c: c.run),
    Figure("run_running_seconds", GAUGE, "Time the run has been running, pauses not counted.", lambda c: c.running_s),
    Figure("run_events", COUNTER, "Events of the first buffer in this run.", lambda c: c.events),
    Figure("run_reasons", GAUGE, "Things that keep the run from being good.", lambda c: len(c.reasons)),
    Figure("cluster_state_seconds", GAUGE, "Time in the present state.", lambda c: c.for_s),
)
_NODE: Final = (
    Figure("up", GAUGE, "1 if the node is heard.", lambda n: float(n.presence != _LOST)),
    Figure("silent_seconds", GAUGE, "Time since the node was heard.", lambda n: n.silent_s),
    Figure("rate_hertz", GAUGE, "Events a second into all its buffers.", lambda n: n.rate_hz),
    Figure("fill_ratio", GAUGE, "Fraction of the slots in use, of its fullest buffer.", lambda n: n.fill),
    Figure("dead_time_ratio", GAUGE, "Fraction of the time its worst buffer was full.", lambda n: n.dead_fraction),
)
_HOST: Final = (
    Figure("cpu_ratio", GAUGE, "Fraction of all cores in use.", lambda h: h.cpu),
    Figure("memory_ratio", GAUGE, "Fraction of the memory in use.", lambda h: h.memory),
    Figure("temperature_celsius", GAUGE, "Hottest sensor of the processor.", lambda h: h.temperature_c),
    Figure("disk_free_bytes", GAUGE, "Room where runs are written.", lambda h: h.disk_free_bytes),
    Figure("disk_left_seconds", GAUGE, "Time until the run must end for want of space.", lambda h: h.disk_left_s),
    Figure("shm_free_bytes", GAUGE, "Room where buffers are made.", lambda h: h.shm_free_bytes),
)
_CLOCK: Final = (
    Figure("clock_offset_seconds", GAUGE, "Broker's time minus the node's.", lambda c: c.offset_s),
    Figure("clock_jitter_seconds", GAUGE, "Scatter of that.", lambda c: c.jitter_s),
    Figure("clock_jumps", COUNTER, "Jumps of either clock.", lambda c: c.jumps),
)
_BUFFER: Final = (
    Figure("committed_events", COUNTER, "Events written in this run.", lambda b: b.committed),
    Figure("rate_hertz", GAUGE, "Events a second.", lambda b: b.rate_hz),
    Figure("bytes_per_second", GAUGE, "Bytes a second.", lambda b: b.bytes_per_s),
    Figure("fill_ratio", GAUGE, "Fraction of the slots in use.", lambda b: b.fill),
    Figure("dead_time_ratio", GAUGE, "Fraction of the time its writers have waited.", lambda b: b.dead_fraction),
    Figure("lag_events", GAUGE, "Events that the slowest readers have not finished with.", lambda b: b.lag),
    Figure(
        "redelivered_events", COUNTER, "Events handed out again after their reader had died.", lambda b: b.redelivered
    ),
    Figure(
        "quarantined_events", COUNTER, "Events set aside because they killed their reader.", lambda b: b.quarantined
    ),
)
_WORKER: Final = (
    Figure("restarts", COUNTER, "How often the process was started again in this run.", lambda w: w.restarts),
)
_LINK: Final = (
    Figure("up", GAUGE, "1 if this end is connected.", lambda k: float(k.connected)),
    Figure("rate_hertz", GAUGE, "Events a second.", lambda k: k.rate_hz),
    Figure("bytes_per_second", GAUGE, "Bytes a second.", lambda k: k.bytes_per_s),
    Figure("lag_events", GAUGE, "Events that have not been sent.", lambda k: k.lag),
    Figure("unacknowledged_events", GAUGE, "Events sent and not acknowledged.", lambda k: k.unacknowledged),
    Figure("reconnects", COUNTER, "Connections that had to be made again.", lambda k: k.reconnects),
    Figure("redelivered_events", COUNTER, "Events sent again; the far side has them once.", lambda k: k.redelivered),
    Figure("round_trip_seconds", GAUGE, "There and back.", lambda k: k.round_trip_s),
)


def families(cluster: Cluster | None, reports: Iterable[Report]) -> Iterator[Family]:
    """All figures of a cluster; of a node that is lost there is only that it is."""
    if cluster is None:
        return
    lost = {line.node for line in cluster.nodes if line.presence == _LOST}
    here = [report for report in reports if report.node not in lost]
    yield _states("cluster_state", "1 for the state the cluster is in.", (), [((), cluster.state)])
    yield from _families("", _CLUSTER, (), [((), cluster)])
    nodes: list[tuple[tuple[str, ...], NodeLine]] = [((line.node,), line) for line in cluster.nodes]
    yield from _families("node_", _NODE, ("node",), nodes)
    yield _states("node_state", "1 for the state the node is in.", ("node",), [(n, line.state) for n, line in nodes])
    hosts: list[tuple[tuple[str, ...], HostLine]] = [((r.node,), r.host) for r in here if r.host is not None]
    yield from _families("node_", _HOST, ("node",), hosts)
    clocks: list[tuple[tuple[str, ...], ClockLine]] = [((r.node,), r.clock) for r in here if r.clock is not None]
    yield from _families("node_", _CLOCK, ("node",), clocks)
    buffers: list[tuple[tuple[str, ...], BufferLine]] = [((r.node, b.name), b) for r in here for b in r.buffers]
    yield from _families("buffer_", _BUFFER, ("node", "buffer"), buffers)
    workers: list[tuple[tuple[str, ...], WorkerLine]] = [((r.node, w.name), w) for r in here for w in r.workers]
    yield from _families("worker_", _WORKER, ("node", "worker"), workers)
    links: list[tuple[tuple[str, ...], LinkLine]] = [((r.node, k.name), k) for r in here for k in r.links]
    yield from _families("link_", _LINK, ("node", "link"), links)


def _families(
    prefix: str, figures: Iterable[Figure], labels: tuple[str, ...], parts: Sequence[tuple[tuple[str, ...], Any]]
) -> Iterator[Family]:
    for figure in figures:
        found = [(names, figure.value(part)) for names, part in parts]
        samples = tuple((names, float(value)) for names, value in found if value is not None)
        yield Family(f"mimodaq_{prefix}{figure.name}", figure.kind, figure.help, labels, samples)


def _states(name: str, text: str, labels: tuple[str, ...], subjects: Iterable[tuple[tuple[str, ...], State]]) -> Family:
    samples = tuple(((*names, one.value), float(one is state)) for names, state in subjects for one in State)
    return Family(f"mimodaq_{name}", GAUGE, text, (*labels, "state"), samples)


class Exporter:
    """Serves the figures at `http://ADDRESS:PORT/metrics` until it is closed."""

    def __init__(self, address: str, port: int) -> None:
        """Listen; port 0 takes any. Raises BrokerError."""
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ModuleNotFoundError as error:
            raise BrokerError(
                "serving metrics: prometheus-client is not there: pip install 'mimodaq[metrics]'"
            ) from error
        self._cluster: Cluster | None = None
        self._reports: dict[str, Report] = {}
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, address, registry)
        except OSError as error:
            raise BrokerError(f"serving metrics at {address}:{port}: {error.strerror}. Choose another port") from error

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def take(self, news: Cluster | Report) -> None:
        """The newest of the feed; never waits."""
        match news:
            case Cluster():
                known = {line.node for line in news.nodes}
                self._cluster = news
                self._reports = {name: report for name, report in self._reports.items() if name in known}
            case Report():
                self._reports = {**self._reports, news.node: news}

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client, in its thread."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kinds = {COUNTER: CounterMetricFamily, GAUGE: GaugeMetricFamily}
        for family in families(self._cluster, self._reports.values()):
            metric = kinds[family.kind](family.name, family.help, labels=family.labels)
            for names, value in family.samples:
                metric.add_metric(names, value)
            yield metric

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
