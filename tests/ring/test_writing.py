"""Putting events into a ring, in all the ways there are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Observed, Ring, RingFull, Writer
from ring.harness import NOW, SMALL, drain, event_of, fill, numbers

PAIR = np.dtype([("chA", "<f4", (3,)), ("n", "<i4", (1,)), ("flag", "u1")])


def put_many(writer: Writer, how_many: int, first: int = 0) -> None:
    for number in range(first, first + how_many):
        writer.put(event_of(SMALL, 1, number))


def newest(ring: Ring) -> Observed:
    with ring.observer() as observer:
        found = observer.get(NOW)
    assert found is not None
    return found


@pytest.fixture
def record() -> np.void:
    return np.array([([1.5, 2.5, 3.5], [7], 1)], PAIR)[0]


@pytest.mark.parametrize(
    "form",
    [
        lambda record: record,
        lambda record: record.reshape(1),
        np.array,
        lambda record: record.tobytes(),
        lambda record: bytearray(record.tobytes()),
        lambda record: memoryview(record.tobytes()),
        lambda record: {"chA": [1.5, 2.5, 3.5], "n": 7, "flag": True},
        lambda record: {"chA": np.array([1.5, 2.5, 3.5], "f8"), "n": [7], "flag": 1},
    ],
    ids=["record", "array", "array without dimension", "bytes", "bytearray", "memoryview", "mapping", "mapping 2"],
)
def test_an_event_may_have_many_forms(
    new_ring: Callable[..., Ring], record: np.void, form: Callable[[np.void], object]
) -> None:
    ring = new_ring(dtype=PAIR)
    with ring.writer() as writer:
        writer.put(form(record))  # type: ignore[arg-type]
    assert newest(ring).event == record


def test_the_dtype_of_an_event_may_be_an_equal_one(new_ring: Callable[..., Ring], record: np.void) -> None:
    ring = new_ring(dtype=PAIR)
    with ring.writer() as writer:
        writer.put(record.astype(np.dtype(PAIR.descr)))
        writer.put(record)
    assert drain(ring, "g") == [record, record]


def test_fields_that_a_mapping_leaves_out_are_zero(new_ring: Callable[..., Ring], record: np.void) -> None:
    ring = new_ring(slots=1, dtype=PAIR)
    with ring.writer() as writer:
        writer.put(record)
        drain(ring, "g")
        writer.put({"chA": 2})
    assert newest(ring).event == np.array([([2, 2, 2], [0], 0)], PAIR)[0]


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        (b"too short", ValueError, "an event has 24 bytes, 9 were given"),
        ({"nonsense": 1}, ValueError, "no field 'nonsense'; it has source, number, check"),
        ({"number": [1, 2]}, ValueError, "broadcast"),
        ({"number": "many"}, ValueError, "many"),
        (np.zeros(1, "f4"), TypeError, "takes events of .* not float32"),
        (np.zeros(2, SMALL), TypeError, "takes events of"),
        (np.zeros(1, PAIR)[0], TypeError, "takes events of"),
        (17, TypeError, "not int"),
        (None, TypeError, "not NoneType"),
    ],
)
def test_an_event_that_does_not_fit_is_refused(ring: Ring, event: object, error: type[Exception], says: str) -> None:
    with ring.writer() as writer:
        put_many(writer, 1)
        with pytest.raises(error, match=says):
            writer.put(event)  # type: ignore[arg-type]
        put_many(writer, 1, first=1)
    assert numbers(drain(ring, "g")) == [0, 1]
    assert ring.status().abandoned == 0


def test_metadata_have_defaults(ring: Ring) -> None:
    before = time.time()
    with ring.writer() as writer:
        put_many(writer, 3)
    found = newest(ring)
    assert (found.counter, found.deadtime, found.sequence) == (2, -1.0, 2)
    assert before <= found.timestamp <= time.time()


@pytest.mark.parametrize("way", ["put", "slot", "claim"])
def test_metadata_can_be_given(ring: Ring, way: str) -> None:
    with ring.writer() as writer:
        if way == "put":
            writer.put(event_of(SMALL, 1, 0), 17, 1.25, 0.5)
        elif way == "slot":
            fill(writer.slot(), 1, 0)
            writer.commit(17, 1.25, 0.5)
        else:
            batch = writer.claim(1)
            fill(batch.events, 1, np.array([0]))
            batch.counter[0], batch.timestamp[0], batch.deadtime[0] = 17, 1.25, 0.5
            writer.commit_batch()
    assert newest(ring)[1:] == (17, 1.25, 0.5, 0)


def test_metadata_of_an_event_refused_do_not_stick_to_the_next_one(ring: Ring) -> None:
    with ring.writer() as writer:
        put_many(writer, 1)
        with pytest.raises(ValueError, match="never"):
            writer.put(event_of(SMALL, 1, 1), counter=99, timestamp="never")  # type: ignore[arg-type]
        put_many(writer, 1, first=1)
    assert newest(ring).counter == 1


def test_a_slot_is_filled_in_place(ring: Ring) -> None:
    with ring.writer() as writer:
        for number in range(5):
            fill(writer.slot(), 1, number)
            writer.commit()
    assert numbers(drain(ring, "g")) == [0, 1, 2, 3, 4]


def test_a_commit_without_a_slot_does_nothing(ring: Ring) -> None:
    with ring.writer() as writer:
        writer.commit()
        writer.commit_batch()
        writer.put(event_of(SMALL, 1, 0))
        writer.commit()
        writer.commit_batch()
    assert ring.status().committed == 1


def test_a_batch_is_filled_in_place(ring: Ring) -> None:
    with ring.writer() as writer:
        batch = writer.claim(5)
        assert (len(batch.events), set(batch.counter), set(batch.deadtime)) == (5, {-1}, {-1.0})
        assert all(math.isnan(t) for t in batch.timestamp)
        fill(batch.events, 1, np.arange(5))
        writer.commit_batch()
    assert numbers(drain(ring, "g")) == [0, 1, 2, 3, 4]


def test_a_batch_has_at_most_the_slots_that_are_free_and_contiguous(ring: Ring) -> None:
    with ring.writer() as writer:
        assert len(writer.claim(100).events) == ring.slots
        fill(writer.claim(6).events, 1, np.arange(6))
        writer.commit_batch()
        drain(ring, "g")
        assert len(writer.claim(100).events) == 2


def test_part_of_a_batch_can_be_committed(ring: Ring) -> None:
    with ring.writer() as writer:
        batch = writer.claim(6)
        fill(batch.events, 1, np.arange(6))
        batch.counter[:] = 77
        writer.commit_batch(2)
        put_many(writer, 3, first=2)
        writer.claim(3)
        writer.commit_batch(0)
        put_many(writer, 1, first=5)
    with ring.reader("g") as reader:
        batch = reader.take(8)
        assert numbers(batch.events) == [0, 1, 2, 3, 4, 5]
        assert batch.counter.tolist() == [77, 77, 2, 3, 4, 5]
        reader.release()


@pytest.mark.parametrize("n", [-1, 4])
def test_only_what_is_in_hand_can_be_committed(ring: Ring, n: int) -> None:
    with ring.writer() as writer:
        fill(writer.claim(3).events, 1, np.arange(3))
        with pytest.raises(ValueError, match=f"{n} slots to commit, 3 are in hand"):
            writer.commit_batch(n)
        writer.commit_batch()
    assert numbers(drain(ring, "g")) == [0, 1, 2]


@pytest.mark.parametrize("then", ["put", "slot", "claim"])
def test_what_is_in_hand_goes_back_with_the_next_claim(ring: Ring, then: str) -> None:
    with ring.writer() as writer:
        writer.claim(5).counter[:] = 77
        if then == "put":
            writer.put(event_of(SMALL, 1, 0))
        elif then == "slot":
            fill(writer.slot(), 1, 0)
            writer.commit()
        else:
            fill(writer.claim(1).events, 1, np.array([0]))
            writer.commit_batch()
        writer.commit_batch()
    assert newest(ring).counter == 0
    assert ring.status().committed == 1
    assert ring.status().abandoned == 0


def test_a_full_ring_gives_up_after_the_time_allowed(ring: Ring) -> None:
    with ring.writer() as writer:
        put_many(writer, 8)
        with pytest.raises(RingFull, match=r"no free slot for 0\.0 s: its readers do not keep up"):
            writer.slot(NOW)
        with pytest.raises(RingFull):
            writer.claim(3, NOW)
        drain(ring, "g")
        fill(writer.slot(NOW), 1, 8)
        writer.commit()
    assert numbers(drain(ring, "g")) == [8]


def test_a_slot_in_hand_is_no_longer_after_the_ring_was_full(ring: Ring) -> None:
    with ring.writer() as writer, ring.writer() as other:
        writer.slot()
        put_many(other, 7)
        with pytest.raises(RingFull):
            other.slot(NOW)
        ring.pause()
        with pytest.raises(RingFull):
            writer.slot(NOW)
        writer.commit()
        ring.resume()
    assert numbers(drain(ring, "g")) == list(range(7))


def test_several_writers_share_a_ring(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    with ring.writer("a") as a, ring.writer("b") as b:
        for number in range(4):
            a.put(event_of(SMALL, 1, number))
            b.put(event_of(SMALL, 2, number))
        assert [(w.label, w.events) for w in ring.status().writers] == [("a", 4), ("b", 4)]
    assert sorted(numbers(drain(ring, "g"))) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_flush_makes_everything_visible(ring: Ring) -> None:
    with ring.writer() as writer:
        fill(writer.claim(4).events, 1, np.arange(4))
        writer.commit_batch(3)
        writer.flush()
        assert newest(ring).sequence == 2


def test_a_writer_that_falls_silent_leaves_slots_to_others(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=2)
    with ring.writer() as silent, ring.writer() as other:
        for number in range(20):
            silent.put(event_of(SMALL, 1, number))
            drain(ring, "g")
        for number in range(20):
            fill(other.slot(NOW), 2, number)
            other.commit()
            assert numbers(drain(ring, "g")) == [number]


def test_a_writer_that_takes_its_time_does_not_hold_up_others(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=100)
    with ring.writer() as slow, ring.writer() as fast:
        batch = slow.claim(10)
        put_many(fast, 30)
        assert numbers(drain(ring, "g")) == [*range(30)]
        fill(batch.events, 2, np.arange(10))
        slow.commit_batch()
    assert numbers(drain(ring, "g")) == [*range(10)]


def test_a_rest_of_a_run_is_claimed_unless_it_is_wanted_afresh(new_ring):
    ring = new_ring(slots=8, groups=["g"], expected_writers=1)
    writer = ring.writer()
    assert len(writer.claim(6).events) == 6
    writer.commit_batch(4)
    assert len(writer.claim(4, afresh=True).events) == 4
    writer.commit_batch(0)
    writer.close()
    ring.verify()
