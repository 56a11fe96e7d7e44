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
