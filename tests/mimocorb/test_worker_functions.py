"""What a runtime relies on: `call_function` runs one function and leaves the rings in the right state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mimodaq.mimocorb import call_function, worker_arguments
from mimodaq.mimocorb.buffer_control import rbImport, rbTransfer
from mimodaq.mimocorb.mimo_buffer import Reader, Writer
from mimodaq.ring import Ring, RingClosed, segment_name

Make = Callable[..., Ring]
WAVE = np.dtype([("chA", "f4", (4,)), ("chB", "f4", (4,))])


@pytest.fixture
def make() -> Iterator[Make]:
    rings: list[Ring] = []

    def ring(name: str, **more: Any) -> Ring:
        options = {"groups": ("Fkt_2",), "expected_writers": 1} | more
        rings.append(Ring.create(segment_name(name, partition="test-worker"), WAVE, 8, **options))
        return rings[-1]

    yield ring
    for ring in rings:
        ring.verify()
        ring.unlink()


def put(ring: Ring, *numbers: int) -> None:
    with ring.writer() as writer:
        for number in numbers:
            writer.put({"chA": np.full(4, number)}, counter=number)


def call(function: Callable[..., None], ring: Ring | None, *sinks: Ring, **config: Any) -> None:
    call_function(
        function,
        sources=[(ring.segment, "Fkt_2")] if ring else [],
        sinks=[sink.segment for sink in sinks],
        observes=[],
        config=config,
        rb_assign={"RB_1": "read"} | {f"RB_{k}": "write" for k in range(2, 2 + len(sinks))},
        label="Fkt_2[0]",
    )


def copy_all(source_list: Any, sink_list: Any, observe_list: Any, config_dict: Any, **rb_info: str) -> None:
    rbTransfer(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=lambda data: 1, **rb_info)()


def test_the_function_gets_what_mimocorb_gives(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    got: list[Any] = []

    def function(source_list: Any, sink_list: Any, observe_list: Any, config_dict: Any, **rb_info: str) -> None:
        got.extend((source_list, sink_list, observe_list, config_dict, rb_info))

    call(function, first, second, threshold=5, directory_prefix="/data/run")
    (source,), (sink,), observe, config, rb_info = got
    assert source["values_per_slot"] == sink["values_per_slot"] == 4
    assert sink["dtype"] == [("chA", np.float32), ("chB", np.float32)]
    assert observe is None
    assert config == {"threshold": 5, "directory_prefix": "/data/run/"}
    assert rb_info == {"RB_1": "read", "RB_2": "write"}


def test_a_ring_described_as_plain_is_shown_without_names() -> None:
    segment = segment_name("RB_9", partition="test-worker")
    ring = Ring.create(segment, np.dtype([("data", "i2", (3,))]), 4, description={"plain": True})
    try:
        arguments = worker_arguments(sources=[], sinks=[segment], observes=[], config={}, rb_assign={}, label="x")
        assert arguments.sink_list is not None
        assert arguments.sink_list[0]["dtype"] == np.int16
    finally:
        ring.unlink()


def test_the_end_of_the_input_becomes_the_end_of_the_output(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    put(first, 0, 1, 2)
    call(copy_all, first, second)
    status = second.status()
    assert (status.committed, status.finished_writers, status.is_ended) == (3, 1, True)
    assert first.status().groups[0].released == 3


def test_leaving_by_system_exit_is_a_normal_end(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    put(first, 0, 1)

    def function(source_list: Any, sink_list: Any, *_: Any, **rb_info: str) -> None:
        source, sink = Reader(source_list[0]), Writer(sink_list[0])
        while True:
            data = source.get()
            sink.get_new_buffer()[:] = data
            sink.process_buffer()

    call(function, first, second)
    assert second.status().is_ended
    assert second.status().committed == 2


def test_each_sink_is_finished_once_however_many_writers_were_made(make: Make) -> None:
    ring = make("RB_1", expected_writers=2)

    def function(source_list: Any, sink_list: Any, *_: Any, **rb_info: str) -> None:
        writers = [Writer(sink_list[0]) for _ in range(3)]
        writers[0].get_new_buffer()
        writers[0].process_buffer()

    call(function, None, ring)
    assert (ring.status().finished_writers, ring.status().is_ended) == (1, False)
    call(function, None, ring)
    assert (ring.status().finished_writers, ring.status().is_ended) == (2, True)


def test_a_sink_that_was_never_written_to_is_finished_too(make: Make) -> None:
    ring = make("RB_1")
    call(lambda *_, **__: None, None, ring)
    assert ring.status().is_ended


def test_the_stream_is_ended_even_if_the_ring_has_lost_its_name(make: Make) -> None:
    ring = make("RB_1")
    call(lambda *_, **__: ring.unlink(), None, ring)
    assert ring.status().is_ended


def test_an_exception_leaves_the_stream_open_and_gives_the_event_back(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    put(first, 0, 1, 2)

    def choke(data: Any) -> int:
        if data["chA"][0] == 1:
            raise ZeroDivisionError("in the user's code")
        return 1

    def function(source_list: Any, sink_list: Any, *_: Any, **rb_info: str) -> None:
        rbTransfer(source_list=source_list, sink_list=sink_list, ufunc=choke, **rb_info)()

    with pytest.raises(ZeroDivisionError):
        call(function, first, second)
    status = second.status()
    assert (status.committed, status.finished_writers, status.is_ended, status.writers) == (1, 0, False, ())
    (group,) = first.status().groups
    assert (group.released, group.reading, group.redelivered) == (1, 0, 1)
    call(copy_all, first, second)
    assert second.status().committed == 3


def test_an_exit_with_an_error_is_a_failure(make: Make) -> None:
    ring = make("RB_1")

    def function(*_: Any, **__: str) -> None:
        raise SystemExit("the wrong number of samples")

    with pytest.raises(RuntimeError, match=r"Fkt_2\[0\] has ended itself with exit code 'the wrong number of samples'"):
        call(function, None, ring)
    assert not ring.status().is_ended


def test_an_event_that_could_not_be_delivered_is_not_done(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    put(first, 0, 1)
    second.end()
    call(copy_all, first, second)
    assert first.status().groups[0].released == 0


def test_an_aborted_run_is_told_from_a_finished_one(make: Make) -> None:
    first, second = make("RB_1"), make("RB_2")
    put(first, 0, 1)

    def abort(data: Any) -> int:
        first.close()
        return 1

    def function(source_list: Any, sink_list: Any, *_: Any, **rb_info: str) -> None:
        rbTransfer(source_list=source_list, sink_list=sink_list, ufunc=abort, **rb_info)()

    with pytest.raises(RingClosed):
        call(function, first, second)
    assert second.status().finished_writers == 0


def test_a_source_that_is_stopped_ends_its_stream(make: Make) -> None:
    ring = make("RB_1")

    def function(source_list: Any, sink_list: Any, *_: Any, **rb_info: str) -> None:
        def source() -> Iterator[Any]:
            for k in range(100):
                if k == 3:
                    ring.end()
                yield np.zeros((2, 4)), None

        rbImport(sink_list=sink_list, ufunc=source)()

    call(function, None, ring)
    assert (ring.status().committed, ring.status().is_ended) == (3, True)
