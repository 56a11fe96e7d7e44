"""Whoever makes events visible, or slots free, tells those who wait for them, on whosever behalf it was done."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Observer, Reader, Ring, Writer
from mimodaq.ring import _layout as lay
from mimodaq.ring._client import Wait
from mimodaq.ring._core import locked
from ring.harness import NOW, SMALL, event_of, fill


def fall_asleep(client: Reader | Writer | Observer) -> Wait:
    """Do all that a client does before it sleeps; the number it watches is in the result."""
    attempt = client._attempt if isinstance(client, Observer) else lambda: client._attempt(1)
    outcome = locked(client._core, attempt)
    assert isinstance(outcome, Wait)
    assert client._core.words[client._row + lay.WAITING]
    return outcome


def is_woken(client: Reader | Writer | Observer, sleep: Wait) -> bool:
    return client._core.futex_value(client._waits_for_data) != sleep.value


def commit_quietly(writer: Writer) -> None:
    """Commit an event by a single store, as in the middle of a batch."""
    batch = writer.claim(4)
    fill(batch.events[:1], 1, np.array([0]))
    writer.commit_batch(1)


def release_quietly(reader: Reader) -> None:
    """Release an event by a single store, as in the middle of a batch."""
    reader._core.words[reader._done] += 1


def woken_by_a_publish(ring: Ring) -> int:
    """How many system calls would wake somebody if an event became visible now."""
    core = ring._core

    def publish() -> int:
        core.wake_readers()
        return len(core._to_wake)

    return locked(core, publish)


def let_come_back_soon(writer: Writer, reader: Reader) -> None:
    """Let a reader work so fast that it takes several events at a time from now on."""
    while not reader._words[reader._row + lay.SOON]:
        writer.put(event_of(SMALL, 1, 0))
        writer.flush()
        assert reader.get(NOW) is not None


def test_the_work_is_left_to_a_member_that_is_back_soon(ring: Ring) -> None:
    writer, at_work, idle = ring.writer(), ring.reader("g"), ring.reader("g")
    assert fall_asleep(idle).is_nap is False
    assert woken_by_a_publish(ring) == 1  # nobody is at work, and she would not look
    let_come_back_soon(writer, at_work)
    assert woken_by_a_publish(ring) == 1  # she sleeps since before and would not look
    assert fall_asleep(idle).is_nap
    assert woken_by_a_publish(ring) == 0
    locked(ring._core, idle._call_peers)  # two looks later
    assert woken_by_a_publish(ring) == 1


def test_nobody_is_left_the_work_who_waits_or_takes_single_events(ring: Ring) -> None:
    writer, other, idle = ring.writer(), ring.reader("g"), ring.reader("g")
    let_come_back_soon(writer, other)
    assert fall_asleep(idle).is_nap
    fall_asleep(other)
    assert woken_by_a_publish(ring) == 1
    writer.put(event_of(SMALL, 1, 1))
    writer.flush()
    other._want = 1
    assert locked(other._core, lambda: other._attempt(1)) is True
    assert woken_by_a_publish(ring) == 1


def test_a_reader_looks_three_times_for_what_is_not_told(ring: Ring) -> None:
    writer, reader = ring.writer(), ring.reader("g")
    writer.claim(4)
    looks = []
    for _ in range(4):
        looks.append(fall_asleep(reader).is_nap)
        reader._looks += 1  # as the loop around it does
    assert looks == [True, True, True, False]


def test_a_slow_writer_claims_single_slots_and_so_lets_a_reader_sleep(ring: Ring) -> None:
    writer, reader = ring.writer(), ring.reader("g")
    for number in range(3):
        writer._since -= 1.0  # as if a second had passed
        writer.put(event_of(SMALL, 1, number))
        assert reader.get(NOW) is not None
        assert fall_asleep(reader).is_nap is False
    assert writer._words[writer._row + lay.RUN_END] == writer._words[writer._row + lay.COMMITTED]


@pytest.mark.parametrize("harvester", ["status", "another group", "an observer", "available", "end of the writer"])
@pytest.mark.parametrize("sleeper", ["reader", "observer"])
def test_an_event_found_by_somebody_wakes_the_others(
    new_ring: Callable[..., Ring], harvester: str, sleeper: str
) -> None:
    ring = new_ring(groups=["f", "g"])
    writer, sleeping, other = ring.writer(), ring.reader("g"), ring.reader("f")
    client = sleeping if sleeper == "reader" else ring.observer()
    sleep = fall_asleep(client)
    commit_quietly(writer)
    assert not is_woken(client, sleep)
    {
        "status": ring.status,
        "another group": lambda: other.get(NOW),
        "an observer": lambda: ring.observer().get(NOW),
        "available": other.available,
        "end of the writer": writer.close,
    }[harvester]()
    assert is_woken(client, sleep)


@pytest.mark.parametrize("harvester", ["status", "another writer", "reader", "end of the reader"])
def test_a_slot_found_free_by_somebody_wakes_the_writers(ring: Ring, harvester: str) -> None:
    writer, other, reader = ring.writer(), ring.writer(), ring.reader("g")
    for number in range(8):
        writer.put(event_of(SMALL, 1, number))
    reader.take(3)
    sleep = fall_asleep(writer)
    release_quietly(reader)
    release_quietly(reader)
    assert not is_woken(writer, sleep)
    {
        "status": ring.status,
        "another writer": lambda: other.slot(NOW),
        "reader": lambda: reader.take(1),
        "end of the reader": reader.close,
    }[harvester]()
    assert is_woken(writer, sleep)


def test_the_last_release_of_a_group_wakes_its_members(ring: Ring) -> None:
    with ring.writer() as writer:
        writer.put(event_of(SMALL, 1, 0))
    ring.end()
    holder, waiter = ring.reader("g"), ring.reader("g")
    holder.take(1)
    sleep = fall_asleep(waiter)
    release_quietly(holder)
    ring.status()
    assert is_woken(waiter, sleep)


@pytest.mark.parametrize("change", ["pause", "resume", "end", "close", "declare_ended"])
def test_every_change_of_the_ring_wakes_everybody(ring: Ring, change: str) -> None:
    writer, reader, observer = ring.writer(), ring.reader("g"), ring.observer()
    ring.pause()
    sleeps = [(client, fall_asleep(client)) for client in (writer, reader, observer)]
    getattr(ring, change)()
    assert all(is_woken(client, sleep) for client, sleep in sleeps)
