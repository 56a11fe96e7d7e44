"""plot_buffer, histogram_buffer and bufferinfoGUI work without a display, too."""

from __future__ import annotations

import json
import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.mimocorb.bufferinfoGUI import bufferinfoGUI, plot_bufferinfo
from mimodaq.mimocorb.histogram_buffer import animHists, histogram_buffer, plot_Histograms
from mimodaq.mimocorb.mimo_buffer import NewBuffer, Writer
from mimodaq.mimocorb.plot_buffer import animWaveformPlotter, plot_buffer

pytest.importorskip("matplotlib")

WAVE = [("chA", "f4"), ("chB", "f4")]
OSCILLOSCOPE: dict[str, Any] = {
    "title": "Muon waveform",
    "sample_time_ns": 4,
    "analogue_offset": -0.48,
    "pre_trigger_samples": 10,
    "number_of_samples": 100,
    "channel_range": 500,
    "trigger_level": -440,
    "trigger_channel": "A",
    "trigger_direction": "rising",
    "min_sleeptime": 0.5,
}
HISTOGRAMS = {"height": [0.0, 10.0, 5, 2.5, "pulse height (mV)", 0], "time": [0.0, 100.0, 10, 2.5, "time (ns)", 1]}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)


def ended(dtype: Any, rows: int, events: list[Any]) -> tuple[NewBuffer, list[dict[str, Any]]]:
    buffer = NewBuffer(64, rows, dtype)
    group = buffer.new_reader_group()
    sink = Writer(buffer.new_writer())
    for number, event in enumerate(events):
        sink.get_new_buffer()[:] = event
        sink.set_metadata(number, 1e9, 0.25)
    sink.process_buffer()
    del sink
    buffer.set_ending()
    return buffer, [group]


def test_waveforms_are_drawn_into_a_file_at_the_end(tmp_path: Path) -> None:
    buffer, _ = ended(WAVE, 100, [(1, 2)])
    config = {**OSCILLOSCOPE, "directory_prefix": f"{tmp_path}/", "unknown_to_us": 1}
    plot_buffer(observe_list=[buffer.new_observer()], config_dict=config, RB_1="observe")()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".png", ".svg"]


def test_a_waveform_can_be_drawn_on_a_figure_of_the_caller() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    plotter = animWaveformPlotter(conf_dict=OSCILLOSCOPE, dtypes=WAVE, fig=figure)
    data = np.zeros(100, WAVE)
    data["chA"][:] = -480
    data["chB"][50] = 100
    metadata = np.array([(7, 1e9, 0.1)], dtype=[("counter", int), ("timestamp", float), ("deadtime", float)])
    plotter(data, metadata)
    metadata["counter"], metadata["timestamp"] = 27, 1e9 + 2
    plotter(data, metadata)
    (axes,) = figure.axes
    assert axes.get_title(loc="right") == "# 27  - 10 Hz"
    assert {line.get_label() for line in plotter.init()} >= {"chA", "chB"}
    channel_a = next(line for line in plotter.init() if line.get_label() == "chA")
    assert not np.asarray(channel_a.get_ydata()).any()


def test_the_plotter_knows_the_channels_from_a_setup_dictionary_too() -> None:
    buffer, _ = ended(WAVE, 100, [])
    plotter = animWaveformPlotter(conf_dict=OSCILLOSCOPE, source_dict=buffer.new_observer())
    assert plotter.channels == ["chA", "chB"]


def test_histograms_count_every_event_and_are_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [(k % 10, 5 * k) for k in range(40)]
    buffer, source = ended([("height", "f4"), ("time", "i4")], 1, events)
    config = {"histograms": HISTOGRAMS, "title": "live", "directory_prefix": f"{tmp_path}/"}
    histogram_buffer(source_list=source, config_dict=config, RB_3="read")()
    content = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert content["histograms"]["height"]["counts"] == [8] * 5
    assert content["histograms"]["time"]["overflow"] == 20
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".png", ".svg"}
    assert buffer.buffer_status()[1] == 0
    assert "received # of events: 40   last event id seen: 39   average deadtime: 25.0%" in capsys.readouterr().out


def test_a_histogram_of_an_unknown_variable_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, source = ended([("height", "f4")], 1, [3.0])
    config = {"histograms": HISTOGRAMS, "directory_prefix": f"{tmp_path}/"}
    histogram_buffer(source_list=source, config_dict=config, RB_3="read")()
    assert "no histogram of time: the buffer has height" in caplog.text
    assert list(json.loads(next(tmp_path.glob("*.json")).read_text())["histograms"]) == ["height"]


def test_without_histograms_events_are_counted_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, source = ended([("height", "f4")], 1, [3.0] * 5)
    histogram_buffer(source_list=source, config_dict={"directory_prefix": f"{tmp_path}/"}, RB_3="read")()
    assert "received # of events: 5" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_histograms_can_be_filled_by_hand() -> None:
    hists = animHists(list(HISTOGRAMS.values()), "by hand")
    hists.init()
    hists([[1, 1, 9], [50]])
    hists(None)
    assert (hists.nHist, hists.entries) == (2, [3, 1])
    assert hists.frqs[0].tolist() == [2, 0, 0, 0, 1]
    assert len(hists.fig.axes) == 2


def test_histograms_fed_by_a_queue_end_with_none() -> None:
    values: queue.Queue[Any] = queue.Queue()
    for item in ([[1], [2]], [[3], [4]], None):
        values.put(item)
    plot_Histograms(values, list(HISTOGRAMS.values()), 0.01)
    assert values.empty()


def test_buffer_information_shows_rates_and_status() -> None:
    statuses: queue.Queue[Any] = queue.Queue()
    shown = plot_bufferinfo(statuses, ["RB_1", "RB_2"], maxRate=100.0, interval=1000.0)
    assert shown(0) == shown.init()
    statuses.put(("Running", 12.34, 500, 0.015, {"RB_1": [500, 3, 42.0], "RB_2": [20, 0, 1.5]}, True))
    shown(1)
    assert shown.animlines[0].get_ydata()[-1] == 42.0
    assert shown.title.get_text() == (
        "Time active: 12.3s   Number of Events: 500   Deadtime: 1.5%   Status: Running\n"
        "current rate: 42Hz   in buffer: 3   workers √"
    )
    shown.fig.canvas.draw()


def test_the_control_window_says_that_there_is_no_display(capsys: pytest.CaptureFixture[str]) -> None:
    bufferinfoGUI(None, None, None)
    assert "there is no display" in capsys.readouterr().err
