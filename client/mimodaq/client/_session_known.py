"""What a session knows of its cluster from the feed; pure, for the blocking and the asynchronous session."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mimodaq.client._session_values import News, Status
from mimodaq.protocol.messages import Cluster, Report

_FIRST_REPORTS_S: Final = 3.0
"""Each node reports at least once a second."""


@dataclass(slots=True)
class Known:
    """The newest snapshot, and the newest report of each node in it."""

    cluster: Cluster | None = None
    snapshots: int = 0
    """How many have come."""
    _reports: dict[str, Report] = field(default_factory=dict)

    def note(self, news: News) -> None:
        """Something has come over the feed."""
        match news:
            case Cluster():
                self.cluster, self.snapshots = news, self.snapshots + 1
                known = {node.node for node in news.nodes}
                self._reports = {name: report for name, report in self._reports.items() if name in known}
            case Report():
                self._reports[news.node] = news
            case _:
                pass  # lines of the log say nothing about the state

    def lacks(self, snapshots: int, waited_s: float) -> bool:
        """Whether a snapshot after so many, or a report that should have come by now, is worth waiting for."""
        if self.cluster is None or self.snapshots <= snapshots:
            return True
        here = {node.node for node in self.cluster.nodes if node.presence != "lost"}
        return waited_s < _FIRST_REPORTS_S and not here <= set(self._reports)

    def status(self) -> Status:
        """All of it, frozen; there must have been a snapshot."""
        assert self.cluster is not None, "there was one at least"
        return Status(self.cluster, MappingProxyType(dict(self._reports)))
