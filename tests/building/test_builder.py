"""What becomes of single hits: complete, incomplete, late, duplicate."""

from __future__ import annotations

import numpy as np
import pytest

from building.model import collect
from mimodaq.functions.building import Builder


def add(builder, source, *keys, now=0.0):
    builder.add(source, np.array(keys, np.int64), now)


def out(builder, now=0.0, *, is_dry=False):
    return collect([builder.decide(now, is_dry=is_dry)])


def test_an_event_is_given_out_when_its_last_source_arrives():
    builder = Builder(2)
    add(builder, 0, 1)
    assert out(builder).events == []
    add(builder, 1, 1)
    assert out(builder).events == [(0, 0)]


def test_an_event_is_incomplete_when_the_missing_source_is_past_it():
    builder = Builder(2)
    add(builder, 0, 1)
    add(builder, 1, 2)
    assert out(builder).events == [(0, -1)]


def test_a_source_is_past_a_key_only_by_more_than_its_disorder():
    builder = Builder(2, disorder=2)
    add(builder, 0, 1, 9)
    add(builder, 1, 3)
    assert out(builder).events == []
    add(builder, 1, 4)
    assert out(builder).events == [(0, -1)]


def test_an_ended_source_is_not_waited_for():
    builder = Builder(2)
    add(builder, 0, 1)
    builder.end(1)
    assert out(builder).events == [(0, -1)]


def test_a_repeated_counter_is_a_duplicate_before_and_after_its_event_is_given_out():
    builder = Builder(2)
    add(builder, 0, 1, 1)
    add(builder, 1, 1)
    assert out(builder) == ([(0, 0)], set(), {(0, 1)})
    add(builder, 1, 1)
    assert out(builder) == ([], set(), {(1, 1)})


def test_a_second_hit_in_the_window_is_a_duplicate_and_one_behind_it_begins_a_new_event():
    builder = Builder(2, window=10)
    add(builder, 0, 100, 110, 111)
    add(builder, 1, 105, 130)
    assert out(builder) == ([(0, 0), (2, -1)], set(), {(0, 1)})
    builder.end(0)
    assert out(builder).events == [(-1, 1)]


def test_the_window_begins_with_the_first_hit_also_where_hits_follow_closely():
    builder = Builder(2, window=10)
    add(builder, 0, 0, 12, 24)
    add(builder, 1, 8, 19, 29)
    builder.end(0)
    builder.end(1)
    assert out(builder).events == [(0, 0), (1, 1), (2, 2)]


def test_an_event_waits_for_a_silent_source_no_longer_than_the_limit_and_its_partner_is_late():
    builder = Builder(2, max_wait_s=2.0)
    add(builder, 0, 1, now=10.0)
    builder.idle(1)
    assert builder.deadline() == 12.0
    assert out(builder, 11.9).events == []
    assert out(builder, 12.0).events == [(0, -1)]
    assert builder.timed_out == 1
    add(builder, 1, 1, 2, now=12.1)
    assert out(builder, 12.1).late == {(1, 0)}
    add(builder, 0, 2, now=12.2)
    assert out(builder, 12.2).events == [(1, 1)]


def test_the_wait_counts_from_the_first_hit_of_the_event():
    builder = Builder(3, max_wait_s=1.0)
    add(builder, 0, 7, now=0.0)
    add(builder, 1, 7, now=0.9)
    builder.idle(2)
    assert out(builder, 0.95).events == []
    assert out(builder, 1.0).events == [(0, 0, -1)]


def test_nothing_is_given_up_while_the_source_it_waits_for_still_delivers():
    """As when the builder itself was kept from reading for long."""
    builder = Builder(2, max_wait_s=1.0)
    add(builder, 0, *range(10), now=0.0)
    for counter in range(10):
        add(builder, 1, counter, now=50.0)
        assert out(builder, 50.0).events == [(counter, counter)]
    assert builder.timed_out == 0


def test_at_the_bound_the_lowest_events_are_given_up_but_only_when_nothing_new_is_there():
    builder = Builder(2, max_pending=8)
    add(builder, 0, *range(8))
    assert builder.room(0) == 0
    assert out(builder).events == []
    assert out(builder, is_dry=True).events == [(0, -1), (1, -1)]
    assert builder.room(0) == 2
    assert builder.crowded_out == 2
    add(builder, 1, 2)
    assert out(builder).events == [(2, 0)]


def test_more_hits_than_there_is_room_for_are_refused():
    builder = Builder(2, max_pending=2)
    with pytest.raises(ValueError, match="source 1 has room for 2 hits"):
        add(builder, 1, 1, 2, 3)


@pytest.mark.parametrize("stray", [10**15, -(10**15)])
def test_one_corrupt_time_does_not_spoil_the_events_after_it(stray):
    builder = Builder(2, window=10, max_wait_s=5.0)
    built = []
    for i in range(100):
        now = 0.1 * i
        keys = (1000 * i, stray) if i == 20 else (1000 * i,)
        add(builder, 0, *keys, now=now)
        add(builder, 1, 1000 * i + 3, now=now)
        builder.idle(0)
        builder.idle(1)
        built.append(builder.decide(now, is_dry=True))
    complete = [members for members in collect(built).events if -1 not in members]
    assert len(complete) >= 98
    assert sum(builder.out_of_order) == 1


def test_a_source_whose_counter_starts_again_is_built_in_again_when_the_others_do_so_too():
    builder = Builder(2)
    for source in (0, 1):
        add(builder, source, *range(100))
    assert len(out(builder).events) == 100
    add(builder, 0, 0, 1)
    assert out(builder).late == {(0, 100), (0, 101)}
    add(builder, 1, 0, 1)
    assert out(builder).late == {(1, 100), (1, 101)}
    add(builder, 0, 2)
    add(builder, 1, 2)
    assert out(builder).events == [(102, 102)]


def test_a_builder_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="63 sources"):
        Builder(63)
