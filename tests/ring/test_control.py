"""Pause, end, abort, and the wave that the end of the stream is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mimodaq.ring import Reader, Ring, RingClosed, RingEnding, RingFull, Writer
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, Bell, Child, declare_dead, drain, event_of, numbers


def put(writer: Writer, *which: int) -> None:
    for number in which:
        writer.put(event_of(SMALL, 1, number))


def rest(reader: Reader) -> list[int]:
    """Everything up to the end of the stream."""
    found = []
    while (event := reader.get(NOW)) is not None:
        found += numbers([event])
    return found


def test_writers_wait_during_a_pause_and_readers_go_on(ring: Ring) -> None:
    with ring.writer() as writer, ring.reader("g") as reader:
        put(writer, 0, 1, 2)
        assert not writer.is_paused
        ring.pause()
        ring.pause()
        assert writer.is_paused
        assert ring.status().is_paused
        with pytest.raises(RingFull):
            writer.slot(NOW)
        for _ in range(3):
            assert reader.get(NOW) is not None
        ring.resume()
        ring.resume()
        put(writer, 3)
        assert not writer.is_paused
        assert not ring.status().is_paused


def test_a_writer_waiting_is_woken_by_resume_and_by_end(ring: Ring, new_bell: Callable[[], Bell]) -> None:
    ready = new_bell()

    def write() -> None:
        with Ring.attach(ring.segment).writer() as writer:
            ready.ring()
            put(writer, 0)
            ready.ring()
            with pytest.raises(RingEnding):
                put(writer, *range(1, 100))

    ring.pause()
    with Child(write):
        ready.wait()
        ring.resume()
        ready.wait()
        ring.end()


def test_writers_are_told_to_stop_and_readers_get_the_rest(ring: Ring) -> None:
    with ring.reader("g") as reader:
        with ring.writer() as writer:
            put(writer, 0, 1, 2)
            assert not writer.is_ending
            ring.end()
            assert writer.is_ending
            assert ring.is_ending
            for _ in range(3):
                with pytest.raises(RingEnding, match="the run is ending"):
                    put(writer, 3)
            assert not ring.status().is_ended
        assert ring.status().is_ended
        assert rest(reader) == [0, 1, 2]
    assert ring.status().committed == 3


def test_a_writer_told_to_stop_in_the_middle_of_its_slots_writes_to_none(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    with ring.writer() as writer:
        put(writer, *range(11))  # fast enough to hold several slots
        ring.end()
        for _ in range(3):
            with pytest.raises(RingEnding):
                put(writer, 11)
        ring.verify()
        writer.flush()
        ring.verify()
    assert numbers(drain(ring, "g")) == list(range(11))


def test_the_stream_ends_when_the_writers_expected_have_closed(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(expected_writers=2)
    with ring.reader("g") as reader:
        with ring.writer() as first:
            put(first, 0)
        put(second := ring.writer(), 1)
        assert reader.get(NOW) is not None
        assert reader.get(NOW) is not None
        with pytest.raises(TimeoutError):
            reader.get(NOW)
        second.close()
        assert rest(reader) == []
        assert rest(reader) == []


def test_a_writer_that_dies_has_not_finished(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(expected_writers=2)
    ring.writer().close()
    put(victim := ring.writer("victim"), 0)
    ring.writer("quitter").abandon()
    declare_dead(victim, dead)
    assert ring.reap() == ["victim"]
    status = ring.status()
    assert (status.finished_writers, status.is_ended) == (1, False)
    ring.writer("replacement").close()
    assert ring.status().is_ended


def test_a_writer_left_by_an_exception_has_not_finished(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(expected_writers=1)
    with pytest.raises(ZeroDivisionError), ring.writer():
        raise ZeroDivisionError
    assert not ring.status().is_ended
    with pytest.raises(RingEnding), ring.writer():
        raise RingEnding
    assert ring.status().is_ended


def test_a_writer_that_does_not_come_back_can_be_given_up(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(expected_writers=1)
    put(victim := ring.writer(), 0)
    declare_dead(victim, dead)
    ring.give_up_writer()
    assert ring.status().is_ended
    assert numbers(drain(ring, "g")) == [0]


def test_fewer_writers_can_be_expected(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(expected_writers=3)
    ring.writer().close()
    assert not ring.status().is_ended
    ring.expect_writers(1)
    assert ring.status().is_ended


def test_the_end_can_be_declared_although_writers_are_there(ring: Ring) -> None:
    with ring.writer() as writer, ring.reader("g") as reader:
        put(writer, 0, 1)
        ring.declare_ended()
        assert rest(reader) == [0, 1]


def test_a_limit_is_kept_exactly(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=16, limit=20)
    found = []
    with ring.writer("a") as a, ring.writer("b") as b:
        for number in range(20):
            put(a if number % 3 else b, number)
            found += numbers(drain(ring, "g"))
        for writer in (a, b):
            with pytest.raises(RingEnding, match="all 20 events asked for are taken"):
                put(writer, 20)
    assert (ring.status().committed, found) == (20, list(range(20)))


def test_a_limit_holds_for_batches(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(limit=10)
    with ring.writer() as writer:
        while ring.status().committed < 10:
            writer.claim(7)
            writer.commit_batch()
            drain(ring, "g")
        with pytest.raises(RingEnding):
            writer.claim(7)
    assert ring.status().committed == 10


def test_an_abort_reaches_everybody(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    writer, reader, observer = ring.writer(), ring.reader("g"), ring.observer()
    put(writer, *range(10))
    for _ in range(6):
        reader.get(NOW)
    ring.close()
    status = ring.status()
    assert (status.is_closed, status.is_ending, writer.is_ending) == (True, True, True)
    for use in (
        lambda: put(writer, 10),
        lambda: writer.slot(NOW),
        lambda: writer.claim(2, NOW),
        lambda: reader.get(NOW),
        lambda: reader.take(2, NOW),
        reader.available,
        lambda: observer.get(NOW),
    ):
        with pytest.raises(RingClosed, match="the run was aborted"):
            use()
    for client in (writer, reader, observer):
        client.close()
    assert ring.status().groups[0].released + ring.status().groups[0].pending == 10


def test_an_abort_wakes_whoever_waits(ring: Ring, new_bell: Callable[[], Bell]) -> None:
    ready = new_bell()

    def write() -> None:
        with Ring.attach(ring.segment).writer() as writer:
            put(writer, *range(8))
            ready.ring()
            with pytest.raises(RingClosed):
                put(writer, 8)

    def read() -> None:
        with Ring.attach(ring.segment).reader("h") as reader:
            for _ in range(8):
                reader.get()
            ready.ring()
            with pytest.raises(RingClosed):
                reader.get()

    ring.add_group("h")
    with Child(write), Child(read):
        ready.wait()
        ready.wait()
        ring.close()


def test_a_member_that_holds_events_gets_the_end_at_once(ring: Ring) -> None:
    with ring.writer() as writer:
        put(writer, 0, 1, 2)
    ring.end()
    with ring.reader("g") as reader:
        reader.take(3)
        assert reader.take(3) is None
        assert ring.status().groups[0].reading == 3
        reader.release()


def test_a_member_that_holds_none_waits_for_the_others(ring: Ring, dead: Identity) -> None:
    with ring.writer() as writer:
        put(writer, 0, 1, 2)
    ring.end()
    holder = ring.reader("g", "holder")
    with ring.reader("g", "waiter") as waiter:
        holder.take(3)
        holder.release(1)
        with pytest.raises(TimeoutError):
            waiter.get(NOW)
        declare_dead(holder, dead)
        ring.reap()
        assert rest(waiter) == [1, 2]


def test_the_end_passes_from_member_to_member(new_ring: Callable[..., Ring], new_bell: Callable[[], Bell]) -> None:
    ring = new_ring(slots=16, groups=["f", "g"], expected_writers=2)
    ready = new_bell()

    def read(group: str) -> None:
        with Ring.attach(ring.segment).reader(group) as reader:
            ready.ring()
            while reader.get() is not None:
                pass

    def write() -> None:
        with Ring.attach(ring.segment).writer() as writer:
            put(writer, *range(100))

    with Child(read, "f"), Child(read, "f"), Child(read, "g"), Child(read, "g"):
        for _ in range(4):
            ready.wait()
        with Child(write), Child(write):
            pass
    status = ring.status()
    assert (status.is_ended, status.free) == (True, 16)
    assert [group.released for group in status.groups] == [200, 200]


def test_events_set_aside_do_not_hold_up_the_end(new_ring: Callable[..., Ring], dead: Identity) -> None:
    ring = new_ring(max_deliveries=1)
    with ring.writer() as writer:
        put(writer, 0, 1)
    ring.end()
    victim = ring.reader("g")
    victim.get()
    declare_dead(victim, dead)
    ring.reap()
    with ring.reader("g") as reader:
        assert rest(reader) == [1]
    assert ring.status().groups[0].aside == 1
