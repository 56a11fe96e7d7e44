"""The whole cluster at one moment, put together from what the broker publishes.

Pure code. Messages come in any order and at any rate; a snapshot is taken when somebody wants to look, so a slow
viewer never has a backlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.states import State

STALE_S: Final = 1.8
"""Without word from the broker, which speaks once a second, for so long nothing that is shown may look live."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment."""

    now: float
    """Monotonic seconds."""
    utc_ns: int
    cluster: Cluster | None = None
    """None until the broker has been heard."""
    heard: float = 0.0
    """When `cluster` came."""
    reports: Mapping[str, Report] = field(default_factory=lambda: MappingProxyType({}))
    """By node, of all nodes the broker knows and has passed on."""
    reported: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """When each report came."""

    @property
    def age_s(self) -> float:
        """Time since the broker was heard; since the beginning, if it never was."""
        return max(0.0, self.now - self.heard)

    @property
    def is_stale(self) -> bool:
        """Whether this may be history: the broker is silent, or was never heard."""
        return self.cluster is None or self.age_s >= STALE_S

    @property
    def state(self) -> State:
        """The state of the cluster as far as it is known."""
        return self.cluster.state if self.cluster and not self.is_stale else State.OFFLINE

    @property
    def nodes(self) -> tuple[NodeLine, ...]:
        """All nodes the broker knows."""
        return self.cluster.nodes if self.cluster else ()

    @property
    def is_mixed(self) -> bool:
        """Whether not all nodes of the setup are in the state of the cluster."""
        return len({n.state for n in self.nodes if n.is_in_setup}) > 1


@dataclass(slots=True)
class Assembler:
    """Takes messages, gives snapshots. Holds one report for each node the broker knows, and nothing else."""

    _cluster: Cluster | None = None
    _heard: float | None = None
    _reports: dict[str, Report] = field(default_factory=dict)
    _reported: dict[str, float] = field(default_factory=dict)

    def handle(self, message: Cluster | Report, now: float) -> bool:
        """Note a message; whether something has changed that an operator wants to see at once."""
        match message:
            case Cluster():
                return self._note_cluster(message, now)
            case Report():
                return self._note_report(message, now)

    def snapshot(self, now: float, utc_ns: int) -> Snapshot:
        """What is known now."""
        if self._heard is None:
            self._heard = now
        reports, reported = MappingProxyType(dict(self._reports)), MappingProxyType(dict(self._reported))
        return Snapshot(now, utc_ns, self._cluster, self._heard, reports, reported)

    def _note_cluster(self, message: Cluster, now: float) -> bool:
        before = self._cluster
        if before and (message.epoch, message.number) <= (before.epoch, before.number):
            return False  # overtaken, or of a broker that has been replaced
        self._cluster, self._heard = message, now
        known = {line.node for line in message.nodes}
        for node in [node for node in self._reports if node not in known]:
            del self._reports[node], self._reported[node]
        return before is None or _look(before) != _look(message)

    def _note_report(self, message: Report, now: float) -> bool:
        before = self._reports.get(message.node)
        if before and (message.epoch, message.number) <= (before.epoch, before.number):
            return False
        self._reports[message.node], self._reported[message.node] = message, now
        return before is None or before.state is not message.state


def _look(cluster: Cluster) -> tuple[object, ...]:
    presences = tuple((n.node, n.state, n.presence) for n in cluster.nodes)
    return cluster.state, cluster.run, cluster.in_charge, cluster.text, cluster.reasons, presences
