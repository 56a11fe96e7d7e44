"""Getting events as a member of a reader group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Ring
from ring.harness import NOW, SMALL, drain, event_of, fill, key, numbers


def put(ring: Ring, *which: int) -> None:
    """Put events and leave no slot claimed."""
    with ring.writer() as writer:
        for number in which:
            writer.put(event_of(SMALL, 1, number), counter=100 + number, timestamp=number / 2, deadtime=number / 100)


def number_of(event: np.void | None) -> int:
    assert event is not None
    return key(event) & 0xFFFFFFFFFF


def left(ring: Ring) -> tuple[int, int, int]:
    """Events released, pending and being read."""
    group = ring.status().groups[0]
    return group.released, group.pending, group.reading


def test_events_come_in_order_and_are_released_one_call_later(ring: Ring) -> None:
    put(ring, 0, 1, 2)
    with ring.reader("g") as reader:
        for number in range(3):
            assert number_of(reader.get()) == number
            assert left(ring)[0] == number


def test_the_metadata_belong_to_the_event_in_hand(ring: Ring) -> None:
    put(ring, 0, 1, 2)
    with ring.reader("g") as reader:
        assert not reader.has_event
        for number in range(3):
            reader.get()
            assert reader.has_event
            assert (reader.counter, reader.timestamp, reader.deadtime) == (100 + number, number / 2, number / 100)
            assert reader.sequence == number


def test_get_gives_up_after_the_time_allowed_and_has_released_the_event(ring: Ring) -> None:
    put(ring, 0)
    with ring.reader("g") as reader:
        reader.get()
        with pytest.raises(TimeoutError, match=r"no event for 0\.0 s"):
            reader.get(NOW)
        assert left(ring) == (1, 0, 0)
        put(ring, 1)
        assert number_of(reader.get(NOW)) == 1


def test_events_cannot_be_changed_by_readers(ring: Ring) -> None:
    put(ring, 0, 1)
    with ring.reader("g") as reader:
        event = reader.get()
        assert event is not None
        with pytest.raises(ValueError, match="read-only"):
            event["number"][0] = 5
        batch = reader.take(1)
        assert batch is not None
        with pytest.raises(ValueError, match="read-only"):
            batch.events["number"] = 5


def test_take_gives_consecutive_events_and_releases_none(ring: Ring) -> None:
    put(ring, *range(5))
    with ring.reader("g") as reader:
        first, second = reader.take(2), reader.take(10)
        assert first is not None
        assert second is not None
        assert (numbers(first.events), numbers(second.events)) == ([0, 1], [2, 3, 4])
        assert second.counter.tolist() == [102, 103, 104]
        assert second.timestamp.tolist() == [1.0, 1.5, 2.0]
        assert second.deadtime.tolist() == [0.02, 0.03, 0.04]
        assert left(ring) == (0, 0, 5)
        reader.release(3)
        assert left(ring) == (3, 0, 2)
        reader.release()
        assert left(ring) == (5, 0, 0)


def test_take_gives_an_empty_batch_after_the_time_allowed(ring: Ring) -> None:
    with ring.reader("g") as reader:
        batch = reader.take(3, NOW)
        assert batch is not None
        assert (len(batch.events), len(batch.counter)) == (0, 0)
        put(ring, 0)
        reader.take(3, NOW)
        batch = reader.take(3, NOW)
        assert batch is not None
        assert not len(batch.events)
        assert left(ring) == (0, 0, 1)


def test_batches_end_where_the_slots_are_not_contiguous(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=4)
    put(ring, 0, 1, 2)
    drain(ring, "g")
    put(ring, 3, 4, 5)
    with ring.reader("g") as reader:
        batches = [reader.take(4, NOW) for _ in range(3)]
        assert [numbers(batch.events) for batch in batches if batch is not None] == [[3], [4, 5], []]


def test_batches_are_contiguous_even_if_the_slots_come_in_any_order(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64, groups=["g", "h"])
    with ring.writer("a") as a, ring.writer("b") as b:
        first, second = a.claim(5), b.claim(5)
        fill(first.events, 1, np.arange(5, 10))
        fill(second.events, 1, np.arange(5))
        b.commit_batch()
        a.commit_batch()
    with ring.reader("g") as reader:
        found = []
        while len((batch := reader.take(64, NOW)).events):  # type: ignore[union-attr]
            found.append(numbers(batch.events))  # type: ignore[union-attr]
        assert found == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize("n", [-1, 4])
def test_only_what_was_taken_can_be_released(ring: Ring, n: int) -> None:
    put(ring, *range(5))
    with ring.reader("g") as reader:
        reader.take(3)
        with pytest.raises(ValueError, match=f"{n} events to release, 3 are taken"):
            reader.release(n)
        reader.release(0)
        assert left(ring)[0] == 0
        reader.release(3)
        reader.release()
        assert left(ring)[0] == 3


def test_get_releases_what_was_taken_before(ring: Ring) -> None:
    put(ring, *range(5))
    with ring.reader("g") as reader:
        reader.take(3)
        assert number_of(reader.get()) == 3
        assert left(ring)[0] == 3


def test_a_release_without_anything_taken_does_nothing(ring: Ring) -> None:
    put(ring, 0)
    with ring.reader("g") as reader:
        reader.release()
        reader.release(0)
        assert number_of(reader.get()) == 0


def test_the_number_of_events_available_is_known(ring: Ring) -> None:
    with ring.reader("g") as reader:
        assert reader.available() == 0
        put(ring, *range(4))
        assert reader.available() == 4
        reader.get()
        assert reader.available() == 3
        reader.take(2)
        assert reader.available() == 1


@pytest.mark.parametrize("leave", ["close", "abandon"])
def test_what_a_reader_has_not_touched_goes_back_uncounted(new_ring: Callable[..., Ring], leave: str) -> None:
    ring = new_ring(slots=64)
    put(ring, *range(20))
    reader = ring.reader("g")
    for number in range(7):  # fast enough to take several at once
        assert number_of(reader.get()) == number
    reader.release()
    getattr(reader, leave)()
    assert numbers(drain(ring, "g")) == list(range(7, 20))
    assert ring.status().groups[0].redelivered == 0


def test_what_a_reader_has_in_hand_when_it_leaves_goes_back(ring: Ring) -> None:
    put(ring, *range(4))
    reader = ring.reader("g")
    reader.take(2)
    reader.release(1)
    reader.close()
    assert numbers(drain(ring, "g")) == [1, 2, 3]
    assert ring.status().groups[0].redelivered == 1


def test_a_reader_called_to_the_lock_gives_back_what_it_has_not_touched(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    with ring.reader("g", "fast") as reader, ring.reader("g", "other") as other:
        put(ring, *range(20))
        for number in range(6):
            assert number_of(reader.get(NOW)) == number
        ring.pause()
        ring.resume()
        assert number_of(reader.get(NOW)) == 6
        rest = []
        while len((batch := other.take(64, NOW)).events):  # type: ignore[union-attr]
            rest += numbers(batch.events)  # type: ignore[union-attr]
            other.release()
        assert rest == list(range(7, 20))
        assert ring.status().groups[0].redelivered == 0


def test_members_of_a_group_share_its_events(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    put(ring, *range(30))
    with ring.reader("g", "a") as a, ring.reader("g", "b") as b:
        found = [number_of(a.get(NOW)), number_of(b.get(NOW))]
        for reader in (a, b):
            while reader.available():
                found.append(number_of(reader.get(NOW)))
    assert sorted(found) == list(range(30))
