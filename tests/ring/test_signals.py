"""Processes that are stopped and go on, and processes that Ctrl-C strikes at any moment."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Ring, RingEnding
from mimodaq.ring._client import SLICE_S
from mimodaq.ring._core import locked
from ring.crew import BATCH, Book
from ring.harness import SMALL, Bell, Child, event_of, fill, key, numbers

LONG_ENOUGH_S = 3 * SLICE_S
"""After this time waiting processes have looked for dead ones at least once."""


def put(ring: Ring, *which: int) -> None:
    with ring.writer() as writer:
        for number in which:
            writer.put(event_of(SMALL, 1, number))


def test_a_stopped_reader_keeps_its_events(ring: Ring, new_bell: Callable[[], Bell]) -> None:
    holds, go_on = new_bell(), new_bell()
    put(ring, 0, 1, 2)

    def hold() -> None:
        with ring.reader("g", "sleeper") as reader:
            batch = reader.take(2)
            assert batch is not None
            holds.ring()
            go_on.wait()
            assert numbers(batch.events) == [0, 1]
            reader.release()

    with Child(hold) as sleeper, ring.reader("g", "other") as other:
        holds.wait()
        sleeper.send(signal.SIGSTOP)
        sleeper.wait_until_stopped()
        assert key(other.get()) & 0xFF == 2  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            other.get(LONG_ENOUGH_S)
        assert ring.reap() == []
        assert ring.status().groups[0].reading == 2
        sleeper.send(signal.SIGCONT)
        go_on.ring()
    group = ring.status().groups[0]
    assert (group.released, group.redelivered) == (3, 0)


def test_a_stopped_writer_keeps_its_slots(ring: Ring, new_bell: Callable[[], Bell]) -> None:
    holds, go_on = new_bell(), new_bell()

    def hold() -> None:
        with ring.writer("sleeper") as writer:
            batch = writer.claim(3)
            holds.ring()
            go_on.wait()
            fill(batch.events, 1, np.arange(3))
            writer.commit_batch()

    with Child(hold) as sleeper, ring.reader("g") as reader:
        holds.wait()
        sleeper.send(signal.SIGSTOP)
        sleeper.wait_until_stopped()
        put(ring, 10, 11)
        assert [key(reader.get()) & 0xFF for _ in range(2)] == [10, 11]  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            reader.get(LONG_ENOUGH_S)
        assert ring.status().writing == 3
        sleeper.send(signal.SIGCONT)
        go_on.ring()
        assert [key(reader.get(10.0)) & 0xFF for _ in range(3)] == [0, 1, 2]  # type: ignore[arg-type]
        reader.release()
    assert ring.status().abandoned == 0


def test_a_process_stopped_with_the_lock_is_waited_for(ring: Ring) -> None:
    def stop_inside() -> None:
        locked(ring._core, os.kill, os.getpid(), signal.SIGSTOP)

    with Child(stop_inside) as sleeper:
        sleeper.wait_until_stopped()
        with Child(put, ring, 0) as other:
            assert not other.has_ended(LONG_ENOUGH_S)
            sleeper.send(signal.SIGCONT)
    assert ring.status().committed == 1
    assert ring.status().repairs == 0


class Interruptible:
    """Does something again and again although SIGINT strikes at any moment; the parent is told and lets it go on."""

    def __init__(self, new_bell: Callable[[], Bell], what: str) -> None:
        self.armed, self.struck, self.go_on = new_bell(), new_bell(), new_bell()
        self.what = what
        self.book = Book()

    def repeat(self, step: Callable[[], bool], recover: Callable[[], None]) -> None:
        """Repeat `step` while it is true, `recover` after every interrupt."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        while True:
            try:
                self.armed.ring()
                self._go(step)
                return
            except KeyboardInterrupt:
                self.struck.ring()
                self.go_on.wait()
                recover()

    @staticmethod
    def _go(step: Callable[[], bool]) -> None:
        while step():  # in a function of its own: Python 3.13 does not catch what strikes at the end of a loop
            pass

    def write(self, ring: Ring) -> None:
        """Put events until the end; what is committed but not booked when the interrupt comes is doubtful."""
        number = 0

        def step() -> bool:
            nonlocal number
            first = number
            try:
                if self.what == "claim":
                    batch = writer.claim(BATCH)
                    number += len(batch.events)
                    fill(batch.events, 1, np.arange(first, number))
                    writer.commit_batch()
                elif self.what == "slot":
                    number += 1
                    fill(writer.slot(), 1, first)
                    writer.commit()
                else:
                    number += 1
                    writer.put(event_of(ring.dtype, 1, first))
            except RingEnding:
                return False
            self.book.add(np.arange(first, number), number - first)
            return True

        with ring.writer() as writer:
            self.repeat(step, lambda: None)

    def read(self, ring: Ring, *, rejoin: bool) -> None:
        """Get events until the end; what is in hand when the interrupt comes is lost, or comes again after `rejoin`."""

        def step() -> bool:
            if self.what == "get":
                event = reader.get()
                if event is None:
                    return False
                self.book.add(int(event["number"][0]))
                return True
            batch = reader.take(BATCH)
            if batch is None:
                return False
            self.book.add(batch.events["number"][:, 0], len(batch.events))
            reader.release()
            return True

        def recover() -> None:
            nonlocal reader
            if rejoin:
                reader.close()
                reader = ring.reader("g")

        reader = ring.reader("g")
        self.repeat(step, recover)
        reader.release()  # what was taken just before an interrupt
        reader.close()


STRIKES = 100


@pytest.mark.parametrize("rejoin", [False, True], ids=["goes on", "rejoins"])
@pytest.mark.parametrize(("writing", "reading"), [("put", "get"), ("claim", "take"), ("slot", "take"), ("put", "take")])
@pytest.mark.parametrize("slots", [2, 40])
def test_an_interrupt_leaves_the_ring_whole_and_unlocked(
    new_ring: Callable[..., Ring], new_bell: Callable[[], Bell], slots: int, writing: str, reading: str, rejoin: bool
) -> None:
    ring = new_ring(slots=slots, max_deliveries=100)
    writer, reader = Interruptible(new_bell, writing), Interruptible(new_bell, reading)
    moments = random.Random(5)
    with Child(writer.write, ring) as writing_child, Child(lambda: reader.read(ring, rejoin=rejoin)) as reading_child:
        while len(writer.book) < 100 or len(reader.book) < 100:
            assert not writing_child.has_ended(0.001)
        for _ in range(STRIKES):
            victim, child = moments.choice([(writer, writing_child), (reader, reading_child)])
            victim.armed.wait()
            assert not child.has_ended(moments.uniform(0, 0.003))
            child.send(signal.SIGINT)
            victim.struck.wait()
            ring.verify()
            victim.go_on.ring()
        ring.end()
    put, seen = writer.book.entries(), reader.book.entries()
    status = ring.status()
    assert (status.free, status.repairs) == (slots, 0)
    group = status.groups[0]
    arrived = np.unique(seen)
    assert len(seen) - len(arrived) <= group.redelivered
    assert len(np.setdiff1d(arrived, put)) <= STRIKES * BATCH
    if rejoin:
        assert len(np.setdiff1d(put, seen)) == 0
        assert status.committed == len(arrived)
    else:
        assert group.redelivered == 0
        assert len(np.setdiff1d(put, seen)) <= STRIKES * BATCH
        assert status.committed - STRIKES * BATCH <= len(arrived) <= status.committed
