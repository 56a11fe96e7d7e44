"""rbImport, rbPut, rbTransfer, rbProcess, rbExport, rbDrain: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.mimocorb.buffer_control import rbDrain, rbExport, rbImport, rbProcess, rbPut, rbTransfer
from mimodaq.mimocorb.mimo_buffer import NewBuffer, Reader, Writer

WAVE = [("chA", np.float32), ("chB", np.float32)]
PULSE = [("height", np.float32), ("position", np.int32)]


class Chain:
    """A buffer of three waveforms whose stream has ended, and buffers to write to."""

    def __init__(self, *sinks: Any) -> None:
        self.source = NewBuffer(8, 4, WAVE)
        self.group = self.source.new_reader_group()
        self.sinks = [NewBuffer(16, 4 if dtype is WAVE else 1, dtype) for dtype in sinks]
        self.groups = [sink.new_reader_group() for sink in self.sinks]
        writer = Writer(self.source.new_writer())
        for k in range(3):
            data = writer.get_new_buffer()
            data["chA"], data["chB"] = k, 10 * k + np.arange(4)
            writer.set_metadata(100 + k, 1e9 + k, 0.25)
        writer.process_buffer()
        del writer
        self.source.set_ending()

    def run(self, kind: Callable[..., Any], ufunc: Callable[[Any], Any]) -> list[list[Any]]:
        """Filter the events; the events and counters at each sink."""
        sink_list = [sink.new_writer() for sink in self.sinks]
        kind(source_list=[self.group], sink_list=sink_list, config_dict={}, ufunc=ufunc, RB_1="read", RB_2="write")()
        return [self.arrived(k) for k in range(len(self.sinks))]

    def arrived(self, k: int) -> list[Any]:
        self.sinks[k].set_ending()
        found = []
        for data, metadata in iter_export(self.groups[k]):
            found.append((int(metadata[0]), data.tolist()))
            assert metadata[1] == 1e9 + metadata[0] - 100
            assert metadata[2] == 0.25
        return found


def iter_export(group: dict[str, Any]) -> Iterator[Any]:
    for event in rbExport(source_list=[group], RB_1="read")():
        if event is not None:
            yield event


def pulse(**values: float) -> np.ndarray:
    array = np.zeros((1,), dtype=[(name, dict(PULSE)[name]) for name in values])
    for name, value in values.items():
        array[name] = value
    return array


def wave(k: int) -> list[tuple[float, float]]:
    return [(k, 10 * k + i) for i in range(4)]


# -- rbTransfer ---------------------------------------------------------------------------------------------


def test_transfer_none_rejects() -> None:
    assert Chain(WAVE).run(rbTransfer, lambda data: None) == [[]]


@pytest.mark.parametrize("number", [1, 0, True, 2.5, np.int64(3)])
def test_transfer_a_number_copies_the_event(number: Any) -> None:
    got = Chain(WAVE).run(rbTransfer, lambda data: number if data["chA"][0] > 0 else None)
    assert got == [[(101, wave(1)), (102, wave(2))]]


def test_transfer_a_list_goes_to_the_sinks_in_order() -> None:
    got = Chain(PULSE, PULSE).run(rbTransfer, lambda data: [pulse(height=data["chB"][3], position=7), None])
    assert got == [[(100, [(3, 7)]), (101, [(13, 7)]), (102, [(23, 7)])], []]


def test_transfer_with_one_sink_more_than_entries_also_copies_the_event() -> None:
    got = Chain(WAVE, PULSE).run(rbTransfer, lambda data: [pulse(height=1.5)] if data["chA"][0] == 2 else None)
    assert got == [[(102, wave(2))], [(102, [(1.5, 0)])]]


def test_transfer_up_and_down_go_to_sinks_of_their_own() -> None:
    def up_or_down(data: Any) -> list[Any]:
        return [pulse(position=1), None] if data["chA"][0] == 1 else [None, pulse(position=2)]

    got = Chain(WAVE, PULSE, PULSE).run(rbTransfer, up_or_down)
    assert [counter for counter, _ in got[0]] == [100, 101, 102]
    assert got[1:] == [[(101, [(0, 1)])], [(100, [(0, 2)]), (102, [(0, 2)])]]


def test_transfer_fields_that_are_not_given_are_zero_even_in_a_used_slot() -> None:
    chain = Chain(PULSE)
    old = Writer(chain.sinks[0].new_writer())
    for _ in range(16):
        old.get_new_buffer()[:] = (9, 9)
    old.process_buffer()
    del old
    reader = Reader(chain.groups[0])
    for _ in range(16):
        reader.get()
    reader.data_available()
    reader.leave(is_done=True)
    assert chain.run(rbTransfer, lambda data: [pulse(height=1)])[0][0] == (100, [(1, 0)])


def test_transfer_takes_a_row_of_an_array_as_well() -> None:
    assert Chain(PULSE).run(rbTransfer, lambda data: [pulse(height=4)[0]])[0][2] == (102, [(4, 0)])


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ([pulse(height=1)] * 3, ValueError, "2 sinks, the function gave 3 entries"),
        (pulse(height=1), TypeError, "a list of structured arrays, not ndarray"),
        ("yes", TypeError, "not str"),
        ([None, np.zeros(1)], TypeError, "without field names"),
        ([None, np.zeros(1, [("tall", "f4")])], ValueError, "sink 1 has no field 'tall'; it has height, position"),
    ],
)
def test_transfer_a_wrong_answer_is_explained(answer: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Chain(WAVE, PULSE).run(rbTransfer, lambda data: answer)


def test_transfer_needs_sinks_and_a_function() -> None:
    chain = Chain(WAVE)
    with pytest.raises(ValueError, match="no sink_list"):
        rbTransfer(source_list=[chain.group], ufunc=lambda data: 1)
    with pytest.raises(ValueError, match="needs a function"):
        rbTransfer(source_list=[chain.group], sink_list=[chain.sinks[0].new_writer()])
    with pytest.raises(ValueError, match="no source_list"):
        rbTransfer(sink_list=[chain.sinks[0].new_writer()], ufunc=lambda data: 1)


def test_transfer_copies_between_buffers_without_field_names() -> None:
    source, sink = NewBuffer(4, 2, "i4"), NewBuffer(4, 2, "i4")
    group, copied = source.new_reader_group(), sink.new_reader_group()
    writer = Writer(source.new_writer())
    writer.get_new_buffer()[:] = [3, 4]
    writer.process_buffer()
    del writer
    source.set_ending()
    rbTransfer(source_list=[group], sink_list=[sink.new_writer()], ufunc=lambda data: [2 * data])()
    assert Reader(copied).get().tolist() == [6, 8]


# -- rbProcess ----------------------------------------------------------------------------------------------


def test_process_answers_sink_by_sink() -> None:
    def choose(data: Any) -> list[Any] | None:
        if data["chA"][0] == 0:
            return None
        return [True if data["chA"][0] == 1 else None, [pulse(height=1), None, pulse(height=2)]]

    got = Chain(WAVE, PULSE).run(rbProcess, choose)
    assert got[0] == [(101, wave(1))]
    assert got[1] == [(101, [(1, 0)]), (101, [(2, 0)]), (102, [(1, 0)]), (102, [(2, 0)])]


def test_process_false_is_nothing_and_numpys_true_is_true() -> None:
    assert Chain(WAVE).run(rbProcess, lambda data: [False]) == [[]]
    assert len(Chain(WAVE).run(rbProcess, lambda data: [np.bool_(True)])[0]) == 3


@pytest.mark.parametrize("answer", [[None], [None] * 3, 1])
def test_process_wants_one_entry_for_each_sink(answer: Any) -> None:
    with pytest.raises(ValueError, match="a list of 2 entries"):
        Chain(WAVE, PULSE).run(rbProcess, lambda data: answer)


# -- rbExport, rbDrain ----------------------------------------------------------------------------------------


def test_export_gives_events_and_metadata_then_none() -> None:
    chain = Chain()
    export = rbExport(source_list=[chain.group], config_dict={}, RB_1="read")
    seen = []
    while (found := next(export(), None)) is not None:  # as old programs do: a new generator for every event
        data, metadata = found
        seen.append((data["chB"][1], metadata.tolist()))
    assert seen == [(10 * k + 1, [100 + k, 1e9 + k, 0.25]) for k in range(3)]
    assert next(export()) is None


def test_code_behind_the_loop_of_an_export_is_reached() -> None:
    chain = Chain()
    count = 0
    for event in rbExport(source_list=[chain.group], RB_1="read")():
        count += event is not None
    assert count == 3


def test_export_refuses_to_write() -> None:
    with pytest.raises(ValueError, match="cannot write a buffer, but RB_assign says RB_2: write"):
        rbExport(source_list=[Chain().group], RB_1="read", RB_2="write")


def test_drain_reads_all_and_says_so(tmp_path: Path) -> None:
    chain = Chain()
    rbDrain(source_list=[chain.group], config_dict={"directory_prefix": f"{tmp_path}/"}, RB_1="read")()
    assert chain.source.buffer_status()[1] == 0
    assert (tmp_path / "message.txt").read_text() == "No output foreseen to be written by rbDrain()\n"


# -- rbImport, rbPut ------------------------------------------------------------------------------------------


class Target:
    def __init__(self, slots: int = 8, dtype: Any = WAVE) -> None:
        self.buffer = NewBuffer(slots, 4, dtype)
        self.group = self.buffer.new_reader_group()
        self.sink_list = [self.buffer.new_writer()]

    def events(self) -> list[Any]:
        self.buffer.set_ending()
        return [(data.tolist(), metadata.tolist()) for data, metadata in iter_export(self.group)]


def test_import_fills_in_number_time_and_dead_time() -> None:
    target = Target()

    def source() -> Iterator[Any]:
        for k in range(3):
            yield np.full((number_of_channels, 4), k), None
        yield None, None

    importer = rbImport(config_dict={}, sink_list=target.sink_list, ufunc=source, RB_1="write")
    number_of_channels = len(importer.sink.dtype)
    importer()
    del importer
    events = target.events()
    assert [data for data, _ in events] == [[(k, k)] * 4 for k in range(3)]
    assert [metadata[0] for _, metadata in events] == [1, 2, 3]
    assert all(metadata[1] > 1e9 and 0 <= metadata[2] <= 1 for _, metadata in events)


def test_import_takes_metadata_of_the_source() -> None:
    target = Target()
    events = [([[1] * 4, [2] * 4], (5, 1.5e9, 0.5))]
    rbImport(sink_list=target.sink_list, ufunc=lambda: iter(events), RB_1="write")()
    assert target.events() == [([(1, 2)] * 4, [5, 1.5e9, 0.5])]


def test_import_ends_when_the_generator_ends() -> None:
    target = Target()
    rbImport(sink_list=target.sink_list, ufunc=lambda: iter([(np.zeros((2, 4)), None)]), RB_1="write")()
    assert len(target.events()) == 1


def test_import_does_not_ask_the_source_once_the_run_ends() -> None:
    target = Target()
    asked = []

    def source() -> Iterator[Any]:
        for k in range(100):
            asked.append(k)
            if k == 2:
                target.buffer.set_ending()
            yield np.zeros((2, 4)), None

    importer = rbImport(sink_list=target.sink_list, ufunc=source, RB_1="write")
    with pytest.raises(SystemExit):
        importer()
    assert asked == [0, 1, 2]


def test_import_without_field_names() -> None:
    target = Target(dtype="i2")
    rbImport(sink_list=target.sink_list, ufunc=lambda: iter([([1, 2, 3, 4], None)]), RB_1="write")()
    assert target.events()[0][0] == [1, 2, 3, 4]


def test_import_explains_data_of_the_wrong_shape() -> None:
    target = Target()
    with pytest.raises(ValueError, match=r"channel chA takes 4 samples, the source gave data of shape \(5,\)"):
        rbImport(sink_list=target.sink_list, ufunc=lambda: iter([(np.zeros((2, 5)), None)]), RB_1="write")()


@pytest.mark.parametrize("event", [np.zeros((2, 4)), (1, 2, 3)])
def test_import_explains_a_source_that_does_not_yield_pairs(event: Any) -> None:
    target = Target()
    with pytest.raises(TypeError, match="must yield"):
        rbImport(sink_list=target.sink_list, ufunc=lambda: iter([event]), RB_1="write")()


def test_import_refuses_what_makes_no_sense() -> None:
    target = Target()
    with pytest.raises(ValueError, match="generator function"):
        rbImport(sink_list=target.sink_list, RB_1="write")
    with pytest.raises(ValueError, match="no sink_list"):
        rbImport(ufunc=lambda: iter([]))
    with pytest.raises(ValueError, match="cannot read"):
        rbImport(sink_list=target.sink_list, ufunc=lambda: iter([]), RB_1="read")


def test_put_stores_each_event_and_tells_whether_the_run_goes_on() -> None:
    target = Target()
    put = rbPut(config_dict={}, sink_list=target.sink_list, RB_1="write")
    assert put([[1] * 4, [2] * 4], None) is True
    assert put([[3] * 4, [4] * 4], (9, 1.5e9, 0.5)) is True
    assert put(None, None) is True
    target.buffer.set_ending()
    assert put([[5] * 4, [6] * 4], None) is False
    del put
    assert [(data[0], metadata[0]) for data, metadata in target.events()] == [((1, 2), 1), ((3, 4), 9)]


def test_put_during_a_pause_is_still_active_and_the_event_is_counted_as_left_out() -> None:
    target = Target()
    put = rbPut(sink_list=target.sink_list, RB_1="write")
    target.buffer.pause()
    assert put([[1] * 4, [2] * 4], None) is True
    target.buffer.resume()
    put([[3] * 4, [4] * 4], None)
    assert put.left_out == 1
    del put
    assert [data[0] for data, _ in target.events()] == [(3, 4)]
