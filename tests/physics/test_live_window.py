"""The live window: a process of its own that never keeps its worker waiting."""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pytest

from mimodaq.functions.physics import fit_decay_counts, histograms
from mimodaq.functions.physics._draw import HistogramPicture, WaveformStyle, histograms_figure, waveforms_figure
from mimodaq.functions.physics._histogram import HistogramStyle
from mimodaq.functions.physics._window import (
    LiveWindow,
    draw_message,
    figure_for,
    histograms_message,
    open_window,
    waveforms_message,
)
from mimodaq.functions.physics._window_main import main

LOG = logging.getLogger("mimodaq.test")


def message() -> dict:
    style = HistogramStyle(0, 15, 75, 5, "decay time (µs)", logarithmic=False)
    histogram = style.histogram()
    histogram.fill(np.random.default_rng(1).exponential(2.2, 500))
    fit = fit_decay_counts(histogram.edges, histogram.counts)
    return histograms_message([HistogramPicture(style, histogram, fit)], "Muons")


def test_messages_survive_the_pipe() -> None:
    style = WaveformStyle("t", 4.0, 10, 0.0, -1.0, 1.0, "V", 0.5, "Trigger")
    for sent, figure in (
        (message(), histograms_figure(1)),
        (waveforms_message(style, {"chA": (np.arange(5), np.ones(5))}, "event 1"), waveforms_figure()),
    ):
        received = json.loads(json.dumps(sent))
        assert received == sent
        draw_message(figure, received)
        assert len(figure.axes) == 1
        assert figure_for(received).get_size_inches().tolist() == figure.get_size_inches().tolist()


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.usefixtures("no_display")
def test_without_a_display_there_is_no_window() -> None:
    assert open_window(wanted=True, title="t", log=LOG) is None


def test_a_window_that_is_not_wanted_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_window(wanted=False, title="t", log=LOG) is None


def test_the_window_draws_until_its_pipe_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    window = LiveWindow("t", LOG)
    for _ in range(3):
        window.show(message())
    assert window.close(patience_s=60) == 0


def test_a_window_closed_by_the_user_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MPLBACKEND", "no such window system")
    window = LiveWindow("t", LOG)
    with caplog.at_level(logging.INFO):
        window.show(message())
        window._process.wait(60)
        window.show(message())
        assert window.close(patience_s=60) != 0
    assert "window" in caplog.text


def test_a_worker_with_a_display_feeds_a_window_and_writes_the_same_files(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    events = np.zeros(50, [("t", "f4", (1,))])
    worker = world(reads=events)
    worker.readers[0]._most = [7, 0, 3]
    histograms(worker, histograms={"t": [0, 1, 5]}, interval=0.0)
    assert len(worker.registered) == 3
    assert worker.readers[0].released == 50


def test_the_program_ends_without_a_message() -> None:
    assert main("t", io.BytesIO()) == 0
