"""Thousands of schedules of commands and faults; a schedule that fails names the command that plays it again."""

import os

import pytest

from cluster.chaos import play, simulation_of

SCHEDULES = 2000
GROUPS = 40
AGAIN = os.environ.get("CHAOS_SEED")


@pytest.mark.skipif(AGAIN is not None, reason="one schedule is played again")
@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_breaks_a_rule_whatever_happens_when(cluster, group):
    count = SCHEDULES // GROUPS
    for seed in range(group * count, (group + 1) * count):
        play(seed, cluster)


@pytest.mark.skipif(AGAIN is None, reason="CHAOS_SEED names no schedule")
def test_one_schedule_again_with_its_history(cluster):
    play(int(AGAIN), cluster, print)


@pytest.mark.parametrize(("seed", "with_codec"), [(40, True), (41, False)])
def test_a_seed_is_the_same_schedule_each_time(cluster, seed, with_codec):
    assert simulation_of(seed, cluster).with_codec is with_codec
    histories = [], []
    for history in histories:
        play(seed, cluster, history.append)
    assert histories[0] == histories[1] != []


def test_an_error_names_the_seed_that_plays_it_again(cluster):
    def complain(text):
        raise RuntimeError(text)

    with pytest.raises(RuntimeError) as caught:
        play(40, cluster, complain)
    assert caught.value.__notes__ == ["again: CHAOS_SEED=40 python -m pytest tests/cluster/test_chaos.py -s"]


@pytest.mark.soak
def test_nothing_breaks_a_rule_in_a_hundred_thousand_schedules(cluster):
    for seed in range(SCHEDULES, 100_000):
        play(seed, cluster)
