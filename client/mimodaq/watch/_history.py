"""The last minutes of every flow, for the small curves: bounded, and forgotten with the flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.states import State

from ._figures import Subject
from ._snapshot import Snapshot

LENGTH: Final = 240
"""Values that are kept: four minutes at one a second."""


@dataclass(slots=True)
class History:
    """Rates of buffers and links, one value a report; and the rate at which the run counts events."""

    _rates: dict[Subject, deque[float]] = field(default_factory=dict)
    _at: dict[str, float] = field(default_factory=dict)
    _counted: tuple[int | None, int, float] | None = None
    """Run, events and running time when the broker was last heard."""
    rate_hz: float = 0.0
    """Events a second of running time into the counted buffer."""

    def note(self, snapshot: Snapshot) -> None:
        """Take up what is new in a snapshot."""
        there: set[Subject] = set()
        for node, report in snapshot.reports.items():
            is_new = self._at.get(node) != snapshot.reported[node]
            self._at[node] = snapshot.reported[node]
            for kind, lines in (("buffer", report.buffers), ("link", report.links)):
                for line in lines:
                    subject = Subject(kind, node, line.name)
                    there.add(subject)
                    if is_new:
                        self._rates.setdefault(subject, deque(maxlen=LENGTH)).append(line.rate_hz)
        for gone in self._rates.keys() - there:
            del self._rates[gone]
        for node in self._at.keys() - snapshot.reports.keys():
            del self._at[node]
        self._count(snapshot)

    def of(self, subject: Subject) -> Sequence[float]:
        """Oldest first."""
        return self._rates.get(subject, ())

    def _count(self, snapshot: Snapshot) -> None:
        cluster = snapshot.cluster
        if cluster is None or cluster.state is not State.RUNNING:
            self.rate_hz, self._counted = 0.0, None
            return
        before = self._counted
        if before is None or before[0] != cluster.run or cluster.events < before[1]:
            self._counted = (cluster.run, cluster.events, cluster.running_s)
        elif cluster.running_s - before[2] >= 0.5:
            self.rate_hz = (cluster.events - before[1]) / (cluster.running_s - before[2])
            self._counted = (cluster.run, cluster.events, cluster.running_s)
