"""Thousands of simulated faults: events out = events in, none twice, in order, and it always ends.

`MIMODAQ_LINK_SEED=1234 python -m pytest tests/link/test_schedules.py` runs schedule 1234 of each test again.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from link.simulation import Cluster, SenderModel
from mimodaq.protocol.link import Outcome

MANY = int(os.environ.get("MIMODAQ_LINK_SCHEDULES", "150"))
"""Schedules per test."""
CHOSEN = os.environ.get("MIMODAQ_LINK_SEED")
"""Run this schedule only."""


@pytest.fixture
def each_schedule(request: pytest.FixtureRequest) -> Callable[[Callable[[int], None]], None]:
    """Call a check with many seeds; a failure names its seed."""

    def run(check: Callable[[int], None]) -> None:
        for seed in range(MANY) if CHOSEN is None else [int(CHOSEN)]:
            try:
                check(seed)
            except AssertionError as error:
                again = f"MIMODAQ_LINK_SEED={seed} python -m pytest {request.node.nodeid}"
                raise AssertionError(f"schedule {seed} (again with: {again}): {error}") from error

    return run


def check_books(cluster: Cluster) -> None:
    """What holds at the end of every schedule in which no ring was lost."""
    for name, mirror in cluster.mirrors.items():
        assert mirror.is_ended
        assert cluster.receivers[name].outcome is Outcome.DONE
        sender = cluster.senders[name]
        assert sender.outcome is Outcome.DONE
        place = cluster.source.places.get(name)
        if place is None:  # it has resigned, and found its mirror complete when it came back
            assert sender.resigned
            continue
        assert place.released == len(place.handed) == mirror.position, "sent and acknowledged differ"
        assert mirror.events[len(mirror.events) - mirror.position :] == place.handed


def test_a_link_loses_doubles_and_reorders_nothing(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed)
        cluster.run()
        check_books(cluster)
        assert cluster.mirrors["link0"].events == list(range(cluster.total))
        assert not cluster.senders["link0"].gaps
        assert not cluster.receivers["link0"].gaps

    each_schedule(check)


def test_strangers_and_noise_change_nothing(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed, strangers=True)
        cluster.run()
        check_books(cluster)
        assert cluster.mirrors["link0"].events == list(range(cluster.total))

    each_schedule(check)


def test_each_event_of_a_group_that_spans_hosts_goes_to_exactly_one(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed, hosts=2 + seed % 2)
        cluster.run()
        check_books(cluster)
        found = [event for mirror in cluster.mirrors.values() for event in mirror.events]
        assert sorted(found) == list(range(cluster.total))
        assert all(mirror.events == sorted(mirror.events) for mirror in cluster.mirrors.values())

    each_schedule(check)


def test_what_is_given_back_arrives_and_what_is_doubled_is_named(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed, hosts=2, give_back_s=1.0)
        cluster.run()
        check_books(cluster)
        found = Counter(event for mirror in cluster.mirrors.values() for event in mirror.events)
        assert sorted(found) == list(range(cluster.total)), "lost"
        # in one of some thousand schedules nobody takes the last ones that were given back: named, but not doubled
        assert sum(found.values()) - cluster.total <= cluster.doubled(), "doubled"
        assert sum(d.count for s in cluster.senders.values() for d in s.doubled) <= cluster.doubled()

    each_schedule(check)


def test_a_source_that_was_lost_leaves_an_exact_record(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed)
        in_ring: list[int] = []
        cluster.world.at(0.3 + seed % 17 / 5, lambda: in_ring.extend(cluster.lose_source()))
        cluster.run()
        mirror = cluster.mirrors["link0"]
        gaps = cluster.receivers["link0"].gaps
        missing = set(range(cluster.total)) - set(mirror.events)
        assert mirror.is_ended
        assert mirror.events == sorted(set(mirror.events))
        assert missing <= set(in_ring)
        for gap in gaps:
            before = mirror.events[: gap.old_position]
            after = mirror.events[gap.old_position :]
            assert not before or not after or not missing or before[-1] < min(missing) <= max(missing) < after[0]
        if mirror.position < len(mirror.events):
            # a receiver killed between the record and the deed writes the record again
            assert len({(gap.old_stream, gap.old_position, gap.new_stream) for gap in gaps}) == 1

    each_schedule(check)


def test_a_mirror_that_was_lost_takes_only_what_it_held(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed)
        cluster.world.at(0.3 + seed % 17 / 5, cluster.lose_mirror)
        cluster.run_until_sender_is_done()
        old, new = cluster.lost_mirrors[0] if cluster.lost_mirrors else None, cluster.mirrors["link0"]
        before = old.events if old else []
        assert sorted({*before, *new.events}) == list(range(cluster.total))
        assert new.events == sorted(set(new.events))
        sender = cluster.senders["link0"]
        if before and new.events:
            assert_gap_is_exact(sender, before, new.events)

    each_schedule(check)


def test_a_link_that_is_given_up_ends_with_an_exact_record(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        cluster = Cluster(seed)
        sender, receiver = cluster.senders["link0"], cluster.receivers["link0"]
        dice = random.Random(seed)
        for end in (sender, receiver):
            cluster.world.at(dice.uniform(0.0, 3.0), end.cut)
        cluster.run()
        mirror, place = cluster.mirrors["link0"], cluster.source.places["link0"]
        assert mirror.is_ended
        assert mirror.events == list(range(mirror.position)), "lost, doubled or out of order"
        assert place.released <= mirror.position
        if receiver.outcome is Outcome.CUT:
            assert receiver.cuts[-1].position == mirror.position
        if sender.cuts:
            cut = sender.cuts[-1]
            assert cut.position <= place.released <= mirror.position <= cut.sent
        if sender.outcome is Outcome.CUT and sender.cuts:
            assert place.released == sender.cuts[-1].position
        if sender.outcome is Outcome.DONE:
            assert place.released == mirror.position == cluster.total

    each_schedule(check)


def assert_gap_is_exact(sender: SenderModel, before: list[int], after: list[int]) -> None:
    if sender.gaps:
        assert sender.gaps[-1].old_position == after[0]
        assert len(before) - after[0] <= sender.gaps[-1].in_doubt
    else:
        assert after[0] == 0, "events were acknowledged by the former mirror, and nobody said so"


@pytest.mark.soak
def test_many_more_schedules(each_schedule: Callable[..., None]) -> None:
    def check(seed: int) -> None:
        for hosts in (1, 3):
            cluster = Cluster(1_000_000 + seed, hosts=hosts, strangers=bool(seed % 2), storm_s=20.0)
            cluster.run()
            check_books(cluster)
            found = [event for mirror in cluster.mirrors.values() for event in mirror.events]
            assert sorted(found) == list(range(cluster.total))

    each_schedule(check)


def test_a_schedule_follows_from_its_seed_alone() -> None:
    def story(seed: int) -> Iterator[object]:
        cluster = Cluster(seed, hosts=2)
        cluster.run()
        yield cluster.world.steps
        yield cluster.world.now
        yield from (mirror.events for mirror in cluster.mirrors.values())

    assert list(story(7)) == list(story(7))
