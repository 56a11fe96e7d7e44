"""Which faults happen when: from a seed and from what there is to break. The same seed gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Final

from mimodaq.chaos._faults import Fault, Kind, Place, victim_of

WEIGHTS: Final = {
    Kind.KILL_WORKER: 5,
    Kind.STALL_WORKER: 3,
    Kind.KILL_LINK: 5,
    Kind.STALL_LINK: 3,
    Kind.KILL_NODE: 4,
    Kind.STALL_NODE: 2,
    Kind.KILL_BROKER: 2,
    Kind.STALL_BROKER: 1,
    Kind.CUT: 4,
    Kind.DISK: 1,
    Kind.SHM: 1,
    Kind.CLOCK: 1,
    Kind.GARBAGE: 2,
}
"""How often each kind, relative to the others."""

LASTS_S: Final = {
    Kind.STALL_WORKER: (0.2, 5.0),
    Kind.STALL_LINK: (0.2, 5.0),
    Kind.KILL_NODE: (0.1, 6.0),
    Kind.STALL_NODE: (0.2, 6.0),
    Kind.KILL_BROKER: (0.1, 6.0),
    Kind.STALL_BROKER: (0.2, 4.0),
    Kind.CUT: (0.1, 8.0),
    Kind.DISK: (1.0, 4.0),
    Kind.SHM: (1.0, 4.0),
    Kind.CLOCK: (3.0, 8.0),
}
"""Shortest and longest. A node is missed after 0.75 s and given up as lost after 2.5 s: both sides of that occur."""

REST_S: Final = 1.0
"""What was hit is left alone for so long."""
_STEP_S: Final = (0.5, 100.0)


class NothingToBreak(Exception):
    """There is nothing to which any of the faults that are wanted could be done."""


def make_schedule(
    seed: int, places: Sequence[Place], count: int, seconds: float, kinds: Collection[Kind] = tuple(Kind)
) -> tuple[Fault, ...]:
    """`count` faults, in the order of their times, all begun within `seconds` or as soon after as something is free.

    Nothing is hit by two faults at once, but different things are: a worker dies while the cable of its host is cut.
    Raises NothingToBreak.
    """
    dice = random.Random(seed)
    chances = {kind: WEIGHTS[kind] for kind in Kind if kind in kinds and _all_targets(kind, places)}
    if not chances:
        raise NothingToBreak(f"nothing here to which could be done: {', '.join(sorted(kind.value for kind in kinds))}")
    times = sorted(dice.uniform(0.0, seconds) for _ in range(count))
    busy: dict[tuple[str, str], float] = {}
    schedule: list[Fault] = []
    late_s = 0.0
    for number, time_s in enumerate(times, 1):
        at_s = max(time_s, late_s)
        free = _free(chances, places, busy, at_s)
        while not free:
            at_s = late_s = min(until for until in busy.values() if until > at_s)
            free = _free(chances, places, busy, at_s)
        kind = dice.choices(list(free), [chances[one] for one in free])[0]
        node, target = dice.choice(free[kind])
        fault = _fault(dice, number, at_s, kind, node, target)
        busy[victim_of(kind, node, target)] = fault.ends_s + REST_S
        schedule.append(fault)
    return tuple(schedule)


def _fault(dice: random.Random, number: int, at_s: float, kind: Kind, node: str, target: str) -> Fault:
    shortest, longest = LASTS_S.get(kind, (0.0, 0.0))
    lasts_s = shortest + (longest - shortest) * dice.random() ** 2  # short ones more often than long ones
    step_s = dice.choice((-1, 1)) * dice.uniform(*_STEP_S) if kind is Kind.CLOCK else 0.0
    return Fault(number, round(at_s, 3), kind, node, target, round(lasts_s, 3), round(step_s, 3))


def _all_targets(kind: Kind, places: Sequence[Place]) -> list[tuple[str, str]]:
    return [(place.node, target) for place in places for target in place.targets(kind)]


def _free(
    kinds: Collection[Kind], places: Sequence[Place], busy: dict[tuple[str, str], float], at_s: float
) -> dict[Kind, list[tuple[str, str]]]:
    free = {
        kind: [one for one in _all_targets(kind, places) if busy.get(victim_of(kind, *one), 0.0) <= at_s]
        for kind in kinds
    }
    return {kind: targets for kind, targets in free.items() if targets}
