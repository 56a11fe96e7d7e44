"""Nodes are there as long as they are heard, and left-overs of the network are not heard."""

import pytest

from mimodaq.protocol.membership import Joined, Late, Lost, Membership, Presence, next_epoch


@pytest.fixture
def members():
    return Membership(late_s=1.0, lost_s=3.0)


def test_a_silent_node_is_late_once_and_then_lost_once(members):
    assert members.hear("pi", 1, 1, now=10.0) == (True, [Joined("pi", is_restarted=False)])
    assert members.deadline() == 11.0
    assert members.tick(10.9) == []
    assert members.tick(11.0) == [Late("pi", 1.0)]
    assert members.tick(12.0) == []
    assert members.deadline() == 13.0
    assert members.tick(13.0) == [Lost("pi", 3.0)]
    assert members.tick(99.0) == []
    assert members.deadline() is None
    assert members.presence("pi") is Presence.LOST


def test_a_late_node_that_is_heard_again_has_never_been_away(members):
    members.hear("pi", 1, 1, now=0.0)
    members.tick(1.5)
    assert members.hear("pi", 1, 2, now=2.0) == (True, [])
    assert members.presence("pi") is Presence.HERE


def test_a_lost_node_joins_again(members):
    members.hear("pi", 1, 1, now=0.0)
    members.tick(3.0)
    assert members.hear("pi", 1, 2, now=4.0) == (True, [Joined("pi", is_restarted=False)])


def test_a_restart_is_seen_at_once(members):
    members.hear("pi", 1, 50, now=0.0)
    assert members.hear("pi", 2, 1, now=0.1) == (True, [Joined("pi", is_restarted=True)])
    assert members.epoch("pi") == 2


@pytest.mark.parametrize("leftover", [(1, 51), (1, 50), (1, 1), (2, 7), (2, 6)])
def test_a_packet_that_is_old_or_comes_twice_renews_nothing(members, leftover):
    members.hear("pi", 1, 50, now=0.0)
    members.hear("pi", 2, 7, now=0.1)
    assert members.hear("pi", *leftover, now=0.9) == (False, [])
    assert members.tick(1.05) == []
    assert members.tick(1.2) == [Late("pi", pytest.approx(1.1))]
    members.tick(3.1)
    assert members.hear("pi", *leftover, now=4.0) == (False, [])
    assert members.presence("pi") is Presence.LOST


def test_nodes_do_not_disturb_each_other(members):
    members.hear("a", 1, 1, now=0.0)
    members.hear("b", 9, 1, now=2.5)
    assert members.tick(3.0) == [Lost("a", 3.0)]
    assert members.presence("b") is Presence.HERE
    assert members.silent_s("b", 3.0) == 0.5


def test_a_node_never_heard_is_lost(members):
    assert members.presence("ghost") is Presence.LOST
    assert members.epoch("ghost") == 0
    assert members.silent_s("ghost", 5.0) == float("inf")


def test_epochs_grow_though_the_clock_goes_back_or_the_state_is_lost():
    first = next_epoch(0, 1_000_000.5)
    assert next_epoch(first, 500_000.0) == first + 1
    assert next_epoch(0, 1_000_100.0) > first
