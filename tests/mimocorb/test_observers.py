"""rbObserver and rbWSObserver give samples at the rate that was asked for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mimodaq.mimocorb.buffer_control import rbObserver, rbWSObserver
from mimodaq.mimocorb.mimo_buffer import NewBuffer, Writer


def buffer_with_event() -> NewBuffer:
    buffer = NewBuffer(4, 2, "i4")
    add(buffer, 7)
    return buffer


def add(buffer: NewBuffer, number: int) -> None:
    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()[:] = number
    sink.process_buffer()


@pytest.mark.parametrize("kind", [rbObserver, rbWSObserver])
def test_samples_come_with_metadata_and_none_is_the_end(kind: Any) -> None:
    buffer = buffer_with_event()
    observer = kind(observe_list=[buffer.new_observer()], config_dict={"min_sleeptime": 0}, RB_1="observe")
    data, metadata = next(observer())
    assert (data.tolist(), metadata[0][0]) == ([7, 7], 0)
    buffer.set_ending()
    assert next(observer()) is None
    assert next(observer()) is None


def test_min_sleeptime_lies_between_samples() -> None:
    buffer = buffer_with_event()
    observer = rbObserver(observe_list=[buffer.new_observer()], config_dict={"min_sleeptime": 0.2}, RB_1="observe")
    next(observer())
    before = time.monotonic()
    add(buffer, 8)
    data, _ = next(observer())
    assert time.monotonic() - before > 0.19
    assert data.tolist() == [8, 8]


def test_the_end_of_the_run_cuts_the_wait_short() -> None:
    buffer = buffer_with_event()
    observer = rbObserver(observe_list=[buffer.new_observer()], config_dict={"min_sleeptime": 3600}, RB_1="observe")
    next(observer())
    buffer.set_ending()
    assert next(observer()) is None


def test_the_older_form_can_be_closed() -> None:
    buffer = buffer_with_event()
    observer = rbWSObserver(observe_list=[buffer.new_observer()], config_dict={}, RB_1="observe")
    observer.close()
    assert next(observer()) is None
    assert buffer.ring.status().observers == 0


def test_an_observer_needs_a_buffer_to_observe() -> None:
    with pytest.raises(ValueError, match="no observe_list"):
        rbObserver(config_dict={})
    with pytest.raises(ValueError, match="cannot read"):
        rbObserver(observe_list=[buffer_with_event().new_observer()], config_dict={}, RB_1="read")
