"""The end of a run: nothing is lost, and it always comes."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import mimocorb_processes as programs
import pytest

from mimodaq.mimocorb.mimo_buffer import NewBuffer, Observer, Reader, Writer

Start = Callable[..., BaseProcess]
Join = Callable[..., list[int | None]]
Until = Callable[[Callable[[], Any]], Any]


def test_a_chain_shut_down_in_order_loses_nothing(start: Start, until: Until, joined: Join) -> None:
    first, second = NewBuffer(16, 1, "i4"), NewBuffer(16, 1, "i4")
    source, filtered = first.new_reader_group(), second.new_reader_group()
    ours, sinks_end = multiprocessing.Pipe()
    mine, sources_end = multiprocessing.Pipe()
    reader = start(programs.read_all, filtered, sinks_end)
    filters = [start(programs.copy_on, source, second.new_writer()) for _ in range(3)]
    writer = start(programs.write_for_ever, first.new_writer(), sources_end)
    until(lambda: second.buffer_status()[0] > 200)
    first.shutdown()
    second.shutdown()
    written = mine.recv()
    seen = ours.recv()
    assert joined(writer, *filters, reader) == [0] * 5
    assert sorted(number for number, _ in seen) == list(range(written))
    assert sorted(counter for _, counter in seen) == list(range(written))


def test_a_group_that_nobody_reads_does_not_hold_up_the_end(
    start: Start, until: Until, joined: Join, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = NewBuffer(8, 1, "i4")
    buffer.new_reader_group()
    mine, theirs = multiprocessing.Pipe()
    writer = start(programs.write_for_ever, buffer.new_writer(), theirs)
    until(lambda: buffer.buffer_status()[1] == 8)
    with caplog.at_level(logging.WARNING):
        buffer.shutdown(patience_s=0.05)
    assert joined(writer) == [0]
    assert mine.recv() == 8
    assert "8 events are not read by group1, which has no reader" in caplog.text


def test_without_any_group_the_writer_goes_on_for_observers(start: Start, until: Until, joined: Join) -> None:
    buffer = NewBuffer(8, 1, "i4")
    _mine, theirs = multiprocessing.Pipe()
    writer = start(programs.write_for_ever, buffer.new_writer(), theirs)
    until(lambda: buffer.buffer_status()[0] > 100)
    assert Observer(buffer.new_observer()).get() is not None
    buffer.shutdown()
    assert joined(writer) == [0]


def test_a_program_that_comes_too_late_ends() -> None:
    buffer = NewBuffer(8, 1, "i4")
    setups = buffer.new_writer(), buffer.new_reader_group(), buffer.new_observer()
    buffer.shutdown()
    for kind, setup in zip((Writer, Reader, Observer), setups, strict=True):
        with pytest.raises(SystemExit):
            kind(setup)


def test_a_reader_that_never_finishes_its_event_is_left_after_the_patience(
    start: Start, joined: Join, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = NewBuffer(8, 1, "i4")
    group = buffer.new_reader_group()
    Writer(buffer.new_writer()).get_new_buffer()  # dropped, not committed
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()[:] = 5
    sink.process_buffer()
    mine, theirs = multiprocessing.Pipe()
    go_on, wait = multiprocessing.Pipe()
    reader = start(programs.read_and_hold, group, theirs, wait)
    assert mine.recv() == 5
    with caplog.at_level(logging.WARNING):
        buffer.shutdown(patience_s=0.05)
    assert "1 events are not read by group1, which made no progress" in caplog.text
    go_on.send(None)
    assert joined(reader) == [0]


def test_what_the_same_program_holds_does_not_hold_up_the_end() -> None:
    buffer = NewBuffer(8, 1, "i4")
    source = Reader(buffer.new_reader_group())
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()
    sink.process_buffer()
    source.get()
    buffer.shutdown(patience_s=60)
    with pytest.raises(SystemExit):
        source.get()
    with pytest.raises(SystemExit):
        sink.get_new_buffer()


def test_an_end_dropped_by_the_garbage_collector_leaves_with_the_next_call() -> None:
    buffer = NewBuffer(4, 1, "i4")
    held: list[object] = [Reader(buffer.new_reader_group())]
    held.append(held)
    del held
    gc.collect()
    readers = buffer.ring.status().groups[0].readers
    assert len(readers) == 1  # not in the middle of a collection: this thread might hold the lock of the ring
    buffer.buffer_status()
    assert buffer.ring.status().groups[0].readers == ()


def test_the_shared_memory_goes_with_the_buffer() -> None:
    buffer = NewBuffer(4, 1, "f4")
    segment = Path("/dev/shm", buffer.ring.segment)
    assert segment.exists()
    buffer.close()
    buffer.close()
    assert not segment.exists()
    buffer = NewBuffer(4, 1, "f4")
    segment = Path("/dev/shm", buffer.ring.segment)
    del buffer
    assert not segment.exists()


def test_a_forked_child_does_not_take_the_buffer_away() -> None:
    buffer = NewBuffer(4, 1, "i4")
    source = Reader(buffer.new_reader_group())
    sink = Writer(buffer.new_writer())
    for number in range(2):
        sink.get_new_buffer()[:] = number
    sink.process_buffer()
    source.get()
    child = os.fork()
    if child == 0:
        buffer.close()
        source.leave(is_done=True)
        sink.leave(is_done=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert int(source.get()[0]) == 1
    buffer.ring.verify()
