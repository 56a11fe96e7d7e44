"""Measure several things in turns, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mimodaq.client.bench._results import BenchError, Missing, Series, number


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    repeats: int
    seconds: float
    """Length of one repeat of a ring measurement; 0 = the smallest useful number of events."""
    run_repeats: int
    run_seconds: float
    """Length of one repeat of a whole run or of a file."""
    latency_events: int
    idle_s: float
    check_events: int
    """Events compared between mimoCoRB and us."""


FULL: Final = Effort(
    repeats=5, seconds=1.0, run_repeats=3, run_seconds=4.0, latency_events=1000, idle_s=10.0, check_events=1000
)
QUICK: Final = Effort(
    repeats=1, seconds=0.0, run_repeats=1, run_seconds=0.0, latency_events=20, idle_s=0.3, check_events=40
)
"""Only to see that everything runs; the figures mean nothing."""

Measure = Callable[[], float]


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


class Sized:
    """A measurement of a rate over n events, with n such that it takes `seconds`.

    The first call warms up and finds n: it measures `first` events, and does not count.
    """

    def __init__(self, measure: Callable[[int], float], first: int, seconds: float) -> None:
        self._measure = measure
        self._first = first
        self._seconds = seconds
        self._events = 0 if seconds else first

    def __call__(self) -> float:
        """Measure once; events per second."""
        if not self._events:
            self._events = max(self._first, int(self._measure(self._first) * self._seconds))
        return self._measure(self._events)


def alternate(subjects: Mapping[str, Measure], repeats: int, unit: str = "ev/s") -> dict[str, Series]:
    """Measure each of `subjects` in turn, `repeats` times over; the results by the same names.

    What raises Missing or BenchError is left out from then on, with the reason in its Series.
    """
    values: dict[str, list[float]] = {name: [] for name in subjects}
    reasons: dict[str, dict[str, str]] = {}
    for _ in range(repeats):
        for name, measure in subjects.items():
            if name in reasons:
                continue
            try:
                values[name].append(measure())
            except Missing as error:
                reasons[name] = {"missing": str(error)}
                say(f"  {name}: not measured: {error}")
            except BenchError as error:
                reasons[name] = {"failed": str(error)}
                say(f"  {name}: FAILED: {error}")
            else:
                say(f"  {name}: {number(values[name][-1])} {unit}")
    return {
        name: Series(name, **reasons[name]) if name in reasons else Series(name, tuple(found))
        for name, found in values.items()
    }
