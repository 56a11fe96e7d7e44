"""Ctrl-C at every moment of every operation: the ring stays whole and unlocked, and everybody can go on."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

from mimodaq.ring import Observer, Reader, Ring, Writer
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, declare_dead, drain, event_of, fill, numbers
from ring.tracing import NEVER, Interrupts, watched

FIRST = 14
"""Events put before the interrupt; the first few of them are released, the next in hand of the reader."""
SLOTS = 24


class Scene:
    """A ring with a writer, a reader and an observer at work, which can be set back to how it was."""

    def __init__(self, ring: Ring, dead: Identity) -> None:
        self.ring = ring
        victims = [ring.reader("f", "victim") for _ in range(2)]
        self._writer = ring.writer("writer")
        for number in range(FIRST):
            self._writer.put(event_of(SMALL, 1, number))
        for victim in victims:
            victim.take(1)
            declare_dead(victim, dead)
            ring.reap()
        self._reader, self._observer = ring.reader("g", "reader"), ring.observer()
        for _ in range(3):
            self._reader.get(NOW)
        declare_dead(ring.writer("dead"), dead)
        for client in (self._writer, self._reader):  # to the lock, where most happens
            ring._core.words[client._attention] = 1
        self._memory = bytes(ring._core.mapping)
        self.start_again()

    def start_again(self) -> None:
        self.ring._core.mapping[:] = self._memory
        self.writer: Writer = copy.copy(self._writer)
        self.reader: Reader = copy.copy(self._reader)
        self.observer: Observer = copy.copy(self._observer)
        self.got: list[int] = []
        self.in_hand = 3

    # -- what is interrupted --------------------------------------------------------------------------------

    def put(self) -> None:
        for number in range(FIRST, FIRST + 3):
            self.writer.put(event_of(SMALL, 1, number))

    def fill_slot(self) -> None:
        fill(self.writer.slot(), 1, FIRST)
        self.writer.commit()

    def fill_batch(self) -> None:
        batch = self.writer.claim(5)
        fill(batch.events, 1, FIRST + np.arange(len(batch.events)))
        self.writer.commit_batch(1)

    def flush(self) -> None:
        self.writer.flush()

    def get(self) -> None:
        for _ in range(3):
            event = self.reader.get(NOW)
            if event is not None:
                self.got += numbers([event])

    def take(self) -> None:
        self.reader.release()
        batch = self.reader.take(2, NOW)
        if batch is not None:
            self.got += numbers(batch.events)

    def release(self) -> None:
        self.reader.release()

    def available(self) -> None:
        self.reader.available()

    def observe(self) -> None:
        self.observer.get(NOW)

    def status(self) -> None:
        self.ring.status()

    def pause_and_resume(self) -> None:
        self.ring.pause()
        self.ring.resume()

    def join_and_leave(self) -> None:
        with self.ring.writer("guest"), self.ring.reader("g", "guest"), self.ring.observer("guest"):
            pass

    def leave(self) -> None:
        self.writer.close()
        self.reader.close()
        self.observer.close()

    def add_group(self) -> None:
        self.ring.add_group("late")

    def quarantine(self) -> None:
        self.ring.quarantine(lambda *_: None)

    def reap(self) -> None:
        self.ring.reap()

    # -- and then -------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Everybody goes on and leaves; what was put arrives once, but for what was in hand when the interrupt came."""
        ring = self.ring
        assert not ring._core.mutex.is_mine()
        ring.verify()
        ring.resume()
        if self.writer._open:
            self.writer.put(event_of(SMALL, 1, 100))
        if self.reader._open:
            event = self.reader.get(NOW)
            assert event is not None
            self.got += numbers([event])
            while (batch := self.reader.take(4, NOW)) is not None and len(batch.events):
                self.got += numbers(batch.events)
                self.reader.release()
        for client in (self.writer, self.reader, self.observer):
            client.close()
            assert not client._registered
            assert client.label not in [writer.label for writer in ring.status().writers]
        self.got += numbers(drain(ring, "g"))
        ring.quarantine(lambda *_: None)
        ring.reap()
        drain(ring, "f")
        if "late" in ring.groups:
            drain(ring, "late")
        ring.verify()
        status = ring.status()
        assert (status.free, status.writing, status.repairs) == (SLOTS, 0, 0)
        assert len(set(self.got)) == len(self.got)
        assert status.committed - len(self.got) <= 2 + self.in_hand


OPERATIONS = [
    name for name, value in vars(Scene).items() if callable(value) and name not in ("__init__", "start_again", "go_on")
]


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # files and generators that the interrupt left open
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_interrupt_at_any_moment(new_ring: Callable[..., Ring], dead: Identity, operation: str) -> None:
    scene = Scene(new_ring(slots=SLOTS, groups=["f", "g"], max_deliveries=2), dead)
    with watched(Interrupts(NEVER)):
        getattr(scene, operation)()
    moments = 0
    while True:
        scene.start_again()
        try:
            with watched(Interrupts(moments)):
                getattr(scene, operation)()
        except KeyboardInterrupt:
            moments += 1
        else:
            break
        scene.go_on()
    scene.go_on()
    assert moments > 10
