"""The readout's decisions, against a scope and a buffer made of numbers: every schedule, no driver, no clock."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.picoscope import _readout as ro
from mimodaq.picoscope._readout import Readout, Wish


class World:
    """A scope, a buffer and a run that behave at random; what is not allowed fails at once."""

    def __init__(self, seed: int, captures: int, latency_ns: int) -> None:
        self.random = random.Random(seed)
        self.now = 1_000
        self.readout = Readout(captures=captures, max_latency_ns=latency_ns, window_ns=100.0, begin_ns=self.now)
        self.wish = Wish.GO
        self.armed = 0
        self.done = 0
        self.claimed = 0
        self.unread: list[int] = []
        self.fetched: list[int] = []
        self.published: list[int] = []
        self.lost: list[int] = []
        self.is_gone = False
        self.number = 0
        self.trace: list[ro.Action] = []

    def play(self, steps: int) -> None:
        begin = self.now
        action = self.readout.handle(ro.Begun(), self.now, self.wish)
        while not isinstance(action, ro.Leave):
            self.trace.append(action)
            if len(self.trace) > steps:
                self.wish = Wish.END
            assert len(self.trace) < steps + 200, "the readout does not end"
            self.now += self.random.randint(0, 3) * 1_000_000
            event = self.do(action)
            action = self.readout.handle(event, self.now, self.wish)
            assert sum(self.readout.books.accounts.values()) == self.readout.books.booked_ns - begin
            assert all(ns >= 0 for ns in self.readout.books.accounts.values())
        self.lost += self.unread

    def do(self, action: ro.Action) -> ro.Event:
        happens = self.random.randint(0, 19)
        if happens == 0 and not self.is_gone and not isinstance(action, ro.Publish | ro.Wait | ro.Reopen):
            self.is_gone = True
        if self.is_gone and isinstance(action, ro.Arm | ro.Look | ro.Halt | ro.Fetch):
            self.lost += self.unread
            self.unread, self.armed = [], 0
            return ro.Lost("unplugged")
        match action:
            case ro.Arm(captures):
                assert not self.armed
                assert not self.unread, "captures in the scope are overwritten"
                self.armed, self.done = captures, 0
                return ro.Armed()
            case ro.Prepare(_, count):
                assert not self.fetched, "slots are given back that hold events"
                self.claimed = self.random.randint(0, count) if self.wish is not Wish.END else 0
                return ro.Prepared(self.claimed)
            case ro.Look():
                assert self.armed
                self.change_mind([Wish.GO, Wish.GO, Wish.GO, Wish.PAUSE])
                self.done = min(self.armed, self.done + self.random.randint(0, 4))
                if self.done < self.armed:
                    return ro.Looked(False)
                self.end_batch()
                return ro.Looked(True)
            case ro.Halt():
                captures = self.done
                self.end_batch()
                return ro.Halted(captures)
            case ro.Fetch(_, count):
                assert 0 < count <= self.claimed
                assert not self.armed
                assert not self.fetched
                self.fetched, self.unread = self.unread[:count], self.unread[count:]
                self.claimed = 0
                return ro.Fetched()
            case ro.Publish():
                assert self.fetched
                self.published += self.fetched
                self.fetched = []
                return ro.Published()
            case ro.Wait():
                self.change_mind([Wish.GO, Wish.PAUSE])
                return ro.Waited()
            case ro.Reopen():
                if self.random.random() < 0.5:
                    self.is_gone = False
                    self.claimed = 0
                    return ro.Reopened()
                return ro.NotReopened()
            case _:
                raise AssertionError(action)

    def change_mind(self, wishes: list[Wish]) -> None:
        if self.wish is not Wish.END:
            self.wish = self.random.choice(wishes)

    def end_batch(self) -> None:
        self.unread = list(range(self.number, self.number + self.done))
        self.number += self.done
        self.armed = 0


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 20_000_000))
def test_every_capture_is_published_once_or_counted_as_missing(seed, captures, latency_ns):
    world = World(seed, captures, latency_ns)
    world.play(60)
    assert not world.fetched
    assert world.published == sorted(set(world.published))
    assert sorted(world.published + world.lost) == list(range(world.number))
    readout = world.readout
    readout.close_gap(world.now)
    counted = readout.discarded + sum(gap.captures_lost for gap in readout.gaps)
    assert counted <= len(world.lost)
    if not readout.gaps:
        assert counted == len(world.lost)


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_the_scope_is_armed_before_anything_else_is_done_with_a_batch(seed, captures):
    world = World(seed, captures, 10**9)
    world.play(60)
    for before, after in zip(world.trace, world.trace[1:], strict=False):
        if isinstance(before, ro.Fetch):
            assert isinstance(after, ro.Arm | ro.Publish | ro.Reopen)
        if isinstance(before, ro.Arm):
            assert isinstance(after, ro.Publish | ro.Prepare | ro.Reopen)


def one_batch(readout: Readout, captures: int, looks: dict[int, bool]) -> None:
    """Arm a batch at time 0 and look at it at the times given (ns), until it is ready."""
    assert readout.handle(ro.Begun(), 0, Wish.GO) == ro.Arm(captures)
    assert readout.handle(ro.Armed(), 0, Wish.GO) == ro.Prepare(0, captures)
    assert readout.handle(ro.Prepared(captures), 0, Wish.GO) == ro.Look(0.0)
    for now, is_ready in looks.items():
        action = readout.handle(ro.Looked(is_ready), now, Wish.GO)
    assert action == ro.Fetch(0, captures)


def test_live_time_ends_half_way_between_the_last_busy_look_and_the_first_that_finds_the_batch_ready():
    readout = Readout(captures=10, max_latency_ns=10**9, window_ns=1.0)
    one_batch(readout, 10, {60_000: False, 100_000: True})
    assert readout.books.live_ns == 80_000


def test_a_batch_that_is_ready_at_the_first_look_was_live_as_long_as_its_captures():
    readout = Readout(captures=10, max_latency_ns=10**9, window_ns=4_000.0)
    one_batch(readout, 10, {100_000: True})
    assert readout.books.live_ns == 40_000
    assert readout.books.dead_ns == 60_000


def test_batches_grow_while_they_fill_fast_and_shrink_to_what_was_there():
    readout = Readout(captures=100, max_latency_ns=1_000_000, window_ns=1.0)
    assert readout.handle(ro.Begun(), 0, Wish.GO) == ro.Arm(100)
    readout.handle(ro.Armed(), 0, Wish.GO)
    readout.handle(ro.Prepared(100), 0, Wish.GO)
    assert readout.handle(ro.Looked(False), 1_000_000, Wish.GO) == ro.Halt()
    assert readout.handle(ro.Halted(3), 1_000_000, Wish.GO) == ro.Fetch(0, 3)
    assert readout.handle(ro.Fetched(), 1_000_000, Wish.GO) == ro.Arm(3)
    readout.handle(ro.Armed(), 1_000_000, Wish.GO)
    readout.handle(ro.Published(), 1_000_000, Wish.GO)
    readout.handle(ro.Prepared(3), 1_000_000, Wish.GO)
    assert readout.handle(ro.Looked(True), 1_100_000, Wish.GO) == ro.Fetch(0, 3)
    assert readout.handle(ro.Fetched(), 1_100_000, Wish.GO) == ro.Arm(6)


def test_a_single_capture_is_waited_for_without_end():
    readout = Readout(captures=1, max_latency_ns=1_000_000, window_ns=1.0)
    readout.handle(ro.Begun(), 0, Wish.GO)
    readout.handle(ro.Armed(), 0, Wish.GO)
    readout.handle(ro.Prepared(1), 0, Wish.GO)
    for second in range(1, 100):
        action = readout.handle(ro.Looked(False), second * 10**9, Wish.GO)
        assert isinstance(action, ro.Look)
        assert action.wait_s <= ro.LONGEST_WAIT_S


@given(st.integers(1_000, 10**12))
def test_what_is_seen_too_late_is_a_small_part_of_the_time(since_ns):
    readout = Readout(captures=2, max_latency_ns=10**13, window_ns=1.0)
    readout.handle(ro.Begun(), 0, Wish.GO)
    readout.handle(ro.Armed(), 0, Wish.GO)
    readout.handle(ro.Prepared(2), 0, Wish.GO)
    action = readout.handle(ro.Looked(False), since_ns, Wish.GO)
    assert isinstance(action, ro.Look)
    assert action.wait_s <= since_ns / 1e9 / ro.WAIT_PART


def test_dead_time_between_captures_is_taken_off_the_live_time():
    readout = Readout(captures=10, max_latency_ns=10**9, window_ns=1.0, rearm_ns=1000.0)
    one_batch(readout, 10, {60_000: False, 100_000: True})
    assert readout.books.live_ns == 80_000 - 9_000
    assert readout.books.accounts["rearm"] == 9_000


def test_pauses_between_attempts_to_reopen_grow_and_are_bounded():
    readout = Readout(captures=10, max_latency_ns=10**9, window_ns=1.0)
    readout.handle(ro.Begun(), 0, Wish.GO)
    now, pauses, last = 0, [], 0
    action = readout.handle(ro.Lost("unplugged"), now, Wish.GO)
    while len(pauses) < 8:
        if action == ro.Reopen():
            pauses.append((now - last) / 1e9)
            last = now
            action = readout.handle(ro.NotReopened(), now, Wish.GO)
        else:
            now += int(ro.IDLE_S * 1e9)
            action = readout.handle(ro.Waited(), now, Wish.GO)
    assert [round(pause, 1) for pause in pauses] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
