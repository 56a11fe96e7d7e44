"""A process that is killed at a bad moment: the others go on, and the run can be ended."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import mimocorb_processes as programs

from mimodaq.mimocorb.mimo_buffer import NewBuffer, Reader, Writer
from mimodaq.ring import Ring

Start = Callable[..., BaseProcess]
Join = Callable[..., list[int | None]]
Until = Callable[[Callable[[], Any]], Any]


def test_what_a_killed_reader_had_in_hand_goes_to_its_sister(start: Start, joined: Join) -> None:
    buffer = NewBuffer(8, 1, "i4")
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()[:] = 0
    sink.process_buffer()
    mine, theirs = multiprocessing.Pipe()
    life, wait = multiprocessing.Pipe()
    victim = start(programs.read_and_hold, group, theirs, wait)
    assert mine.recv() == 0
    victim.kill()
    life.close()
    ours, sisters_end = multiprocessing.Pipe()
    sister = start(programs.read_all, group, sisters_end)
    for number in range(1, 50):
        sink.get_new_buffer()[:] = number
    sink.process_buffer()
    buffer.shutdown()
    assert sorted(number for number, _ in ours.recv()) == list(range(50))
    assert joined(sister) == [0]


def test_killing_an_idle_reader_leaves_the_events_to_its_sister(start: Start, until: Until, joined: Join) -> None:
    buffer = NewBuffer(8, 1, "i4")
    group = buffer.new_reader_group()
    _, theirs = multiprocessing.Pipe()
    ours, sisters_end = multiprocessing.Pipe()
    victim, sister = start(programs.read_all, group, theirs), start(programs.read_all, group, sisters_end)
    until(lambda: len(buffer.ring.status().groups[0].readers) == 2)
    victim.kill()
    sink = Writer(buffer.new_writer())
    for number in range(100):
        sink.get_new_buffer()[:] = number
    sink.process_buffer()
    buffer.shutdown()
    assert joined(sister) == [0]
    assert [number for number, _ in ours.recv()] == list(range(100))


def test_a_killed_writer_gives_its_slot_back(start: Start, joined: Join) -> None:
    buffer = NewBuffer(4, 1, "i4")
    group = buffer.new_reader_group()
    mine, theirs = multiprocessing.Pipe()
    life, wait = multiprocessing.Pipe()
    victim = start(programs.claim_and_hold, buffer.new_writer(), theirs, wait)
    mine.recv()
    victim.kill()
    life.close()
    ours, readers_end = multiprocessing.Pipe()
    reader = start(programs.read_all, group, readers_end)
    survivor = start(programs.write_numbers, buffer.new_writer(), range(50))
    assert joined(survivor) == [0]
    buffer.shutdown()
    assert joined(reader) == [0]
    assert [number for number, _ in ours.recv()] == list(range(50))
    assert buffer.ring.status().abandoned == 1


def test_a_killed_observer_is_not_missed(start: Start, until: Until, joined: Join) -> None:
    buffer = NewBuffer(4, 17_000, [("a", "i4"), ("b", "i4")])
    source = Reader(buffer.new_reader_group())
    writer = start(programs.write_wide_for_ever, buffer.new_writer())
    _, theirs = multiprocessing.Pipe()
    watcher = start(programs.observe_all, buffer.new_observer(), theirs)
    until(lambda: buffer.ring.status().observers and source.get() is not None)
    watcher.kill()
    for _ in range(20):
        source.get()
    buffer.set_ending()
    assert joined(writer) == [0]
    while source.get_or_none() is not None:
        pass
    buffer.ring.verify()


def test_when_the_owner_is_killed_its_workers_end_and_nothing_is_left(start: Start, until: Until, joined: Join) -> None:
    mine, theirs = multiprocessing.Pipe()
    life, wait = multiprocessing.Pipe()
    owner = start(programs.own_a_buffer, theirs, wait)
    segment, writing, reading, observing = mine.recv()
    ours, readers_end = multiprocessing.Pipe()
    counts, writers_end = multiprocessing.Pipe()
    _, watchers_end = multiprocessing.Pipe()
    writer = start(programs.write_for_ever, writing, writers_end)
    reader = start(programs.read_all, reading, readers_end)
    watcher = start(programs.observe_plain, observing, watchers_end)
    status = Ring.attach(segment).status
    until(lambda: status().writers and status().groups[0].readers and status().observers)
    owner.kill()
    life.close()
    assert len(ours.recv()) == counts.recv()
    assert joined(writer, reader, watcher) == [0, 0, 0]
    assert not Path("/dev/shm", segment).exists()


def test_workers_that_wait_notice_the_death_of_the_owner(start: Start, until: Until, joined: Join) -> None:
    mine, theirs = multiprocessing.Pipe()
    life, wait = multiprocessing.Pipe()
    owner = start(programs.own_a_buffer, theirs, wait)
    segment, writing, _, _ = mine.recv()
    counts, writers_end = multiprocessing.Pipe()
    writer = start(programs.write_for_ever, writing, writers_end)
    until(lambda: Ring.attach(segment).status().free == 0)  # nobody reads: it waits for a free slot
    owner.kill()
    life.close()
    assert joined(writer) == [0]
    assert counts.recv() == 4
    assert not Path("/dev/shm", segment).exists()
