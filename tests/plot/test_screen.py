"""What a display window shows, and what its keys do."""

from __future__ import annotations

import queue
import sys
import threading

import numpy as np
import pytest
from matplotlib.backend_bases import KeyEvent

from mimodaq.functions.physics import (
    HistogramPicture,
    HistogramStyle,
    Message,
    NoPictures,
    NoWindowError,
    Screen,
    WaveformStyle,
    check_window,
    histograms_figure,
    histograms_message,
    note,
    show,
    waveforms_message,
)
from mimodaq.functions.physics._draw import waveforms_figure

UNKNOWN = WaveformStyle("RB_1", None, 0, 0.0, None, None, "", None, "")


def event(number: int, style: WaveformStyle = UNKNOWN) -> Message:
    return waveforms_message(style, {"chA": (np.arange(50), np.full(50, float(number)))}, f"event {number}")


def histogram(*, is_log: bool = False) -> Message:
    style = HistogramStyle(0, 10, 10, 0, "t / s", is_log)
    picture = HistogramPicture(style, style.histogram(), note="a sample")
    picture.histogram.fill([1.5, 2.5, 2.6, 11.0])
    return histograms_message([picture], "RB_2, run 3")


def drawn(screen: Screen):
    figure = waveforms_figure()
    screen.draw(figure)
    return figure


def test_the_newest_event_is_shown_in_samples_if_nothing_else_is_known() -> None:
    screen = Screen()
    assert drawn(screen).axes == []
    assert screen.take(event(1))
    assert screen.take(event(2))
    (axes,) = drawn(screen).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Sample", "Signal")
    (line,) = axes.get_lines()
    assert set(line.get_ydata()) == {2.0}


def test_space_freezes_and_shows_the_newest_afterwards() -> None:
    screen = Screen()
    screen.take(event(1))
    assert screen.press(" ")
    assert "FROZEN" in drawn(screen).get_supxlabel()
    for number in (2, 3):
        assert not screen.take(event(number))
    assert screen.message["text"] == "event 1"
    assert screen.press("space")
    assert screen.message["text"] == "event 3"
    assert "FROZEN" not in drawn(screen).get_supxlabel()


def test_o_keeps_earlier_events_behind_the_newest() -> None:
    screen = Screen()
    screen.take(event(0))
    assert screen.press("o")
    for number in range(1, 100):
        screen.take(event(number))
    lines = drawn(screen).axes[0].get_lines()
    assert len(lines) == 31
    assert set(lines[-1].get_ydata()) == {99.0}
    assert [text.get_text() for text in drawn(screen).axes[0].get_legend().get_texts()] == ["chA"]
    screen.press("o")
    assert len(drawn(screen).axes[0].get_lines()) == 1


@pytest.mark.parametrize("is_log", [False, True])
def test_l_changes_the_scale_of_histograms(is_log: bool) -> None:
    screen = Screen()
    screen.take(histogram(is_log=is_log))
    scales = []
    for _ in range(3):
        scales.append(drawn(screen).axes[0].get_yscale())
        assert screen.press("l")
    assert scales == (["log", "linear", "log"] if is_log else ["linear", "log", "linear"])


def test_a_scale_may_be_asked_for_from_the_beginning() -> None:
    screen = Screen(is_log=True)
    screen.take(histogram())
    assert drawn(screen).axes[0].get_yscale() == "log"
    assert screen.press("l")
    assert drawn(screen).axes[0].get_yscale() == "linear"


def test_keys_that_mean_nothing_change_nothing() -> None:
    screen = Screen()
    assert not any(screen.press(key) for key in ("o", "l", "x", None))
    screen.take(histogram())
    assert not screen.press("o")
    screen.take(event(1))
    assert not screen.press("l")


def test_the_counts_say_whether_they_are_a_sample_and_what_is_outside() -> None:
    screen = Screen()
    screen.take(histogram())
    figure = histograms_figure(1)
    screen.draw(figure)
    text = figure.axes[0].texts[0].get_text()
    assert text.startswith("a sample\nentries  4\n")
    assert "below | above  0 | 1" in text


def test_the_end_of_the_run_is_shown_and_the_picture_stays() -> None:
    screen = Screen()
    screen.take(event(7))
    assert screen.take(note("run 3 has ended"))
    figure = drawn(screen)
    assert "run 3 has ended" in figure.get_supxlabel()
    assert len(figure.axes) == 1


def test_a_picture_can_be_written(tmp_path) -> None:
    screen = Screen(is_overlaid=True)
    for number in range(3):
        screen.take(event(number))
    screen.save(str(tmp_path / "p.png"))
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_window_needs_matplotlib_a_display_and_a_window_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(NoWindowError, match=r"DISPLAY is not set.*ssh -X.*--png FILE"):
        check_window()
    monkeypatch.setenv("DISPLAY", ":99")
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "get_backend", lambda: "agg")
    with pytest.raises(NoWindowError, match="found no window system"):
        check_window()
    monkeypatch.setattr(pyplot, "get_backend", lambda: "tkagg")
    check_window()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NoPictures, match=r"pip install mimodaq\[plot\]"):
        check_window()


def test_the_window_shows_what_arrives_and_obeys_keys_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    screen = Screen()
    arriving: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    seen: list[str] = []
    is_drawn = threading.Event()
    draw = screen.draw

    def look(figure) -> None:
        draw(figure)
        seen.append(figure.get_supxlabel())
        if len(seen) == 1:
            assert "keymap.yscale" in pyplot.rcParams
            assert "l" not in pyplot.rcParams["keymap.yscale"]
            KeyEvent("key_press_event", figure.canvas, " ")._process()
        else:
            is_drawn.set()

    monkeypatch.setattr(Screen, "draw", lambda self, figure: look(figure))
    arriving.put(event(1))
    closer = threading.Thread(target=lambda: (is_drawn.wait(60), arriving.put(None)))
    closer.start()
    with pyplot.rc_context():
        show("test", screen, arriving)
    closer.join()
    assert screen.is_frozen
    assert "FROZEN" in seen[-1]
    assert pyplot.get_fignums() == []
