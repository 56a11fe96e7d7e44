"""pulseSimulator and parquetReader: one event a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.mimocorb.buffer_control import rb_toParquetfile
from mimodaq.mimocorb.mimo_buffer import NewBuffer, Writer
from mimodaq.mimocorb.parquetReader import parquetReader
from mimodaq.mimocorb.pulseSimulator import pulseSimulator

SIMULATION: dict[str, Any] = {
    "number_of_samples": 1000,
    "analogue_offset": -0.48,
    "sample_time_ns": 4,
    "pre_trigger_samples": 100,
    "sleeptime": 0,
    "seed": 1,
}


def test_the_form_of_the_manual_and_that_of_the_last_release_give_the_same_events() -> None:
    manual, release = pulseSimulator(SIMULATION), pulseSimulator(SIMULATION)
    release.init(number_of_channels=4, number_of_values=1000, channel_names=["chA", "chB", "chC", "chD"])
    for _ in range(100):
        event = manual(4)
        assert event is not None
        assert event.shape == (4, 1000)
        assert event.dtype == np.float32
        assert np.array_equal(event, release())  # type: ignore[arg-type]


def test_most_events_have_a_pulse_at_the_trigger_position_above_the_offset() -> None:
    source = pulseSimulator(SIMULATION)
    heights = [source(2)[0][100] + 480 for _ in range(200)]  # type: ignore[index]
    assert 200 < np.median(heights) < 300
    assert 180 < sum(height > 20 for height in heights) < 200


def test_events_end_after_eventcount() -> None:
    source = pulseSimulator({**SIMULATION, "eventcount": 3})
    assert [source(2) is None for _ in range(5)] == [False, False, False, True, True]


def test_lists_of_heights_are_understood() -> None:
    source = pulseSimulator({**SIMULATION, "pulseHeight": [100, 400], "pulseSpread": 0.5, "prb2ndPulse": 0})
    heights = np.array([source(1)[0][100] + 480 for _ in range(100)])  # type: ignore[index]
    seen = heights[heights > 20]
    assert ((abs(seen - 100) < 15) | (abs(seen - 400) < 15)).all()
    assert min(sum(seen < 250), sum(seen > 250)) > 20


def test_the_shape_must_be_known() -> None:
    with pytest.raises(ValueError, match="call init"):
        pulseSimulator(SIMULATION)()


def save(folder: Path, name: str, numbers: range) -> None:
    buffer = NewBuffer(16, 5, [("chA", "f4"), ("chB", "f4")])
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    for number in numbers:
        data = sink.get_new_buffer()
        data["chA"], data["chB"] = number, -number
        sink.set_metadata(number, 0.0, -1.0)
    sink.process_buffer()
    del sink
    buffer.set_ending()
    rb_toParquetfile(source_list=[group], config_dict={"directory_prefix": str(folder), "filename": name})()


def test_saved_waveforms_come_back_file_by_file_in_order(tmp_path: Path) -> None:
    save(tmp_path, "b", range(10, 13))
    save(tmp_path, "a", range(3))
    (tmp_path / "readme.txt").write_text("no events")
    source = parquetReader({"path": str(tmp_path), "sleeptime": 0, "number_of_samples": 5})
    source.init(2, 5, ["chB", "chA"])
    events = []
    while (event := source()) is not None:
        events.append([channel.tolist() for channel in event])
    assert events == [[[-n] * 5, [n] * 5] for n in (0, 1, 2, 10, 11, 12)]
    assert source() is None


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} has no file \.tar"):
        parquetReader({"path": str(tmp_path)})
