"""What has become of each run of a queue, and what comes next. Pure code; `_queue_file` keeps it."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mimodaq.config import QueuedRun, QueueSpec


class Stand(enum.Enum):
    """How far one run of a queue has come."""

    WAITING = "waiting"
    BEGUN = "begun"
    """It goes on, or whoever watched it is gone."""
    DONE = "done"
    MARKED = "marked"
    """It has not ended well and is passed over."""


@dataclass(slots=True)
class Attempt:
    """One run that was begun."""

    place: str
    """By which it is found again: its directory, or on a cluster its comment."""
    run: int | None = None
    verdict: str | None = None
    reason: str = ""
    events: int = 0
    running_s: float = 0.0
    was_stopped: bool = False
    """Before its end, which is no failure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt has ended."""

    run: int | None
    verdict: str
    reason: str
    events: int
    running_s: float
    is_whole: bool
    """It has gone on until its limit, or until there were no more events."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is left to do for this run."""
        return self.verdict == "good" and self.is_whole


@dataclass(slots=True)
class Entry:
    """One run of the queue."""

    number: int
    wanted: QueuedRun
    stand: Stand = Stand.WAITING
    attempts: list[Attempt] = field(default_factory=list)


class QueueError(Exception):
    """The state of a queue does not fit its file; the message says what to do."""


class Book:
    """All runs of a queue."""

    def __init__(self, spec: QueueSpec, kept: Mapping[str, Any] | None = None) -> None:
        """Take up what was kept of the queue. Raises QueueError if a run that was begun is not in the file any more."""
        self._spec = spec
        self.entries = [Entry(i, run) for i, run in enumerate(spec.runs, 1)]
        self.is_stopped = False
        """The queue does not go on before it is started again."""
        for table in kept["runs"] if kept is not None else ():
            self._take_up(table)

    def _take_up(self, table: Mapping[str, Any]) -> None:
        stand, wanted = Stand(table["stand"]), QueuedRun(table["changes"], table["name"])
        fits = (e for e in self.entries if e.wanted == wanted and e.stand is Stand.WAITING and not e.attempts)
        entry = next(fits, None)
        if entry is not None:
            entry.stand, entry.attempts = stand, [Attempt(**attempt) for attempt in table["attempts"]]
        elif stand is Stand.BEGUN:
            raise QueueError(
                f"a run that was begun is not in {self._spec.path.name} any more ({wanted}, "
                f"{table['attempts'][-1]['place']}): put it back until it has ended"
            )

    def kept(self) -> dict[str, Any]:
        """As plain values, for the file."""
        runs = [
            {
                "changes": e.wanted.changes,
                "name": e.wanted.name,
                "stand": e.stand.value,
                "attempts": [asdict(attempt) for attempt in e.attempts],
            }
            for e in self.entries
        ]
        return {"format": 1, "runs": json.loads(json.dumps(runs))}

    def next(self) -> Entry | None:
        """The run to see to: one that was begun, else the first that waits; None if the queue is at its end."""
        for stand in (Stand.BEGUN, Stand.WAITING):
            found = next((e for e in self.entries if e.stand is stand), None)
            if found is not None and not self.is_stopped:
                return found
        return None

    def begin(self, entry: Entry, place: str) -> None:
        """A run is about to be begun there."""
        entry.stand = Stand.BEGUN
        entry.attempts.append(Attempt(place))

    def never_begun(self, entry: Entry) -> None:
        """The attempt has come to nothing before a run was there: it does not count."""
        entry.attempts.pop()
        entry.stand = Stand.WAITING

    def ended(self, entry: Entry, outcome: Outcome, *, by_operator: bool = False) -> None:
        """The attempt has ended; one that was stopped before its end waits for the next start of the queue.

        Not only by the operator of the queue: a disk that is low, or another operator, stops a run that is good so far.
        """
        attempt = entry.attempts[-1]
        attempt.run, attempt.verdict, attempt.reason = outcome.run, outcome.verdict, outcome.reason
        attempt.events, attempt.running_s = outcome.events, outcome.running_s
        attempt.was_stopped = by_operator or (outcome.verdict == "good" and not outcome.is_whole)
        if outcome.is_good:
            entry.stand = Stand.DONE
        elif attempt.was_stopped:
            entry.stand, self.is_stopped = Stand.WAITING, True
        elif self._spec.not_good == "repeat" and self._tries(entry) < self._spec.attempts:
            entry.stand = Stand.WAITING
        else:
            entry.stand = Stand.MARKED
            self.is_stopped = self._spec.not_good == "stop"

    @staticmethod
    def _tries(entry: Entry) -> int:
        return sum(not attempt.was_stopped for attempt in entry.attempts)

    def of(self, stand: Stand) -> list[Entry]:
        """The runs that stand so."""
        return [entry for entry in self.entries if entry.stand is stand]

    def lines(self) -> Iterator[str]:
        """A line for each run."""
        for entry in self.entries:
            last = entry.attempts[-1] if entry.attempts else None
            told = f"{entry.stand.value:8} {len(entry.attempts) or '-':>2}"
            if last is not None and last.verdict is not None:
                told += f"  run {last.run}: {last.verdict}, {last.events} events"
                told += f" ({last.reason})" if entry.stand is not Stand.DONE and last.reason else ""
            yield f"{entry.number:4}  {told}  {entry.wanted}"
