"""A kept place in a ring outlives its process: nothing it held goes astray, its numbers go on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Ring, RingError, Writer
from mimodaq.ring import _layout as lay
from mimodaq.ring._process import Identity
from ring.harness import SMALL, Child, declare_dead, drain, event_of, fill, numbers


def put(ring: Ring, count: int, first: int = 0) -> None:
    with ring.writer() as writer:
        for number in range(first, first + count):
            writer.put(event_of(SMALL, 1, number))


def commit(writer: Writer, count: int, first: int) -> None:
    for number in range(first, first + count):
        batch = writer.claim(1)
        fill(batch.events, 1, np.array([number]))
        writer.commit_batch()


def test_a_successor_holds_what_its_predecessor_was_handed(ring: Ring, dead: Identity) -> None:
    put(ring, 6)
    first = ring.reader("g", "link", kept=True)
    first.take(4)
    first.release(1)
    declare_dead(first, dead)
    second = ring.reader("g", "link", kept=True)
    assert (second.stream, second.released, second.taken) == (first.stream, 1, 4)
    assert numbers(second.again(1, 3).events) == [1, 2, 3]
    assert [second.sequence_of(number) for number in (1, 2, 3)] == [1, 2, 3]
    second.release(3)
    batch = second.take(9)
    assert batch is not None
    assert numbers(batch.events) == [4, 5]
    second.release()
    ring.verify()
    second.close()


def test_nobody_else_gets_the_events_of_a_dead_place(ring: Ring, dead: Identity) -> None:
    put(ring, 5)
    place = ring.reader("g", "link", kept=True)
    place.take(2)
    declare_dead(place, dead)
    assert ring.reap() == ["link"]
    assert numbers(drain(ring, "g")) == [2, 3, 4]
    assert ring.reap() == []
    ring.verify()


def test_events_in_hand_are_never_set_aside_however_often_the_holder_dies(ring: Ring, dead: Identity) -> None:
    put(ring, 1)
    for _ in range(9):
        place = ring.reader("g", "link", kept=True)
        if place.taken == 0:
            place.take(1)
        declare_dead(place, dead)
        ring.reap()
    with ring.reader("g", "link", kept=True) as place:
        assert numbers(place.again(0, 1).events) == [0]
        place.release()
    assert ring.status().groups[0].redelivered == 0


def test_a_place_that_is_given_up_returns_its_events(ring: Ring) -> None:
    put(ring, 5)
    place = ring.reader("g", "link", kept=True)
    stream = place.stream
    place.take(3)
    place.release(1)
    place.resign()
    assert numbers(drain(ring, "g")) == [1, 2, 3, 4]
    with ring.reader("g", "link", kept=True) as anew:
        assert anew.stream != stream
        assert anew.taken == 0


def test_a_place_that_retires_returns_its_events_and_stays_on_record(ring: Ring) -> None:
    put(ring, 5)
    place = ring.reader("g", "link", kept=True)
    place.take(3)
    place.release(1)
    place.retire()
    found = ring.place("link", "g")
    assert found is not None
    assert (found.is_finished, found.released, found.position) == (True, 1, 1)
    assert numbers(drain(ring, "g")) == [1, 2, 3, 4]
    assert ring.status().groups[0].redelivered == 0
    ring.verify()


def test_a_dead_place_is_given_up_from_outside(ring: Ring, dead: Identity) -> None:
    put(ring, 3)
    place = ring.reader("g", "link", kept=True)
    place.take(2)
    with pytest.raises(RingError, match=r"held by process \d+"):
        ring.forfeit("link", "g")
    declare_dead(place, dead)
    ring.forfeit("link", "g")
    ring.forfeit("link", "g")
    assert numbers(drain(ring, "g")) == [0, 1, 2]


def test_events_in_scattered_slots_are_copied_in_order(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=4)
    put(ring, 4)
    place = ring.reader("g", "link", kept=True)
    with ring.reader("g", "other") as other:
        place.take(1)
        other.take(1)
        place.take(1)
        other.take(1)
    batch = place.again(0, 2)
    assert numbers(batch.events) == [0, 2]
    assert batch.counter.tolist() == [0, 2]
    with pytest.raises(ValueError, match="has 0 to 1 in hand"):
        place.again(1, 2)
    place.close()


def test_a_place_is_held_by_one_living_process(ring: Ring) -> None:
    with ring.reader("g", "link", kept=True), pytest.raises(RingError, match="is held by process"):
        ring.reader("g", "link", kept=True)
    with pytest.raises(RingError, match="is complete"):
        ring.reader("g", "link", kept=True)
    with pytest.raises(ValueError, match="1 to 63 bytes"):
        ring.writer("x" * 64, kept=True)


def test_the_end_waits_for_what_others_may_give_back(ring: Ring) -> None:
    put(ring, 2)
    ring.end()
    place, other = ring.reader("g", "link", kept=True), ring.reader("g", "other")
    place.take(1)
    other.take(1)
    assert not place.is_at_end()
    other.release()
    assert place.is_at_end()
    place.release()
    place.close()
    other.close()


def test_a_kept_writer_goes_on_where_its_predecessor_was_killed(ring: Ring) -> None:
    ring.expect_writers(1)

    def work() -> None:
        writer = ring.writer("link", kept=True)
        writer.begin_stream(77, 100)
        commit(writer, 3, 0)
        fill(writer.claim(1).events, 1, np.array([3]))  # and is killed before the commit

    Child(work).end()
    ring.reap()
    place = ring.place("link")
    assert place is not None
    assert (place.stream, place.position, place.previous, place.is_finished) == (77, 103, 0, False)
    assert not ring.status().is_ended
    assert ring.status().abandoned == 1
    with ring.writer("link", kept=True) as writer:
        assert writer.stream == 77
        commit(writer, 1, 3)
    assert numbers(drain(ring, "g")) == [0, 1, 2, 3]
    place = ring.place("link")
    assert place is not None
    assert (place.position, place.is_finished) == (104, True)
    assert ring.status().is_ended


def test_a_new_stream_leaves_the_name_of_the_old_one(ring: Ring) -> None:
    assert ring.place("link") is None
    with ring.writer("link", kept=True) as writer:
        writer.begin_stream(5, 0)
        commit(writer, 2, 0)
        writer.begin_stream(6, 40)
        commit(writer, 1, 2)
    place = ring.place("link")
    assert place is not None
    assert (place.stream, place.previous, place.position) == (6, 5, 41)


def test_two_kept_writers_end_a_ring_once_each(ring: Ring) -> None:
    ring.expect_writers(2)
    ring.writer("one", kept=True).close()
    assert not ring.status().is_ended
    ring.writer("two", kept=True).close()
    assert ring.status().is_ended


def test_room_is_what_can_be_claimed(ring: Ring) -> None:
    with ring.writer("link", kept=True) as writer:
        assert writer.room() == 8
        commit(writer, 3, 0)
        assert writer.room() == 5
        ring.pause()
        assert writer.room() == 0


class Killed(BaseException):
    """Strikes like a signal between two stores."""


@pytest.mark.parametrize("at", range(40))
def test_a_kill_at_any_store_of_a_publish_neither_doubles_nor_loses_the_position(
    ring: Ring, dead: Identity, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ring.writer("link", kept=True)
    writer.begin_stream(9, 0)
    commit(writer, 2, 0)
    core = writer._core
    stores = 0
    batch = writer.claim(3)
    fill(batch.events, 1, np.arange(2, 5))

    class Words:
        """The words of the ring, the store number `at` of which kills."""

        def __init__(self, words: memoryview) -> None:
            self.words = words

        def __getitem__(self, key: int) -> int:
            return self.words[key]

        def __setitem__(self, key: int, value: int) -> None:
            nonlocal stores
            if stores == at:
                raise Killed
            stores += 1
            self.words[key] = value

    true_words = core.words
    was_killed = False
    writer._words = core.words = Words(true_words)  # type: ignore[assignment]
    monkeypatch.setattr(core, "recover", lambda: None)
    try:
        writer.commit_batch()
    except Killed:
        was_killed = True
    writer._words = core.words = true_words
    monkeypatch.undo()
    if was_killed and core.mutex.is_mine():
        core.redo()  # what the next owner of the lock does
        core.leave()
    committed = true_words[writer._row + lay.COMMITTED] == writer._begin + 3 or not was_killed
    declare_dead(writer, dead)
    ring.reap()
    place = ring.place("link")
    assert place is not None
    found = numbers(drain(ring, "g"))
    assert place.position == len(found)
    assert found == list(range(len(found)))
    assert len(found) in ((5,) if not was_killed else (2, 5))
    assert not committed or len(found) == 5
