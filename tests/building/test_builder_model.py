"""The builder against a brute-force model, and what holds for any stream."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from building.model import by_brute_force, collect, feed, members_of
from mimodaq.functions.building import Builder, Quality

WINDOWS = st.sampled_from([0, 0, 1, 5, 20])
DISORDERS = st.sampled_from([0, 0, 1, 4, 15])


@st.composite
def ordered_streams(draw, disorder):
    """Streams with missing and repeated keys, out of order by `disorder` at most."""
    streams = []
    for _ in range(draw(st.integers(2, 4))):
        keys = draw(st.lists(st.integers(0, 120), max_size=30))
        late = draw(st.lists(st.integers(0, disorder), min_size=len(keys), max_size=len(keys)))
        streams.append([key for _, key in sorted(zip(map(sum, zip(keys, late, strict=True)), keys, strict=True))])
    return streams


def schedules(sources):
    return st.lists(st.tuples(st.integers(0, sources - 1), st.integers(0, 8)), max_size=40)


@settings(deadline=None)
@given(st.data(), WINDOWS, DISORDERS)
def test_the_result_is_that_of_sorting_everything_whatever_source_is_read_first(data, window, disorder):
    streams = data.draw(ordered_streams(disorder))
    builder = Builder(len(streams), window=window, disorder=disorder)
    found = collect(feed(builder, streams, data.draw(schedules(len(streams)))))
    assert found == by_brute_force(streams, window)
    assert builder.timed_out == builder.crowded_out == sum(builder.out_of_order) == 0


@settings(deadline=None)
@given(st.data(), WINDOWS, DISORDERS)
def test_events_come_in_the_order_of_their_keys(data, window, disorder):
    streams = data.draw(ordered_streams(disorder))
    parts = feed(Builder(len(streams), window=window, disorder=disorder), streams, data.draw(schedules(len(streams))))
    keys = np.concatenate([built.keys[built.quality <= Quality.INCOMPLETE] for built in parts])
    assert (np.diff(keys) > window).all()


@settings(deadline=None)
@given(st.sets(st.integers(0, 500), min_size=1, max_size=30).map(sorted))
def test_sorted_sources_that_have_all_delivered_leave_nothing_undecided(counters):
    builder = Builder(2)
    builder.add(0, np.array(counters), 0.0)
    assert not len(builder.decide(0.0))
    builder.add(1, np.array(counters), 0.0)
    assert builder.decide(0.0).quality.tolist() == [Quality.COMPLETE] * len(counters)
    assert builder.undecided_from(0) == builder.undecided_from(1) == len(counters)


@st.composite
def any_story(draw):
    """Sources, and steps: hits of a source in any order, time that passes, an end."""
    sources = draw(st.integers(1, 4))
    add = st.tuples(st.integers(0, sources - 1), st.lists(st.integers(-50, 200), min_size=1, max_size=12))
    step = st.one_of(add, add, add, st.sampled_from([0.1, 0.6, 1.1]), st.tuples(st.just("end"), st.integers(0, 3)))
    return sources, draw(st.lists(step, max_size=60))


@settings(deadline=None)
@given(any_story(), WINDOWS, DISORDERS, st.integers(1, 12), st.booleans())
def test_every_hit_is_in_exactly_one_event_and_the_bounds_hold(story, window, disorder, max_pending, is_dry):
    sources, steps = story
    builder = Builder(sources, window=window, disorder=disorder, max_wait_s=1.0, max_pending=max_pending)
    handed: list[list[int]] = [[] for _ in range(sources)]
    ended: set[int] = set()
    parts = []
    now = 0.0
    for step in steps:
        match step:
            case float():
                now += step
            case ("end", source):
                if source < sources:
                    ended.add(source)
                    builder.end(source)
            case (source, keys):
                if source not in ended:
                    keys = keys[: builder.room(source)]
                    handed[source] += keys
                    builder.add(source, np.array(keys, np.int64), now)
        if is_dry:
            for source in range(sources):
                builder.idle(source)
        parts.append(builder.decide(now, is_dry=is_dry))
        check_bounds(builder, parts, handed, now, is_dry)
    for source in range(sources):
        builder.end(source)
    parts.append(builder.decide(now))
    assert members_of(parts) == [(source, number) for source, keys in enumerate(handed) for number in range(len(keys))]
    assert builder.deadline() is None
    for built in parts:
        for members, first in zip(built.members.tolist(), built.keys.tolist(), strict=True):
            keys = [handed[source][number] for source, number in enumerate(members) if number >= 0]
            assert first == min(keys)
            assert max(keys) <= first + window


def check_bounds(builder, parts, handed, now, is_dry):
    given_out = members_of(parts)
    assert max(Counter(given_out).values(), default=1) == 1
    for source, keys in enumerate(handed):
        numbers = {number for of, number in given_out if of == source}
        waiting = set(range(len(keys))) - numbers
        assert builder.undecided_from(source) == min(waiting, default=len(keys))
        assert builder.room(source) == builder.max_pending - len(waiting) >= (1 if is_dry else 0)
    deadline = builder.deadline()
    assert deadline is None or deadline > now or not is_dry
