"""Two writers, three readers in two groups and an observer, all at once in processes of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mimodaq.ring import Ring
from ring.crew import BATCH, Book, observe, read
from ring.harness import SMALL, WAVE, Child, event_of, fill

Members = list[tuple[Book, str, str]]


def write(ring: Ring, source: int, n: int, how: str) -> None:
    """Put n events, by turns in all ways or in one."""
    with ring.writer(f"w{source}") as writer:
        number = 0
        for way in itertools.cycle(("put", "slot", "claim") if how == "mixed" else (how,)):
            if number >= n:
                break
            if way == "put":
                writer.put(event_of(ring.dtype, source, number))
                number += 1
            elif way == "slot":
                fill(writer.slot(), source, number)
                writer.commit()
                number += 1
            else:
                batch = writer.claim(min(BATCH, n - number))
                fill(batch.events, source, number + np.arange(len(batch.events)))
                writer.commit_batch()
                number += len(batch.events)


@pytest.mark.parametrize(
    ("dtype", "slots", "n", "writing", "reading"),
    [
        (SMALL, 1, 1000, ("put", "claim"), ("get", "take", "get")),
        (SMALL, 3, 3000, ("put", "put"), ("get", "get", "get")),
        (SMALL, 50, 10000, ("mixed", "put"), ("get", "take", "take")),
        (SMALL, 1000, 30000, ("claim", "mixed"), ("take", "take", "get")),
        (WAVE, 5, 2000, ("slot", "claim"), ("get", "take", "take")),
        (WAVE, 100, 4000, ("mixed", "put"), ("take", "get", "get")),
    ],
)
def test_every_event_reaches_each_group_once_and_a_reader_alone_in_order(
    new_ring: Callable[..., Ring], dtype: Any, slots: int, n: int, writing: tuple[str, ...], reading: tuple[str, ...]
) -> None:
    ring = new_ring(slots=slots, dtype=dtype, groups=["f", "g"], expected_writers=2)
    members: Members = [(Book(), group, how) for group, how in zip("ffg", reading, strict=True)]
    children = [Child(read, ring, *member) for member in members]
    children.append(Child(observe, ring, Book()))
    children += [Child(write, ring, source, n, how) for source, how in enumerate(writing)]
    codes = [child.end() for child in children]
    assert codes == [0] * 6
    alone = members[2][0].entries()  # members that share a group may give events back to each other
    for source in range(2):
        assert (np.diff(alone[alone >> 40 == source]) == 1).all(), "events came out of order"
    everything = np.concatenate([source << 40 | np.arange(n) for source in range(2)])
    for group in "fg":
        found = np.sort(np.concatenate([book.entries() for book, name, _ in members if name == group]))
        assert np.array_equal(found, everything)
    status = ring.status()
    assert (status.committed, status.free, status.repairs, status.abandoned) == (2 * n, slots, 0, 0)
    assert [(group.released, group.redelivered) for group in status.groups] == [(2 * n, 0)] * 2


def test_a_writer_that_falls_silent_is_seen_up_to_its_last_event(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=64)
    with ring.writer() as writer:

        def read_all() -> None:
            with ring.reader("g") as reader:
                for number in range(50):
                    event = reader.get(10.0)
                    assert event is not None
                    assert event["number"][0] == number

        with Child(read_all):
            for number in range(50):
                writer.put(event_of(SMALL, 0, number))


def test_a_reader_in_the_middle_of_a_batch_gives_slots_to_a_waiting_writer(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=8)

    def write_more() -> None:
        with ring.writer() as writer:
            for number in range(8, 20):
                fill(writer.slot(10.0), 0, number)
                writer.commit()

    with ring.writer() as writer:
        for number in range(8):
            writer.put(event_of(SMALL, 0, number))
    with ring.reader("g") as reader:
        reader.take(8)
        with Child(write_more):
            for _ in range(12):
                reader.release(1)
                batch = reader.take(1, 10.0)
                assert batch is not None
                assert len(batch.events) == 1
        reader.release()


def test_members_leaving_and_joining_lose_nothing(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=20, expected_writers=1)
    books = [Book() for _ in range(3)]

    def come_and_go(book: Book) -> None:
        ended = False
        while not ended:
            with ring.reader("g") as reader:
                for _ in range(17):
                    event = reader.get()
                    if event is None:
                        ended = True
                        break
                    book.add(int(event["number"][0]))
                reader.release()

    children = [Child(come_and_go, book) for book in books]
    children.append(Child(write, ring, 0, 5000, "put"))
    assert [child.end() for child in children] == [0] * 4
    found = np.sort(np.concatenate([book.entries() for book in books]))
    assert np.array_equal(found, np.arange(5000))
    assert ring.status().groups[0].redelivered == 0
