"""Thousands of schedules of commands and faults; a schedule that fails names the command that plays it again."""

import os

import pytest

from cluster.chaos import Schedule

SCHEDULES = 2000
GROUPS = 40
AGAIN = os.environ.get("CHAOS_SEED")


@pytest.mark.skipif(AGAIN is not None, reason="one schedule is played again")
@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_breaks_a_rule_whatever_happens_when(cluster, group):
    count = SCHEDULES // GROUPS
    for seed in range(group * count, (group + 1) * count):
        try:
            Schedule(cluster(seed, with_codec=seed % 20 == 0)).play()
        except Exception as error:
            error.add_note(f"again: CHAOS_SEED={seed} python -m pytest tests/cluster/test_chaos.py -s")
            raise


@pytest.mark.skipif(AGAIN is None, reason="CHAOS_SEED names no schedule")
def test_one_schedule_again_with_its_history(cluster):
    Schedule(cluster(int(AGAIN)), print).play()


@pytest.mark.soak
def test_nothing_breaks_a_rule_in_a_hundred_thousand_schedules(cluster):
    for seed in range(SCHEDULES, 100_000):
        try:
            Schedule(cluster(seed)).play()
        except Exception as error:
            error.add_note(f"again: CHAOS_SEED={seed} python -m pytest tests/cluster/test_chaos.py -s")
            raise
