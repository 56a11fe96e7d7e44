"""Schedules: the same seed gives the same one; bounded; nothing is hit twice at once."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.chaos._faults import BROKER, Kind, Place
from mimodaq.chaos._schedule import LASTS_S, NothingToBreak, make_schedule

LABELS = st.lists(st.sampled_from(["Fkt_1[0]", "Fkt_2[0]", "Fkt_2[1]"]), unique=True, max_size=3).map(tuple)
LINKS = st.lists(st.sampled_from(["RB_1:daq1>ana1[0]", "RB_2:ana1>sto[0]"]), unique=True, max_size=2).map(tuple)
NODES = st.builds(
    Place,
    st.sampled_from(["daq1", "ana1", "sto", BROKER]),
    LABELS,
    LINKS,
    can_cut=st.booleans(),
    can_fill_disk=st.booleans(),
    can_fill_shm=st.booleans(),
    can_step_clock=st.booleans(),
)
PLACES = st.lists(NODES, min_size=1, max_size=4, unique_by=lambda place: place.node)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), PLACES, st.integers(1, 60), st.floats(0.1, 300.0))
def test_a_seed_gives_one_schedule_of_faults_that_are_possible(seed, places, count, seconds):
    schedule = make_schedule(seed, places, count, seconds)
    assert schedule == make_schedule(seed, places, count, seconds)
    assert [fault.number for fault in schedule] == list(range(1, count + 1))
    assert [fault.at_s for fault in schedule] == sorted(fault.at_s for fault in schedule)
    by_name = {place.node: place for place in places}
    for fault in schedule:
        assert fault.target in by_name[fault.node].targets(fault.kind)
        shortest, longest = LASTS_S.get(fault.kind, (0.0, 0.0))
        assert shortest <= fault.lasts_s <= longest
        assert (fault.step_s != 0) == (fault.kind is Kind.CLOCK)
        assert fault.node in fault.words() or fault.kind is Kind.SHM


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), PLACES, st.integers(2, 60))
def test_nothing_is_hit_again_before_it_is_whole(seed, places, count):
    ends = defaultdict(float)
    for fault in make_schedule(seed, places, count, 10.0):
        assert fault.at_s >= ends[fault.victim]
        ends[fault.victim] = fault.ends_s


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_only_what_is_wanted_is_done(seed, count):
    places = [Place("daq1", ("Fkt_1[0]",), ("RB_1:daq1>ana1[0]",), can_cut=True), Place(BROKER)]
    wanted = {Kind.CUT, Kind.KILL_BROKER}
    assert {fault.kind for fault in make_schedule(seed, places, count, 60.0, wanted)} <= wanted


def test_another_seed_gives_another_schedule():
    places = [Place("daq1", ("Fkt_1[0]",)), Place(BROKER)]
    assert make_schedule(1, places, 20, 60.0) != make_schedule(2, places, 20, 60.0)


def test_every_kind_comes_up():
    places = [
        Place("daq1", ("Fkt_1[0]",), ("RB_1:daq1>ana1[0]",), can_cut=True, can_fill_disk=True, can_step_clock=True),
        Place(BROKER, can_fill_shm=True),
    ]
    assert {fault.kind for fault in make_schedule(3, places, 500, 3600.0)} == set(Kind)


def test_a_wish_that_cannot_be_had_is_refused():
    with pytest.raises(NothingToBreak, match="cut"):
        make_schedule(1, [Place("daq1")], 5, 10.0, [Kind.CUT])
