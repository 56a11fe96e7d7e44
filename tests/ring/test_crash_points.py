"""A change that is broken off anywhere and taken up by the next owner of the lock gives what an unbroken one gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mimodaq.ring import Ring, _changes, _core, _table
from mimodaq.ring import _layout as lay
from mimodaq.ring._core import Core, locked
from mimodaq.ring._process import Identity
from ring.harness import NOW, declare_dead, drain, fill
from ring.tracing import NEVER, Count, watched

FILES = (_core.__file__, _changes.__file__, _table.__file__)

Change = Callable[[], object]


class Death(BaseException):
    """The process dies here."""


def die() -> None:
    raise Death


def put(ring: Ring, n: int) -> None:
    with ring.writer() as writer:
        for number in range(n):
            fill(writer.slot(), 1, number)
            writer.commit()


def ring_of(new_ring: Callable[..., Ring], used: int) -> Ring:
    """Seven slots and two groups, with all positions moved on so that lists wrap."""
    ring = new_ring(slots=7, groups=["f", "g"], max_deliveries=2)
    put(ring, used)
    for group in ring.groups:
        drain(ring, group)
    return ring


def publish(ring: Ring, _: Identity) -> Change:
    writer = ring.writer()
    batch = writer.claim(4)
    n = len(batch.events)
    fill(batch.events, 1, np.arange(n))
    batch.counter[0], batch.deadtime[0] = 99, 0.5
    writer.commit_batch(n - 1)
    return lambda: ring._core.publish(writer._index)


def claim(ring: Ring, _: Identity) -> Change:
    put(ring, 2)
    writer = ring.writer()
    return lambda: ring._core.claim(writer._index, 3)


def unclaim(ring: Ring, _: Identity) -> Change:
    writer = ring.writer()
    fill(writer.claim(2).events, 1, np.arange(2))
    return lambda: ring._core.unclaim(writer._index, died=True)


def take(ring: Ring, _: Identity) -> Change:
    put(ring, 4)
    reader = ring.reader("g")
    return lambda: ring._core.take(reader._index, 3)


def take_again(ring: Ring, dead: Identity) -> Change:
    put(ring, 4)
    victim, reader = ring.reader("g"), ring.reader("g")
    victim.take(2)
    declare_dead(victim, dead)
    ring.reap()
    return lambda: ring._core.take(reader._index, 3)


def release(ring: Ring, _: Identity) -> Change:
    put(ring, 4)
    drain(ring, "f")
    reader = ring.reader("g")
    while len(reader.take(4, NOW).events):  # type: ignore[union-attr]
        pass
    ring._core.words[reader._done] += 3
    return lambda: ring._core.release(reader._index)


def give_back(ring: Ring, dead: Identity) -> Change:
    put(ring, 5)
    victim, reader = ring.reader("g"), ring.reader("g")
    victim.take(1)
    declare_dead(victim, dead)
    ring.reap()
    while len(ring._core.take(reader._index, 4)):
        pass
    ring._core.words[reader._handed] += 3
    return lambda: ring._core.give_back(reader._index, ring._core.words[reader._row + lay.HARVESTED])


def leave(ring: Ring, _: Identity) -> Change:
    writer = ring.writer()
    ring._core.words[writer._row + lay.C_WAIT_NS] = 1234
    return lambda: ring._core.remove(writer._index, closed=True)


def discard(ring: Ring, dead: Identity) -> Change:
    put(ring, 3)
    drain(ring, "f")
    for _ in range(2):
        victim = ring.reader("g")
        victim.get(NOW)
        declare_dead(victim, dead)
        ring.reap()
    (slot,) = ring._core.set_aside(1)
    return lambda: ring._core.discard(1, slot)


def begin_stream(ring: Ring, _: Identity) -> Change:
    writer = ring.writer("kept", kept=True)
    writer.begin_stream(11, 100)
    return lambda: ring._core.begin_stream(writer._index, 22, 200)


def leave_kept(ring: Ring, _: Identity) -> Change:
    writer = ring.writer("kept", kept=True)
    return lambda: ring._core.remove(writer._index, closed=False)


CHANGES = (publish, claim, unclaim, take, take_again, release, give_back, leave, leave_kept, discard, begin_stream)


def state(core: Core) -> dict[str, Any]:
    """Everything that means something: not the redo log, and of the readers' lists only what they hold."""
    w = core.words
    control = w[core.control + lay.HEAD : core.control + lay.CONTROL_WORDS].tolist()
    high = w[core.control + lay.HIGH]
    return {
        "control": control,
        "clients": [w[core.client(i) : core.client(i) + lay.CLIENT_WORDS].tolist() for i in range(high)],
        "groups": [w[core.group(g) : core.group(g) + lay.GROUP_WORDS].tolist() for g in range(2)],
        "held": [
            core.held(i, w[core.client(i) + lay.HARVESTED], w[core.client(i) + lay.TAKEN]).tolist()
            for i in core.clients(lay.READER)
        ],
        "has timestamp": (~np.isnan(core.timestamp)).tolist(),
        **{
            name: getattr(core, name).tolist()
            for name in ("state", "writer_of", "group_state", "group_owner", "deliveries", "sequence", "order")
        },
        **{name: getattr(core, name).tolist() for name in ("counter", "deadtime")},
    }


class Trial:
    """A ring just before a change, and the state after it."""

    def __init__(self, ring: Ring, change: Change) -> None:
        self.core = ring._core
        self.change = change
        self._memory = bytes(self.core.mapping)
        self.before = state(self.core)
        with watched(Count(NEVER, die, FILES)):
            locked(self.core, change)
        self.after = state(self.core)
        assert self.before != self.after

    def start_again(self) -> None:
        self.core.mapping[:] = self._memory

    def dies_at(self, n: int) -> bool:
        """Carry out the change up to the n-th byte code; false if it ended before."""
        self.core.enter()
        try:
            with watched(Count(n, die, FILES)):
                self.change()
        except Death:
            return True
        self.core.leave()
        return False

    def redo_dies_at(self, n: int) -> None:
        """Take the change up again, and die again."""
        try:
            with watched(Count(n, die, FILES)):
                self.core.redo()
        except Death:
            return


@pytest.mark.parametrize("used", [0, 5])
@pytest.mark.parametrize("prepare", CHANGES, ids=lambda prepare: prepare.__name__)
def test_a_change_broken_off_is_completed_or_has_not_begun(
    new_ring: Callable[..., Ring], dead: Identity, prepare: Callable[[Ring, Identity], Change], used: int
) -> None:
    ring = ring_of(new_ring, used)
    trial = Trial(ring, prepare(ring, dead))
    outcomes = []
    while True:
        trial.start_again()
        if not trial.dies_at(len(outcomes)):
            break
        trial.core.recover()
        ring.verify()
        found = state(trial.core)
        outcomes.append(found == trial.after)
        if not outcomes[-1]:
            assert found == trial.before
            locked(trial.core, trial.change)
            assert state(trial.core) == trial.after
    assert outcomes == sorted(outcomes), "once begun, the change must be completed"
    assert outcomes.count(True) > 30
    assert outcomes.count(False) > 30


@pytest.mark.parametrize("used", [0, 5])
@pytest.mark.parametrize("prepare", CHANGES, ids=lambda prepare: prepare.__name__)
def test_a_change_may_be_broken_off_any_number_of_times(
    new_ring: Callable[..., Ring], dead: Identity, prepare: Callable[[Ring, Identity], Change], used: int
) -> None:
    ring = ring_of(new_ring, used)
    trial = Trial(ring, prepare(ring, dead))
    moments = random.Random(17)
    begun = 0
    for _ in range(300):
        trial.start_again()
        trial.dies_at(moments.randrange(400))
        if not trial.core.words[trial.core.control + lay.OP]:
            trial.core.recover()
            continue
        for _ in range(moments.randrange(1, 4)):
            trial.redo_dies_at(moments.randrange(250))
        trial.core.recover()
        assert state(trial.core) == trial.after
        begun += 1
    assert begun > 30


def test_a_place_given_up_by_a_process_that_dies_over_it_holds_no_events(
    new_ring: Callable[..., Ring], dead: Identity
) -> None:
    deaths = 0
    with watched(Count(NEVER, die, FILES)):
        new_ring().reader("g", "kept", kept=True).resign()
    while True:
        ring = new_ring()
        put(ring, 3)
        holder = ring.reader("g", "kept", kept=True)
        holder.take(2)
        declare_dead(holder, dead)
        ring.reap()
        ring._core.enter()
        try:
            with watched(Count(deaths, die, FILES)):
                ring._core.forfeit(holder._index)
        except Death:
            deaths += 1
        else:
            break
        finally:
            ring._core.recover()
        ring.forfeit("kept", "g")
        ring.verify()
        assert len(drain(ring, "g")) == 3
    assert deaths > 100
