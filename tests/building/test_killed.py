"""A builder that is killed at any moment loses nothing: what it had not released is built once more."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import count

import pytest

from building.bench import OUT, Bench, content, put, work
from mimodaq.ring import Batch
from ring.harness import Child

CONFIG = {"keep": {"incomplete": True, "late": True}}
TRIGGERS = 140


class Killed:
    """A buffer's end that hands out little at a time, and kills its process at a certain step of all ends together."""

    def __init__(self, end, steps, at) -> None:
        self._end = end
        self._steps = steps
        self._at = at
        self._last = None

    def __getattr__(self, name):
        return getattr(self._end, name)

    def _step(self):
        if next(self._steps) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def take(self, n, timeout=None):
        if self._last is not None:  # nothing more at this moment
            batch, self._last = Batch(*(part[:0] for part in self._last)), None
            return batch
        self._last = self._end.take(min(n, 25), timeout)
        return self._last

    def release(self, n=None):
        self._step()
        self._end.release(n)
        self._step()

    def claim(self, n, timeout=None):
        return self._end.claim(min(n, 17), timeout)

    def commit_batch(self, n=None):
        self._step()
        self._end.commit_batch(n)
        self._step()


def build(bench: Bench, at: int) -> None:
    steps = count()
    rings = {name: type(ring).attach(ring.segment) for name, ring in bench.rings.items()}
    readers = [Killed(rings[name].reader("Fkt_3", "it"), steps, at) for name in ("RB_1", "RB_2")]
    work(bench, CONFIG, readers, Killed(rings["OUT"].writer("it"), steps, at))


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_every_event_is_in_the_output_and_what_is_there_twice_was_redelivered(bench, at):
    for name in ("RB_1", "RB_2"):
        with bench.ring(name).writer("source") as writer:
            for counter in range(TRIGGERS):
                if (counter % 10 != 3 or name == "RB_1") and (counter % 10 != 7 or name == "RB_2"):
                    put(writer, counter)
    out = bench.ring("OUT", OUT, slots=1024)
    child = Child(build, bench, at)
    assert child.end() == -signal.SIGKILL
    with Child(build, bench, -1):
        pass
    found = content(out)
    redelivered = {name: bench.rings[name].status().groups[0].redelivered for name in ("RB_1", "RB_2")}
    for i, name in enumerate(redelivered):
        status = bench.rings[name].status().groups[0]
        assert status.released == status.committed
        members = Counter(found["counter"][(found["sources"] >> i) & 1 == 1].tolist())
        assert len(members) == status.committed
        assert members.total() - len(members) <= redelivered[name]
    complete = set(found["counter"][found["quality"] == 0].tolist())
    assert complete == {counter for counter in range(TRIGGERS) if counter % 10 not in (3, 7)}
