"""What happens to the slots of a process that has died."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Observed, Reader, Ring, Writer
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, Child, declare_dead, drain, event_of, fill, numbers


def put(ring: Ring, *which: int) -> None:
    with ring.writer() as writer:
        for number in which:
            writer.put(event_of(SMALL, 1, number))


def die(ring: Ring, client: Reader | Writer, dead: Identity) -> None:
    declare_dead(client, dead)
    assert ring.reap() == [client.label]


def test_the_living_are_not_reaped(ring: Ring) -> None:
    with ring.writer(), ring.reader("g"), ring.observer():
        assert ring.reap() == []


def test_what_a_dead_writer_has_committed_is_kept(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(slots=64)
    writer = ring.writer()
    for number in range(11):
        writer.put(event_of(SMALL, 1, number))
    writer.slot()
    die(ring, writer, dead)
    assert numbers(drain(ring, "g")) == list(range(11))
    status = ring.status()
    assert (status.free, status.abandoned) == (64, 1)


@pytest.mark.parametrize(
    ("work", "abandoned"),
    [
        (lambda writer: None, 0),
        (lambda writer: writer.put(event_of(SMALL, 1, 0)), 0),
        (lambda writer: writer.slot(), 1),
        (lambda writer: (writer.slot(), writer.commit()), 0),
        (lambda writer: writer.claim(5), 1),
        (lambda writer: (writer.claim(5), writer.commit_batch(2)), 0),
    ],
)
@pytest.mark.parametrize("fate", ["dies", "leaves", "abandons"])
def test_only_a_slot_left_half_written_by_the_dead_counts_as_abandoned(
    ring: Ring, dead: Identity, work: Callable[[Writer], object], abandoned: int, fate: str
) -> None:
    writer = ring.writer()
    work(writer)
    if fate == "dies":
        die(ring, writer, dead)
    elif fate == "leaves":
        writer.close()
    else:
        writer.abandon()
    status = ring.status()
    assert (status.abandoned, status.writing) == (0 if fate == "leaves" else abandoned, 0)


def test_what_a_dead_reader_had_seen_is_redelivered_one_by_one(ring: Ring, dead: Identity) -> None:
    put(ring, *range(6))
    victim = ring.reader("g", "victim")
    victim.take(4)
    victim.release(1)
    die(ring, victim, dead)
    with ring.reader("g") as reader:
        found = []
        for _ in range(4):
            batch = reader.take(10, NOW)
            assert batch is not None
            found.append(numbers(batch.events))
            reader.release()
        assert found == [[1], [2], [3], [4, 5]]
    group = ring.status().groups[0]
    assert (group.redelivered, group.released) == (3, 6)


def test_what_a_dead_reader_had_not_seen_is_not_redelivered(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(slots=64)
    put(ring, *range(20))
    victim = ring.reader("g", "victim")
    for _ in range(7):  # fast enough to take several at once
        victim.get()
    die(ring, victim, dead)
    assert numbers(drain(ring, "g")) == list(range(6, 20))
    assert ring.status().groups[0].redelivered == 1


def test_other_groups_do_not_notice(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(groups=["f", "g"])
    put(ring, *range(5))
    drain(ring, "f")
    victim = ring.reader("g")
    victim.take(3)
    die(ring, victim, dead)
    assert drain(ring, "f") == []
    assert numbers(drain(ring, "g")) == list(range(5))
    assert [group.redelivered for group in ring.status().groups] == [0, 3]


def kill_a_reader_on_the_next_event(ring: Ring, dead: Identity) -> int:
    victim = ring.reader("g", "victim")
    (number,) = numbers([event for event in [victim.get(NOW)] if event is not None])
    die(ring, victim, dead)
    return number


def test_an_event_that_kills_three_readers_is_set_aside(ring: Ring, dead: Identity) -> None:
    put(ring, 0, 1)
    assert [kill_a_reader_on_the_next_event(ring, dead) for _ in range(3)] == [0, 0, 0]
    assert numbers(drain(ring, "g")) == [1]
    group = ring.status().groups[0]
    assert (group.aside, group.redelivered, group.released, group.quarantined) == (1, 2, 1, 0)
    assert ring.status().free == 7

    kept: list[tuple[str, Observed, int]] = []
    assert ring.quarantine(lambda *what: kept.append(what)) == 1
    assert ring.quarantine(lambda *what: kept.append(what)) == 0
    ((name, found, deaths),) = kept
    assert (name, numbers([found.event]), found.counter, found.sequence, deaths) == ("g", [0], 0, 0, 3)
    group = ring.status().groups[0]
    assert (group.aside, group.quarantined, ring.status().free) == (0, 1, 8)


def test_only_the_killer_in_a_batch_is_set_aside(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(slots=16)
    put(ring, *range(10))
    found = []
    deaths = 0
    while True:
        reader = ring.reader("g", f"victim {deaths}")
        while batch := reader.take(10, NOW):
            if not len(batch.events) or 5 in numbers(batch.events):
                break
            found += numbers(batch.events)
            reader.release()
        if not len(batch.events):  # type: ignore[union-attr]
            reader.close()
            break
        deaths += 1
        die(ring, reader, dead)
    assert deaths == 3
    assert found == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert ring.status().groups[0].aside == 1
    assert ring.quarantine(lambda *_: None) == 1


def test_the_number_of_deaths_allowed_is_an_option(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(max_deliveries=127)
    put(ring, 0)
    for _ in range(126):
        kill_a_reader_on_the_next_event(ring, dead)
    assert ring.status().groups[0].aside == 0
    kill_a_reader_on_the_next_event(ring, dead)
    assert ring.status().groups[0].aside == 1
    kept = []
    ring.quarantine(lambda _group, _event, deaths: kept.append(deaths))
    assert kept == [127]


def test_events_set_aside_stay_until_they_are_kept(ring: Ring, dead: Identity) -> None:
    put(ring, 0)
    for _ in range(3):
        kill_a_reader_on_the_next_event(ring, dead)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        ring.quarantine(fail)
    assert ring.status().groups[0].aside == 1
    assert ring.quarantine(lambda *_: None) == 1


def test_an_event_is_put_into_quarantine_by_one_process_only(ring: Ring, dead: Identity) -> None:
    put(ring, 0)
    for _ in range(3):
        kill_a_reader_on_the_next_event(ring, dead)
    counts = []

    def meanwhile_somebody_else(*_: object) -> None:
        counts.append(ring.quarantine(lambda *_: None))
        put(ring, *range(1, 9))

    counts.append(ring.quarantine(meanwhile_somebody_else))
    assert counts == [1, 0]
    assert ring.status().groups[0].quarantined == 1
    assert numbers(drain(ring, "g")) == list(range(1, 9))


def test_the_waiting_reap_the_dead_by_themselves(ring: Ring) -> None:
    put(ring, 0, 1, 2)

    def take_and_die() -> None:
        ring.reader("g", "victim").take(3)

    def claim_and_die() -> None:
        fill(ring.writer("victim").claim(5).events, 2, np.arange(5))

    Child(take_and_die).end()
    Child(claim_and_die).end()
    with ring.reader("g") as reader:
        for number in range(3):
            event = reader.get(10.0)
            assert event is not None
            assert numbers([event]) == [number]
    status = ring.status()
    assert (status.writers, status.groups[0].readers, status.abandoned) == ((), (), 1)


def test_a_full_ring_is_freed_from_the_dead_by_its_writer(ring: Ring) -> None:
    Child(lambda: ring.writer("victim").claim(8)).end()
    with ring.writer() as writer:
        fill(writer.slot(10.0), 1, 0)
        writer.commit()
    assert numbers(drain(ring, "g")) == [0]
