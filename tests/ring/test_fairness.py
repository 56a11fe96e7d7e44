"""A member that has taken several events and then turns slow gives the rest to an idle sister."""

import os
import queue
import threading

import numpy as np
import pytest

from mimodaq.ring import Ring, segment_name
from mimodaq.ring import _layout as lay

EVENTS = 4000
EVENT = np.dtype([("number", "<i8", (1,))])


@pytest.fixture
def ring():
    segment = segment_name("fair", partition=f"fairness-{os.getpid()}")
    made = Ring.create(segment, EVENT, 4096, groups=["filter"], expected_writers=1)
    yield made
    made.unlink()


def number(event):
    return int(event["number"][0])


class Sister(threading.Thread):
    """A second member of the group, which gives away the number of each event it gets, and None at the end."""

    def __init__(self, ring):
        super().__init__()
        self._ring = ring
        self._given: queue.Queue[int | None] = queue.Queue()
        self.start()

    def run(self):
        with self._ring.reader("filter", "sister") as sister:
            while (event := sister.get()) is not None:
                self._given.put(number(event))
        self._given.put(None)

    def next(self):
        return self._given.get(timeout=60)


def test_events_a_slow_member_has_not_begun_with_go_to_its_idle_sister(ring):
    with ring.writer() as writer:
        for i in range(EVENTS):
            writer.put({"number": i})
    slow = ring.reader("filter", "slow")
    seen = [number(slow.get())]
    while len(slow._run) - slow._next < 2:  # while it is fast it is handed more than one at a time
        seen.append(number(slow.get()))
    sister = Sister(ring)
    got = [sister.next() for _ in range(EVENTS - len(seen) - len(slow._run) + slow._next)]
    while not slow._words[slow._attention]:
        ring.status()  # the sister asks as soon as it has found nothing for itself
    seen.append(number(slow.get()))
    got.append(sister.next())  # while the slow one still has its event in hand
    slow.close()
    while (last := sister.next()) is not None:
        got.append(last)
    sister.join()
    assert sorted(set(seen + got)) == list(range(EVENTS))
    ring.verify()


def test_a_member_that_turns_slow_leaves_everything_that_comes_later_to_its_sister(ring):
    with ring.writer() as writer:
        slow = ring.reader("filter", "slow")
        written, seen = 0, []
        while not slow._words[slow._row + lay.SOON]:  # others rely on it to be back within a millisecond
            writer.put({"number": written})
            writer.flush()
            written += 1
            seen.append(number(slow.get()))
        sister = Sister(ring)
        got = []
        for _ in range(20):  # while the slow one has its last event in hand
            for _ in range(3):
                writer.put({"number": written})
                written += 1
            got += [sister.next() for _ in range(3)]
        slow.release()
        slow.close()
    assert sister.next() is None
    sister.join()
    assert seen + got == list(range(written))
    ring.verify()
