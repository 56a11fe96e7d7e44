"""The last minutes of every flow, for the small curves: bounded, and forgotten with the flow."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.states import State

from ._figures import Subject
from ._snapshot import Snapshot

LENGTH: Final = 240
"""Values that are kept: four minutes at one a second."""
_RATE_S: Final = 3.0
"""Snapshots repeat what a node has said last, so a rate needs some of them."""


@dataclass(slots=True)
class History:
    """Rates of buffers and links, one value a report; and the rate at which the run counts events."""

    _rates: dict[Subject, array[float]] = field(default_factory=dict)
    """Four bytes a value: a large cluster has a thousand flows."""
    _at: dict[str, float] = field(default_factory=dict)
    _run: int | None = None
    _counted: deque[tuple[float, int]] = field(default_factory=deque)
    """Running time and events of the last seconds."""
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
                        self._append(subject, line.rate_hz)
        for gone in self._rates.keys() - there:
            del self._rates[gone]
        for node in self._at.keys() - snapshot.reports.keys():
            del self._at[node]
        self._count(snapshot)

    def of(self, subject: Subject) -> Sequence[float]:
        """Oldest first, at most `LENGTH`."""
        return self._rates[subject][-LENGTH:] if subject in self._rates else ()

    def _append(self, subject: Subject, rate_hz: float) -> None:
        rates = self._rates.setdefault(subject, array("f"))
        rates.append(rate_hz)
        if len(rates) >= 2 * LENGTH:
            del rates[:-LENGTH]

    def _count(self, snapshot: Snapshot) -> None:
        cluster = snapshot.cluster
        if cluster is None or cluster.state is not State.RUNNING:
            self.rate_hz = 0.0
            self._counted.clear()
            return
        counted = self._counted
        if counted and (cluster.run != self._run or cluster.events < counted[-1][1]):
            counted.clear()
        self._run = cluster.run
        if not counted or cluster.running_s > counted[-1][0]:
            counted.append((cluster.running_s, cluster.events))
        while len(counted) > 2 and counted[1][0] <= cluster.running_s - _RATE_S:
            counted.popleft()
        if counted[-1][0] - counted[0][0] >= 0.5:
            self.rate_hz = (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
