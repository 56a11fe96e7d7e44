"""What event building means, written out plainly: all hits sorted, cut into events from the lowest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mimodaq.functions.building import Builder, Built, Quality


class Answer(NamedTuple):
    """Events as tuples of the number of each source's hit (-1 = none), in order; single hits as (source, number)."""

    events: list[tuple[int, ...]]
    late: set[tuple[int, int]]
    duplicates: set[tuple[int, int]]


def by_brute_force(streams: Sequence[Sequence[int]], window: int) -> Answer:
    """The answer for streams that keep to their order, without limits to time and memory."""
    hits = sorted((key, number, source) for source, keys in enumerate(streams) for number, key in enumerate(keys))
    answer = Answer([], set(), set())
    event: dict[int, int] = {}
    begin = 0
    for key, number, source in hits:
        if event and key > begin + window:
            answer.events.append(tuple(event.get(i, -1) for i in range(len(streams))))
            event = {}
        if not event:
            begin = key
        if source in event:
            answer.duplicates.add((source, number))
        else:
            event[source] = number
    if event:
        answer.events.append(tuple(event.get(i, -1) for i in range(len(streams))))
    return answer


def collect(parts: Sequence[Built]) -> Answer:
    """What a builder has given out, in the same form."""
    answer = Answer([], set(), set())
    for built in parts:
        for members, quality in zip(built.members.tolist(), built.quality.tolist(), strict=True):
            there = [(source, number) for source, number in enumerate(members) if number >= 0]
            match Quality(quality):
                case Quality.LATE:
                    (hit,) = there
                    answer.late.add(hit)
                case Quality.DUPLICATE:
                    (hit,) = there
                    answer.duplicates.add(hit)
                case _:
                    assert (quality == Quality.COMPLETE) == (len(there) == len(members))
                    answer.events.append(tuple(members))
    return answer


def members_of(parts: Sequence[Built]) -> list[tuple[int, int]]:
    """Every (source, number) that was given out, as often as it was."""
    return sorted(
        (source, number)
        for built in parts
        for members in built.members.tolist()
        for source, number in enumerate(members)
        if number >= 0
    )


def feed(builder: Builder, streams: Sequence[Sequence[int]], schedule: Sequence[tuple[int, int]]) -> list[Built]:
    """Hand in the streams in turns of (source, hits), then what is left of them, and end them; time stands still."""
    taken = [0] * len(streams)
    parts = []
    rest = [(source, len(keys)) for source, keys in enumerate(streams)]
    for source, n in [*schedule, *rest]:
        keys = streams[source][taken[source] : taken[source] + n]
        taken[source] += len(keys)
        if keys:
            builder.add(source, np.array(keys, np.int64), 0.0)
        elif taken[source] == len(streams[source]) and (source, n) in rest:
            builder.end(source)
        parts.append(builder.decide(0.0))
    for source in range(len(streams)):
        builder.end(source)
    return [*parts, builder.decide(0.0)]
