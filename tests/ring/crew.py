"""Processes that write, read and watch a ring under load, and books that say exactly what each of them has done.

Every event carries its source and a number. A writer books a number as committed after the commit, a reader books an
event as seen before it releases it, both by stores to shared memory that survive the process. So after any number
of deaths it is known what must have arrived: all that is booked as committed; and what may have arrived: in
addition the one event, or batch, that each dead writer had in the works.
"""

from __future__ import annotations

import itertools
import mmap
import random
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from mimodaq.ring import Observed, Ring, RingEnding
from ring.harness import Child, event_of, fill, key, keys

CAPACITY = 1 << 24
"""Entries of a book: 128 MB of address space, of which only what is written to takes memory."""
BATCH = 7


class Book:
    """A list of int64 in shared memory, written by one process at a time."""

    def __init__(self) -> None:
        memory = mmap.mmap(-1, CAPACITY * 8)
        self._length = np.ndarray((1,), "i8", memory)
        self._entries = np.ndarray((CAPACITY - 1,), "i8", memory, 8)

    def __len__(self) -> int:
        return int(self._length[0])

    def add(self, entries: np.ndarray | int, n: int = 1) -> None:
        """Enter something, then count it."""
        length = self._length[0]
        self._entries[length : length + n] = entries
        self._length[0] = length + n

    def note(self, number: int) -> None:
        """Keep this number only."""
        self._entries[0] = number
        self._length[0] = 1

    def entries(self) -> np.ndarray:
        """All that was entered and counted."""
        return self._entries[: len(self)].copy()


@dataclass
class Role:
    """A place in the crew, taken by one process after the other."""

    name: str
    work: Callable[[Ring, Book, int], None]
    book: Book = field(default_factory=Book)
    group: str = ""
    doubtful: list[tuple[int, int]] = field(default_factory=list)
    """Writer: first and last + 1 of the numbers of which nobody knows whether they were committed."""
    next_number: int = 0
    child: Child | None = None


def write(ring: Ring, book: Book, source: int, first: int, how: str) -> None:
    """Put events until the end of the run, one by one or in batches."""
    with ring.writer(f"w{source}") as writer, suppress(RingEnding):
        number = first
        while True:
            if how == "put":
                writer.put(event_of(ring.dtype, source, number))
                number += 1
            elif how == "slot":
                fill(writer.slot(), source, number)
                writer.commit()
                number += 1
            else:
                batch = writer.claim(BATCH)
                fill(batch.events, source, number + np.arange(len(batch.events)))
                writer.commit_batch()
                number += len(batch.events)
            book.note(number)


def read(ring: Ring, book: Book, group: str, how: str) -> None:
    """Get events until the end of the stream, one by one or in batches."""
    with ring.reader(group, f"r{group}") as reader:
        if how == "get":
            while (event := reader.get()) is not None:
                book.add(key(event))
            return
        while (batch := reader.take(BATCH)) is not None:
            book.add(keys(batch.events), len(batch.events))
            reader.release()


def observe(ring: Ring, _: Book) -> None:
    """Watch until the end of the stream."""
    with ring.observer() as observer:
        last = -1
        while (found := observer.get()) is not None:
            key(found.event)
            assert last < found.sequence == found.counter
            last = found.sequence


class Crew:
    """Writers, readers and an observer of one ring; who is killed is replaced."""

    def __init__(self, ring: Ring, seed: int, prepare: Callable[[random.Random], None] = lambda _: None) -> None:
        self.ring = ring
        self.moments = random.Random(seed)
        self._prepare = prepare
        self.deaths = 0
        self.roles: list[Role] = []

    def add_writer(self, how: str) -> None:
        """Add a source."""
        source = len(self.roles)
        role = Role(f"writer {source} ({how})", lambda ring, book, first: write(ring, book, source, first, how))
        role.doubtful.append((0, 0))
        self.roles.append(role)

    def add_reader(self, group: str, how: str) -> None:
        """Add a member of a group."""
        work: Callable[[Ring, Book, int], None] = lambda ring, book, _: read(ring, book, group, how)  # noqa: E731
        self.roles.append(Role(f"reader of {group} ({how})", work, group=group))

    def add_observer(self) -> None:
        """Add an observer."""
        self.roles.append(Role("observer", lambda ring, book, _: observe(ring, book)))

    # -- keeping them at work -------------------------------------------------------------------------------

    def start(self, role: Role) -> None:
        """Let a process take a role."""
        seed = self.moments.random()
        segment = self.ring.segment

        def work() -> None:
            ring = Ring.attach(segment)
            self._prepare(random.Random(seed))
            role.work(ring, role.book, role.next_number)

        role.child = Child(work)

    def replace(self, role: Role) -> None:
        """Let another process go on where one was killed."""
        self.deaths += 1
        if role.doubtful:
            sure = self._sure(role)
            role.next_number = sure + BATCH
            role.doubtful.append((sure, role.next_number))
        self.start(role)

    @staticmethod
    def _sure(role: Role) -> int:
        """The number below which everything that this writer's process has begun is committed."""
        return max([role.next_number, *role.book.entries().tolist()])

    def start_all(self) -> None:
        """Let all begin."""
        for role in self.roles:
            self.start(role)

    def children(self) -> list[Child]:
        """The processes at work."""
        return [role.child for role in self.roles if role.child is not None]

    def let_die(self, deaths: int, longest_s: float) -> None:
        """Kill one after the other, at random moments, until so many have died, those included who kill themselves."""
        while self.deaths < deaths:
            ended = select.select(self.children(), [], [], self.moments.uniform(0, longest_s))[0]
            victims = [role for role in self.roles if role.child in ended]
            if not victims:
                victims = [self.moments.choice(self.roles)]
                victims[0].child.send(signal.SIGKILL)  # type: ignore[union-attr]
            for role in victims:
                assert role.child is not None
                assert role.child.end() == -9, f"{role.name} failed, see its traceback"
                self.replace(role)
                self._watch()

    def _watch(self) -> None:
        """Look at the ring from outside from time to time; a lock that hangs shows here."""
        if self.deaths % 50 == 0:
            self.ring.verify()

    def end(self) -> None:
        """End the run; everybody has to come to the end by himself."""
        self._prepare = lambda _: None
        self.ring.end()
        for role in self.roles:
            while role.child is not None:
                code = role.child.end()
                role.child = None
                if code == -9:  # the trap that it was started with
                    self.replace(role)
                else:
                    assert code == 0, f"{role.name} failed"

    def kill_all(self) -> None:
        """For tests that fail: leave nobody behind."""
        for role in self.roles:
            if role.child is not None:
                role.child.kill()
                role.child = None

    # -- the balance ----------------------------------------------------------------------------------------

    def check(self) -> str:
        """Compare the books of all with the figures of the ring; returns a summary."""
        quarantined: dict[str, list[int]] = {name: [] for name in self.ring.groups}

        def keep(group: str, found: Observed, _: int) -> None:
            quarantined[group].append(key(found.event))

        self.ring.quarantine(keep)
        self.ring.verify()
        status = self.ring.status()
        assert (status.free, status.writers, status.observers) == (self.ring.slots, (), 0)
        sure, doubtful = self._sure_events(), self._doubtful_events()
        arrived_of = []
        for group in status.groups:
            seen = np.concatenate([role.book.entries() for role in self.roles if role.group == group.name])
            distinct = np.unique(seen)
            arrived = np.union1d(distinct, np.array(quarantined[group.name], "i8"))
            assert len(np.setdiff1d(sure, arrived)) == 0, f"events lost by {group.name}"
            assert len(np.setdiff1d(arrived, np.union1d(sure, doubtful))) == 0, f"events nobody has put in {group.name}"
            assert len(seen) - len(distinct) <= group.redelivered, f"events seen twice by {group.name}, uncounted"
            assert group.committed == status.committed == len(arrived)
            assert group.released + group.quarantined == group.committed
            assert group.quarantined == len(quarantined[group.name])
            assert (group.pending, group.reading, group.aside, group.readers) == (0, 0, 0, ())
            arrived_of.append(arrived)
        for arrived in arrived_of:
            assert np.array_equal(arrived, arrived_of[0]), "groups have not got the same events"
        redelivered = [group.redelivered for group in status.groups]
        return (
            f"{self.deaths} deaths, {status.repairs} of them with the lock, {status.abandoned} slots half written; "
            f"{status.committed} events, redelivered {redelivered}, "
            f"quarantined {[group.quarantined for group in status.groups]}"
        )

    def _sure_events(self) -> np.ndarray:
        """All events that were booked as committed."""
        found = [np.empty(0, "i8")]
        for source, role in enumerate(self.roles):
            ranges = [*role.doubtful, (self._sure(role), 0)] if role.doubtful else []
            for (_, begin), (end, _) in itertools.pairwise(ranges):
                found.append(source << 40 | np.arange(begin, max(begin, end), dtype="i8"))
        return np.concatenate(found)

    def _doubtful_events(self) -> np.ndarray:
        """All events of which nobody knows whether they were committed."""
        ranges = [(source, span) for source, role in enumerate(self.roles) for span in role.doubtful]
        return np.concatenate([source << 40 | np.arange(*span, dtype="i8") for source, span in ranges])
