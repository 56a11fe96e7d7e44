"""What the tests run in other processes: mimoCoRB programs in miniature. They tell what happens through pipes."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import Any

from mimodaq.mimocorb.mimo_buffer import NewBuffer, Observer, Reader, Writer


def write_numbers(setup: dict[str, Any], numbers: range) -> None:
    """Write events that hold their number."""
    sink = Writer(setup)
    for number in numbers:
        sink.get_new_buffer()[:] = number
    sink.process_buffer()


def write_for_ever(setup: dict[str, Any], told: Connection) -> None:
    """Write until told to stop by the run; then tell how many events were committed."""
    sink = Writer(setup)
    written = 0
    try:
        while True:
            sink.get_new_buffer()[:] = written
            sink.process_buffer()
            written += 1
    finally:
        told.send(written)


def read_all(setup: dict[str, Any], told: Connection) -> None:
    """Read until the end; then tell the events and their counters."""
    source = Reader(setup)
    seen = []
    try:
        while True:
            data = source.get()
            seen.append((int(data[0]), source.get_metadata()[0]))
    finally:
        told.send(seen)


def read_and_hold(setup: dict[str, Any], told: Connection, go_on: Connection) -> None:
    """Read one event, tell its number, and keep it until the pipe ends."""
    source = Reader(setup)
    told.send(int(source.get()[0]))
    _wait(go_on)


def claim_and_hold(setup: dict[str, Any], told: Connection, go_on: Connection) -> None:
    """Take a slot to write into, tell so, and keep it until the pipe ends."""
    sink = Writer(setup)
    sink.get_new_buffer()
    told.send(os.getpid())
    _wait(go_on)


def copy_on(source_setup: dict[str, Any], sink_setup: dict[str, Any]) -> None:
    """A filter as the manual's analyzer: read, write on, leave by SystemExit."""
    source = Reader(source_setup)
    sink = Writer(sink_setup)
    while True:
        data = source.get()
        sink.get_new_buffer()[:] = data
        sink.set_metadata(*source.get_metadata())
        sink.process_buffer()


def observe_all(setup: dict[str, Any], told: Connection) -> None:
    """Observe until the end; tell of each sample whether it is one event and not a mixture, then None."""
    source = Observer(setup)
    while (sample := source.get()) is not None:
        data, metadata = sample
        told.send((bool((data["a"] == data["a"][0]).all() and (data["b"] == data["a"][0]).all()), int(metadata[0][0])))
    told.send(None)


def write_wide_for_ever(setup: dict[str, Any]) -> None:
    """Write big events, all values of one event the same, until the run ends."""
    sink = Writer(setup)
    number = 0
    while True:
        data = sink.get_new_buffer()
        data["a"] = number
        data["b"] = number
        sink.process_buffer()
        number += 1


def own_a_buffer(told: Connection, go_on: Connection) -> None:
    """Make a buffer, give away the dictionaries of a writer and a reader, and live until the pipe ends."""
    buffer = NewBuffer(4, 1, "i4")
    group = buffer.new_reader_group()
    told.send((buffer.ring.segment, buffer.new_writer(), group, buffer.new_observer()))
    _wait(go_on)


def observe_plain(setup: dict[str, Any], told: Connection) -> None:
    """Observe until the end."""
    source = Observer(setup)
    while source.get() is not None:
        pass


def _wait(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        return
