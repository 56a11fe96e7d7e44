"""Random histories of several writers, readers and observers against a model of plain lists."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from mimodaq.ring import Observed, Observer, Reader, Ring, RingFull, Writer, segment_name
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, dead_process, declare_dead, fill, keys

LIMIT = 3
"""Deaths after which an event is set aside."""
_names = itertools.count()


class Group:
    """A reader group as the model sees it: events are known by the keys written into them."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        """Events to be handed out for the first time, in the order of each source."""
        self.returned: set[int] = set()
        self.deaths: dict[int, int] = {}
        self.aside: set[int] = set()
        self.members = 0
        self.was_shared = False
        """Had several members at a time, who take events ahead of their use: their order is not known."""
        self.released = self.redelivered = self.quarantined = 0

    def join(self) -> None:
        """One member more."""
        self.members += 1
        self.was_shared |= self.members > 1

    def receive(self, event: int) -> None:
        """Check that this event could be handed out now."""
        if event in self.returned:
            self.returned.remove(event)
            return
        assert event in self.waiting, "an event was handed out that was not there, or twice"
        if not self.was_shared:
            assert not self.returned, "a new event was handed out before one that was returned"
            of_source = (other for other in self.waiting if other >> 40 == event >> 40)
            assert event == next(of_source), "an event was handed out out of order"
        self.waiting.remove(event)

    def give_back(self, seen: list[int]) -> None:
        """Count the death of a reader that had seen these events."""
        self.members -= 1
        for event in seen:
            self.deaths[event] = self.deaths.get(event, 0) + 1
            if self.deaths[event] >= LIMIT:
                self.aside.add(event)
            else:
                self.redelivered += 1
                self.returned.add(event)


class Source:
    """A writer and what it has put."""

    def __init__(self, writer: Writer, number: int) -> None:
        self.writer = writer
        self.number = number
        self.committed = 0
        self.in_hand = False
        self.is_alive = True


class Sink:
    """A reader and what it has in hand."""

    def __init__(self, reader: Reader, group: Group) -> None:
        self.reader = reader
        self.group = group
        self.held: deque[int] = deque()


class RingMachine(RuleBasedStateMachine):
    """Everything that can be done with a ring without waiting."""

    writers: Bundle[Source] = Bundle("writers")
    readers: Bundle[Sink] = Bundle("readers")
    observers: Bundle[Observer] = Bundle("observers")
    dead: Identity

    @initialize(slots=st.sampled_from([1, 2, 3, 5, 8, 16]), groups=st.integers(1, 3))
    def make(self, slots: int, groups: int) -> None:
        self.slots = slots
        self.groups = {f"g{k}": Group() for k in range(groups)}
        self.ring = Ring.create(
            segment_name(f"model{next(_names)}", partition="test"), SMALL, slots, groups=[*self.groups], buffer="model"
        )
        self.sources: list[Source] = []
        self.sinks: list[Sink] = []
        self.watchers: dict[Observer, int] = {}
        self.abandoned = 0
        self.is_paused = False
        self.sequence_of: dict[int, int] = {}
        """Key of each sequence number, as far as it was seen."""

    def meet(self, events: Any, counters: Any) -> list[int]:
        """Keys of events, checked: everybody sees the same event under a sequence number."""
        found: list[int] = keys(events).tolist()
        for event, sequence in zip(found, counters.tolist(), strict=True):
            assert self.sequence_of.setdefault(sequence, event) == event
        return found

    # -- coming and going -----------------------------------------------------------------------------------

    @rule(target=writers)
    def add_writer(self) -> Any:
        if len(self.sources) >= 12:
            return multiple()
        self.sources.append(Source(self.ring.writer(), len(self.sources)))
        return self.sources[-1]

    @rule(target=readers, which=st.integers(0, 3))
    def add_reader(self, which: int) -> Any:
        if len(self.sinks) >= 8:
            return multiple()
        name = sorted(self.groups)[which % len(self.groups)]
        self.sinks.append(Sink(self.ring.reader(name), self.groups[name]))
        self.groups[name].join()
        return self.sinks[-1]

    @rule(target=observers)
    def add_observer(self) -> Any:
        if len(self.watchers) >= 3:
            return multiple()
        observer = self.ring.observer()
        self.watchers[observer] = -1
        return observer

    @rule()
    def add_group(self) -> None:
        if len(self.groups) < 5:
            name = f"g{len(self.groups)}"
            self.ring.add_group(name)
            self.groups[name] = Group()

    @rule(source=consumes(writers), how=st.sampled_from(["close", "abandon", "die"]))
    def remove_writer(self, source: Source, how: str) -> None:
        if source.in_hand and how != "close":
            self.abandoned += 1
        if how == "die":
            declare_dead(source.writer, self.dead)
            self.ring.reap()
        else:
            getattr(source.writer, how)()
        source.is_alive = False

    @rule(sink=consumes(readers), how=st.sampled_from(["close", "abandon", "die"]))
    def remove_reader(self, sink: Sink, how: str) -> None:
        if how == "die":
            declare_dead(sink.reader, self.dead)
            self.ring.reap()
        else:
            getattr(sink.reader, how)()
        sink.group.give_back(list(sink.held))
        self.sinks.remove(sink)

    @rule(observer=consumes(observers))
    def remove_observer(self, observer: Observer) -> None:
        observer.close()

    # -- writing --------------------------------------------------------------------------------------------

    @rule(source=writers, way=st.sampled_from(["put", "slot"]))
    def put_one(self, source: Source, way: str) -> None:
        source.in_hand = False
        try:
            event = source.writer.slot(NOW)
        except RingFull:
            self.check_full()
            return
        if way == "slot":
            fill(event, source.number, source.committed)
            source.writer.commit()
        else:
            copy = np.zeros(1, SMALL)
            fill(copy, source.number, np.array([source.committed]))
            source.writer.put(copy[0])  # gives back the slot and claims it again: this cannot block
        self.commit(source, 1)

    @rule(source=writers, want=st.integers(1, 20), part=st.none() | st.integers(0, 20))
    def put_batch(self, source: Source, want: int, part: int | None) -> None:
        source.in_hand = False
        try:
            batch = source.writer.claim(want, NOW)
        except RingFull:
            self.check_full()
            return
        assert 1 <= len(batch.events) <= want
        assert set(batch.counter.tolist()) == {-1}
        fill(batch.events, source.number, source.committed + np.arange(len(batch.events)))
        n = len(batch.events) if part is None else min(part, len(batch.events))
        source.writer.commit_batch(n)
        self.commit(source, n)

    def commit(self, source: Source, n: int) -> None:
        for group in self.groups.values():
            group.waiting.extend(source.number << 40 | source.committed + k for k in range(n))
        source.committed += n

    @rule(source=writers, batch=st.booleans())
    def leave_unfinished(self, source: Source, batch: bool) -> None:
        try:
            if batch:
                source.writer.claim(4, NOW).counter[:] = 1 << 50
            else:
                source.writer.slot(NOW)
        except RingFull:
            source.in_hand = False
            self.check_full()
        else:
            source.in_hand = True

    @rule(source=writers)
    def flush(self, source: Source) -> None:
        source.writer.flush()

    def check_full(self) -> None:
        assert self.is_paused or self.ring.status().free == 0

    # -- reading --------------------------------------------------------------------------------------------

    @rule(sink=readers)
    def get(self, sink: Sink) -> None:
        sink.group.released += len(sink.held)
        sink.held.clear()
        try:
            event = sink.reader.get(NOW)
        except TimeoutError:
            return
        assert event is not None
        (found,) = self.meet(event.reshape(1), np.array([sink.reader.counter]))
        assert sink.reader.sequence == sink.reader.counter
        sink.group.receive(found)
        sink.held.append(found)

    @rule(sink=readers, want=st.integers(1, 20))
    def take(self, sink: Sink, want: int) -> None:
        batch = sink.reader.take(want, NOW)
        assert batch is not None
        assert len(batch.events) <= want
        for event in self.meet(batch.events, batch.counter):
            sink.group.receive(event)
            sink.held.append(event)

    @rule(sink=readers, part=st.none() | st.integers(0, 20))
    def release(self, sink: Sink, part: int | None) -> None:
        n = len(sink.held) if part is None else min(part, len(sink.held))
        sink.reader.release(None if part is None else n)
        sink.group.released += n
        for _ in range(n):
            sink.held.popleft()

    @rule(observer=observers)
    def observe(self, observer: Observer) -> None:
        try:
            found = observer.get(NOW)
        except TimeoutError:
            return
        assert found is not None
        self.meet(found.event.reshape(1), np.array([found.counter]))
        assert found.counter == found.sequence > self.watchers[observer]
        self.watchers[observer] = found.sequence

    # -- control --------------------------------------------------------------------------------------------

    @rule()
    def pause_or_resume(self) -> None:
        (self.ring.resume if self.is_paused else self.ring.pause)()
        self.is_paused = not self.is_paused

    @rule()
    def quarantine(self) -> None:
        kept: dict[str, set[int]] = {name: set() for name in self.groups}

        def keep(name: str, found: Observed, deaths: int) -> None:
            assert deaths == LIMIT
            kept[name].update(self.meet(found.event.reshape(1), np.array([found.counter])))

        assert self.ring.quarantine(keep) == sum(len(group.aside) for group in self.groups.values())
        for name, group in self.groups.items():
            assert kept[name] == group.aside
            group.quarantined += len(group.aside)
            group.aside.clear()

    @rule()
    def compare(self) -> None:
        """The figures of the ring with those of the model; this publishes and releases everything."""
        status = self.ring.status()
        assert status.committed == sum(source.committed for source in self.sources)
        assert status.free + status.writing + status.ready == self.slots
        assert status.abandoned == self.abandoned
        assert status.repairs == 0
        for found in status.groups:
            group = self.groups[found.name]
            assert found.released == group.released
            assert found.redelivered == group.redelivered
            assert (found.aside, found.quarantined) == (len(group.aside), group.quarantined)
            assert found.committed == found.released + found.quarantined + found.pending + found.reading + found.aside

    @invariant()
    def is_whole(self) -> None:
        if hasattr(self, "ring"):
            self.ring.verify()

    def teardown(self) -> None:
        if not hasattr(self, "ring"):
            return
        try:
            self.drain()
        finally:
            self.ring.unlink()

    def drain(self) -> None:
        """End the stream: what is left comes out, then the end."""
        self.ring.end()
        for source in self.sources:
            if source.is_alive:
                source.writer.close()
        for sink in self.sinks:
            sink.reader.close()
            sink.group.give_back(list(sink.held))
        for name, group in self.groups.items():
            group.join()
            sink = Sink(self.ring.reader(name), group)
            while (batch := sink.reader.take(3, NOW)) is not None:
                for event in self.meet(batch.events, batch.counter):
                    sink.group.receive(event)
                sink.reader.release()
                sink.group.released += len(batch.events)
            sink.reader.close()
            assert not sink.group.returned
            assert not sink.group.waiting
        self.quarantine()
        self.compare()
        self.ring.verify()
        assert self.ring.status().free == self.slots


_HISTORIES = settings(deadline=None, suppress_health_check=list(HealthCheck))


class TestRing(RingMachine.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(_HISTORIES, max_examples=150, stateful_step_count=60, derandomize=True)


@pytest.mark.soak
class TestRingForHours(RingMachine.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(_HISTORIES, max_examples=20000, stateful_step_count=100)


@pytest.fixture(scope="module", autouse=True)
def a_dead_process() -> None:
    RingMachine.dead = dead_process()
