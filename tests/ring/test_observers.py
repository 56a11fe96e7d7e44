"""Looking at recent events without being in anybody's way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from mimodaq.ring import Observer, Ring, RingClosed, RingEnding, Writer
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, WAVE, Bell, Child, declare_dead, drain, event_of, key, keys


def put(writer: Writer, *which: int) -> None:
    for number in which:
        writer.put(event_of(SMALL, 1, number))


def seen(observer: Observer) -> int:
    found = observer.get(NOW)
    assert found is not None
    return key(found.event) & 0xFFFFFFFFFF


def test_an_observer_sees_the_newest_event_once(ring: Ring) -> None:
    with ring.writer() as writer, ring.observer() as observer:
        with pytest.raises(TimeoutError, match=r"no new event for 0\.0 s"):
            observer.get(NOW)
        put(writer, 0, 1, 2)
        assert seen(observer) == 2
        with pytest.raises(TimeoutError):
            observer.get(NOW)
        put(writer, 3, 4, 5, 6)
        assert seen(observer) == 6
        assert (observer.skipped, observer.torn) == (3, 0)


@pytest.mark.parametrize(("after", "numbers"), [(-1, [1, 2]), (1, [2]), (2, []), (1 << 62, []), ((1 << 63) - 1, [])])
def test_recent_events_are_those_after_a_number(ring: Ring, after: int, numbers: list[int]) -> None:
    with ring.writer() as writer, ring.observer() as observer:
        put(writer, 0, 1, 2)
        assert observer.recent(2, after).sequence.tolist() == numbers


def test_observers_take_nothing_from_anybody(ring: Ring) -> None:
    with ring.writer() as writer, ring.observer("a") as a, ring.observer("b") as b:
        put(writer, *range(8))
        assert (seen(a), seen(b)) == (7, 7)
        assert ring.status().observers == 2
        assert len(drain(ring, "g")) == 8
        put(writer, *range(8, 16))
        assert ring.status().free == 0


def test_an_event_can_be_seen_after_its_release(ring: Ring) -> None:
    with ring.writer() as writer, ring.observer() as observer:
        put(writer, 0, 1)
        drain(ring, "g")
        assert seen(observer) == 1


def test_what_an_observer_got_is_a_copy(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=1)
    with ring.writer() as writer, ring.observer() as observer:
        put(writer, 0)
        found = observer.get(NOW)
        drain(ring, "g")
        put(writer, 1)
        assert found is not None
        assert key(found.event) & 0xFF == 0


@pytest.mark.parametrize("fate", ["being filled", "given back", "left by the dead"])
def test_a_slot_overwritten_is_never_shown(new_ring: Callable[..., Ring], dead: Identity, fate: str) -> None:
    ring = new_ring(slots=1)
    with ring.writer() as writer, ring.observer() as observer:
        put(writer, 0)
        drain(ring, "g")
        other = ring.writer()
        other.slot()["number"] = 99
        if fate == "given back":
            other.close()
        elif fate == "left by the dead":
            declare_dead(other, dead)
            ring.reap()
        with pytest.raises(TimeoutError):
            observer.get(NOW)
        if fate == "being filled":
            other.close()
        put(writer, 1)
        assert seen(observer) == 1


def test_the_stream_ends_for_observers_too(ring: Ring) -> None:
    with ring.observer() as observer:
        with ring.writer() as writer:
            put(writer, 0)
            ring.end()
            assert seen(observer) == 0
        assert observer.get() is None


def test_an_abort_wakes_a_waiting_observer(ring: Ring, new_bell: Callable[[], Bell]) -> None:
    ready = new_bell()

    def observe() -> None:
        with Ring.attach(ring.segment).observer() as observer:
            ready.ring()
            with pytest.raises(RingClosed):
                observer.get()

    with Child(observe):
        ready.wait()
        ring.close()


def write_for_ever(segment: str) -> None:
    with Ring.attach(segment).writer() as writer, suppress(RingEnding):
        for number in itertools.count():
            writer.put(event_of(WAVE, 1, number))


def read_for_ever(segment: str) -> None:
    with Ring.attach(segment).reader("g") as reader:
        while reader.get() is not None:
            pass


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_events_seen_under_load_are_whole(new_ring: Callable[..., Ring], slots: int) -> None:
    ring = new_ring(slots=slots, dtype=WAVE)
    last = -1
    with Child(write_for_ever, ring.segment), Child(read_for_ever, ring.segment), ring.observer() as observer:
        first = observer.get()
        assert first is not None
        for count in range(1, 200):
            found = observer.get(10.0)
            assert found is not None
            keys(found.event.reshape(1))
            assert found.counter == found.sequence == key(found.event) & 0xFFFFFFFFFF
            assert found.sequence > last
            last = found.sequence
            assert observer.skipped == last - first.sequence - count
        ring.end()
