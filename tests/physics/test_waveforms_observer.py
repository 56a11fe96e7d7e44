"""The observer `waveforms`: pictures of the last event, and what is drawn."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from mimodaq.functions.physics import waveforms
from mimodaq.functions.physics._draw import (
    HistogramPicture,
    WaveformStyle,
    draw_histograms,
    draw_waveforms,
    histogram_grid,
    histograms_figure,
    thin_out,
    unit_of,
    waveforms_figure,
)
from mimodaq.functions.physics._histogram import HistogramStyle

OPTIONS = {
    "sample_time_ns": 4.0,
    "pre_trigger_samples": 100,
    "analogue_offset": -0.48,
    "trigger_level": -440.0,
    "trigger_channel": "A",
    "trigger_direction": "rising",
    "min_sleeptime": 0.0,
}


@pytest.fixture
def events(waveforms_of) -> np.ndarray:
    records = np.zeros(3, waveforms_of("AB", 500))
    for name in records.dtype.names:
        records[name] = -480
        records[name][:, 100:200] += 300 * np.exp(-np.arange(100) / 25)
    return records


def test_pictures_of_the_last_event_are_written(world, events: np.ndarray) -> None:
    io = world(observes=events)
    waveforms(io, title="Muon waveform", number_of_samples=500, **OPTIONS)
    assert [path.name for path in io.registered] == ["waveforms_Fkt_2.png", "waveforms_Fkt_2.svg"]
    assert all(path.stat().st_size > 1000 for path in io.registered)


def test_without_an_event_there_is_no_picture(world, events: np.ndarray) -> None:
    io = world(observes=events[:0])
    waveforms(io, **OPTIONS)
    assert io.registered == []


def test_without_matplotlib_it_says_so_once(
    world, events: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    io = world(observes=events)
    with caplog.at_level(logging.WARNING):
        waveforms(io, **OPTIONS)
    assert io.registered == []
    assert caplog.text.count("pip install mimodaq[plot]") == 1


@pytest.mark.parametrize(
    ("more", "named"),
    [({"processes": 2}, "2 processes"), ({"options": {"number_of_samples": 400}}, "400 samples")],
)
def test_what_does_not_fit_is_refused(world, events: np.ndarray, more: dict, named: str) -> None:
    options = {**OPTIONS, **more.pop("options", {})}
    with pytest.raises(ValueError, match=named):
        waveforms(world(observes=events, **more), **options)


def style(**changes) -> WaveformStyle:
    values = {
        "title": "Muons",
        "sample_time_ns": 4.0,
        "pre_trigger_samples": 100,
        "offset": -480.0,
        "low": -20.0,
        "high": 980.0,
        "unit": "mV",
        "trigger_level": 40.0,
        "trigger_text": "Trigger A 40 mV rising",
    }
    return WaveformStyle(**{**values, **changes})


def test_axes_have_the_units_and_ranges_of_the_oscilloscope() -> None:
    figure = waveforms_figure()
    draw_waveforms(figure, style(), {"chA": (np.arange(500), np.zeros(500))}, "event 7")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Time (ns)", "Signal (mV)")
    assert axes.get_xlim() == (-400, 1596)
    assert axes.get_ylim() == (-20, 980)
    assert [text.get_text() for text in axes.texts] == ["Trigger A 40 mV rising"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["chA"]


def test_long_records_are_in_microseconds_and_drawing_again_replaces() -> None:
    figure = waveforms_figure()
    for _ in range(2):
        trace = (np.arange(4000), np.zeros(4000))
        draw_waveforms(figure, style(trigger_level=None), {"chA": trace, "chB": trace}, "")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "Time (µs)"
    assert axes.texts[:] == []


def test_thinning_out_keeps_every_spike() -> None:
    values = np.zeros(4250)
    values[1777], values[1778] = 300.0, -50.0
    samples, kept = thin_out(values, 500)
    assert len(kept) <= 502
    assert (np.diff(samples) >= 0).all()
    assert np.array_equal(values[samples], kept)
    assert {300.0, -50.0} <= set(kept)
    assert thin_out(values[:100], 500)[1].tolist() == values[:100].tolist()


@pytest.mark.parametrize(("number", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (5, (2, 3)), (9, (3, 3))])
def test_histograms_are_laid_out_in_a_grid(number: int, grid: tuple[int, int]) -> None:
    assert histogram_grid(number) == grid


@pytest.mark.parametrize(
    ("label", "unit"),
    [("decay time (µs)", "µs"), ("height [mV]", "mV"), ("charge / pC", "pC"), ("up/down", ""), ("a (b) c", "")],
)
def test_the_unit_comes_from_the_label(label: str, unit: str) -> None:
    assert unit_of(label) == unit


def test_the_frame_grows_with_the_content_and_is_logarithmic_on_request() -> None:
    pictures = []
    for logarithmic in (False, True):
        kind = HistogramStyle(0, 10, 10, 0.5, "t (s)", logarithmic)
        pictures.append(HistogramPicture(kind, kind.histogram()))
        pictures[-1].histogram.fill(np.full(100, 3.5))
    figure = histograms_figure(2)
    draw_histograms(figure, pictures, "two")
    linear, logarithmic = figure.axes
    assert linear.get_ylim() == (0, 120)
    assert linear.get_ylabel() == "Entries / 1 s"
    assert logarithmic.get_yscale() == "log"
    assert "entries  100" in linear.texts[0].get_text()
