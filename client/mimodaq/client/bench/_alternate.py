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
    run_events: int
    """Events of the smallest run of an experiment."""
    latency_events: int
    idle_s: float
    check_events: int
    """Recorded events for the comparison of what mimoCoRB and we accept; 0 = no comparison."""


FULL: Final = Effort(
    repeats=5,
    seconds=1.0,
    run_repeats=3,
    run_seconds=4.0,
    run_events=500,
    latency_events=1000,
    idle_s=10.0,
    check_events=1000,
)
QUICK: Final = Effort(
    repeats=1, seconds=0.0, run_repeats=1, run_seconds=0.0, run_events=50, latency_events=20, idle_s=0.3, check_events=0
)
"""Only to see that everything runs; the figures mean nothing."""

_GROWTH: Final = 5
_OUTGROWN: Final = 2.0
"""A measurement of _GROWTH times as many events that takes this much longer is not mainly a start."""
_TOO_LONG: Final = 3.0

Measure = Callable[[], float]


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


class Sized:
    """A measurement of a rate over n events, with n such that they take about `seconds`.

    The first call warms up and finds n: it measures more and more events, beginning with `first`, until they take half
    of the time and that time is not mainly the cost of a start. These do not count. With `seconds` 0 n is `first`.
    """

    def __init__(self, measure: Callable[[int], float], first: int, seconds: float) -> None:
        self._measure = measure
        self._first = first
        self._seconds = seconds
        self._events = 0 if seconds else first

    def __call__(self) -> float:
        """Measure once; events per second."""
        if not self._events:
            self._events = self._size()
        return self._measure(self._events)

    def _size(self) -> int:
        events, before_s = self._first, float("inf")
        while True:
            took_s = events / self._measure(events)
            if took_s >= self._seconds / 2 and took_s >= _OUTGROWN * before_s:
                return max(self._first, int(events * self._seconds / took_s))
            if took_s > _TOO_LONG * self._seconds:
                return events
            events, before_s = events * _GROWTH, took_s


def alternate(subjects: Mapping[str, Measure], repeats: int, unit: str = "ev/s") -> dict[str, Series]:
    """Measure each of `subjects` in turn, `repeats` times over; the results by the same names.

    What raises Missing or BenchError is left out from then on, with the reason in its Series.
    """
    values: dict[str, list[float]] = {name: [] for name in subjects}
    left_out: dict[str, Series] = {}
    for _ in range(repeats):
        for name, measure in subjects.items():
            if name in left_out:
                continue
            try:
                values[name].append(measure())
            except Missing as error:
                left_out[name] = Series(name, missing=str(error))
                say(f"  {name}: not measured: {error}")
            except BenchError as error:
                left_out[name] = Series(name, failed=str(error))
                say(f"  {name}: FAILED: {error}")
            else:
                say(f"  {name}: {number(values[name][-1])} {unit}")
    return {name: left_out.get(name, Series(name, tuple(found))) for name, found in values.items()}
