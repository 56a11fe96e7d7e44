"""`NewBuffer`, `Writer`, `Reader`, `Observer`: what the manual promises of them."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import mimocorb_processes as programs
import numpy as np
import pytest

from mimodaq.mimocorb.mimo_buffer import METADATA_DTYPE, NewBuffer, Observer, Reader, Writer

Start = Callable[..., BaseProcess]
Join = Callable[..., list[int | None]]
Until = Callable[[Callable[[], Any]], Any]


def filled(slots: int, numbers: range, groups: int = 1) -> tuple[NewBuffer, list[dict[str, Any]]]:
    """A buffer with some events, and the dictionaries of its reader groups."""
    buffer = NewBuffer(slots, 2, "i4")
    readers = [buffer.new_reader_group() for _ in range(groups)]
    sink = Writer(buffer.new_writer())
    for number in numbers:
        sink.get_new_buffer()[:] = number
    sink.process_buffer()
    del sink
    return buffer, readers


def read(setup: dict[str, Any]) -> list[int]:
    source = Reader(setup)
    numbers = []
    try:
        while True:
            numbers.append(int(source.get()[0]))
    except SystemExit:
        return numbers


def test_events_come_out_as_they_went_in() -> None:
    buffer, (group,) = filled(8, range(5))
    buffer.set_ending()
    assert read(group) == [0, 1, 2, 3, 4]


def test_every_group_gets_every_event() -> None:
    buffer, groups = filled(8, range(5), groups=3)
    buffer.set_ending()
    assert [read(group) for group in groups] == [[0, 1, 2, 3, 4]] * 3


def test_members_of_a_group_share_the_events() -> None:
    buffer, (group,) = filled(8, range(6))
    first, second = Reader(group), Reader(group)
    assert [int(first.get()[0]), int(second.get()[0])] == [0, 1]
    del first, second
    buffer.set_ending()
    assert read(group) == [2, 3, 4, 5]


def test_structured_events_keep_fields_and_shape() -> None:
    buffer = NewBuffer(4, 100, [("chA", np.float32), ("chB", np.float32)])
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    data = sink.get_new_buffer()
    data["chA"] = np.arange(100)
    data[:]["chB"] = 1.5
    data[3] = (7, 8)
    sink.process_buffer()
    source = Reader(group)
    got = source.get()
    assert (got.shape, got["chA"].shape) == ((100,), (100,))
    assert got[3].item() == (7, 8)
    assert (got["chA"][4], got["chB"][4]) == (4, 1.5)
    assert (len(sink.dtype), sink.dtype[1][0], source.values_per_slot, source.number_of_slots) == (2, "chB", 100, 4)


def test_rows_of_mixed_sizes_go_through_as_well() -> None:
    buffer = NewBuffer(4, 3, [("n", np.int16), ("x", np.float64)])
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    for k in range(2):
        sink.get_new_buffer()[:] = [(k, 0.5), (k + 1, 1.5), (k + 2, 2.5)]
    sink.process_buffer()
    source = Reader(group)
    assert source.get().tolist() == [(0, 0.5), (1, 1.5), (2, 2.5)]
    assert source.get().tolist() == [(1, 0.5), (2, 1.5), (3, 2.5)]


def test_events_of_a_reader_cannot_be_changed() -> None:
    buffer, (group,) = filled(4, range(1))
    data = Reader(group).get()
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 9
    buffer.close()


def test_metadata_are_handed_on_as_they_were_set() -> None:
    buffer = NewBuffer(4, 1, "f4")
    group = buffer.new_reader_group()
    sink, source = Writer(buffer.new_writer()), Reader(group)
    assert source.get_metadata() == (0, -1, -1)
    sink.set_metadata(9, 9.0, 9.0)  # no current event: nothing happens
    sink.get_new_buffer()
    sink.set_metadata(17, 1234.5, 0.25)
    sink.get_new_buffer()
    sink.process_buffer()
    source.get()
    assert source.get_metadata() == (17, 1234.5, 0.25)
    source.get()
    counter, timestamp, deadtime = source.get_metadata()
    assert (counter, deadtime) == (1, -1)
    assert timestamp > 1e9
    assert [name for name, _ in source.metadata_dtype] == ["counter", "timestamp", "deadtime"]


def test_an_event_that_was_not_processed_is_not_seen() -> None:
    buffer = NewBuffer(4, 1, "i4")
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()[:] = 1
    sink.process_buffer()
    sink.get_new_buffer()[:] = 2
    del sink
    buffer.set_ending()
    assert read(group) == [1]


def test_two_writers_give_unique_counters(start: Start, joined: Join) -> None:
    buffer = NewBuffer(200, 1, "i4")
    group = buffer.new_reader_group()
    setup = buffer.new_writer()
    writers = [start(programs.write_numbers, setup, range(50)) for _ in range(2)]
    assert joined(*writers) == [0, 0]
    source = Reader(group)
    counters = []
    for _ in range(100):
        source.get()
        counters.append(source.get_metadata()[0])
    assert counters == list(range(100))


def test_data_available_tells_events_and_the_end() -> None:
    buffer, (group,) = filled(4, range(1))
    source = Reader(group)
    assert source.data_available()
    source.get()
    assert not source.data_available()
    buffer.set_ending()
    assert source.data_available()
    with pytest.raises(SystemExit):
        source.get()


def test_old_programs_can_ask_whether_a_run_is_active_or_paused() -> None:
    buffer, (group,) = filled(4, range(1))
    setup = buffer.new_writer()
    sink, source, watcher = Writer(setup), Reader(group), Observer(buffer.new_observer())
    ends = (sink, source, watcher)
    assert [end._active.is_set() for end in ends] == [True] * 3
    assert [end._paused.is_set() for end in ends] == [False] * 3
    buffer.pause()
    assert [end._paused.is_set() for end in ends] == [True] * 3
    assert (setup["paused"].is_set(), setup["active"].is_set()) == (True, True)
    buffer.resume()
    buffer.set_ending()
    assert not sink._active.is_set()
    del sink, ends
    source.get()
    with pytest.raises(SystemExit):
        source.get()
    assert (source._active.is_set(), watcher._active.is_set()) == (False, False)
    buffer.close()
    assert (setup["paused"].is_set(), setup["active"].is_set()) == (False, False)


def test_setup_dictionaries_are_plain_enough_for_every_way_to_start_a_process() -> None:
    buffer = NewBuffer(16, 500, [("chA", "f4")])
    for setup in (buffer.new_reader_group(), buffer.new_writer(), buffer.new_observer()):
        again = pickle.loads(pickle.dumps(setup))
        assert (again["number_of_slots"], again["values_per_slot"], again["dtype"]) == (16, 500, [("chA", "f4")])
        assert again["mshare_name"] == buffer.ring.segment


def test_a_writer_ends_when_told_so() -> None:
    buffer, _ = filled(4, range(1))
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()[:] = 1
    buffer.set_ending()
    with pytest.raises(SystemExit):
        sink.get_new_buffer()
    assert buffer.buffer_status()[0] == 2  # what was in hand is committed first


def test_buffer_status_counts_events_and_filled_slots() -> None:
    buffer, (group,) = filled(8, range(5))
    events, filled_slots, rate, deadtime = buffer.buffer_status()
    assert (events, filled_slots) == (5, 5)
    assert rate > 0
    assert 0 <= deadtime <= 1
    source = Reader(group)
    source.get()
    source.get()
    assert buffer.buffer_status()[:3] == (5, 4, 0)


def test_an_empty_buffer_has_no_filled_slot() -> None:
    assert NewBuffer(8, 1, "f4").buffer_status() == (0, 0, 0, 0)


def test_a_paused_buffer_stops_a_plain_writer(start: Start, until: Until, joined: Join) -> None:
    buffer = NewBuffer(64, 1, "i4")
    group = buffer.new_reader_group()
    mine, theirs = multiprocessing.Pipe()
    buffer.pause()
    writer = start(programs.write_for_ever, buffer.new_writer(), theirs)
    until(lambda: buffer.ring.status().writers)
    assert buffer.buffer_status()[0] == 0
    buffer.resume()
    until(lambda: buffer.buffer_status()[1] == 64)
    buffer.pause()
    source = Reader(group)
    for _ in range(64):
        source.get()
    assert not source.data_available()
    assert buffer.buffer_status()[0] == 64
    buffer.resume()
    source.get()
    buffer.set_ending()
    assert joined(writer) == [0]
    assert mine.recv() == buffer.buffer_status()[0]
    buffer.ring.verify()


def test_a_group_that_would_miss_events_is_refused() -> None:
    buffer, _ = filled(4, range(2))
    with pytest.raises(RuntimeError, match="miss the 2 events"):
        buffer.new_reader_group()


@pytest.mark.parametrize(("slots", "values", "dtype"), [(0, 1, "f4"), (4, 0, "f4"), (4, 1, "O")])
def test_a_buffer_that_makes_no_sense_is_refused(slots: int, values: int, dtype: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        NewBuffer(slots, values, dtype)


def test_an_event_and_its_metadata_of_an_observer_are_its_own() -> None:
    buffer, _ = filled(8, range(3))
    sample = Observer(buffer.new_observer()).get()
    assert sample is not None
    data, metadata = sample
    assert data.tolist() == [2, 2]
    assert (metadata.shape, metadata.dtype.names) == ((1,), tuple(name for name, _ in METADATA_DTYPE))
    assert metadata[0][0] == 2
    data[:] = 0
    sample = Observer(buffer.new_observer()).get()
    assert sample is not None
    assert sample[0].tolist() == [2, 2]


def test_several_observers_see_the_same_buffer() -> None:
    buffer, _ = filled(8, range(3))
    setups = [buffer.new_observer(), buffer.new_observer()]
    watchers = [Observer(setup) for setup in (*setups, *setups)]
    assert [watcher.get()[0].tolist() for watcher in watchers] == [[2, 2]] * 4  # type: ignore[index]


def test_an_observer_of_a_buffer_without_events_ends(start: Start, until: Until, joined: Join) -> None:
    buffer = NewBuffer(4, 1, [("a", "i4"), ("b", "i4")])
    mine, theirs = multiprocessing.Pipe()
    watcher = start(programs.observe_all, buffer.new_observer(), theirs)
    until(lambda: buffer.ring.status().observers)
    buffer.shutdown()
    assert joined(watcher) == [0]
    assert mine.recv() is None


def test_samples_of_observers_are_never_torn(start: Start, joined: Join) -> None:
    buffer = NewBuffer(2, 50_000, [("a", "i4"), ("b", "i4")])
    group = buffer.new_reader_group()
    mine, theirs = multiprocessing.Pipe()
    start(programs.write_wide_for_ever, buffer.new_writer())
    watcher = start(programs.observe_all, buffer.new_observer(), theirs)
    source = Reader(group)
    samples: list[tuple[bool, int]] = []
    while len(samples) < 10:
        source.get()
        while mine.poll():
            samples.append(mine.recv())
    buffer.shutdown(patience_s=0)
    assert joined(watcher) == [0]
    assert all(is_whole for is_whole, _ in samples)
    assert len({counter for _, counter in samples}) == len(samples)
