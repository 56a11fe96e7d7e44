"""A live window beside a worker: a process of its own, fed through a pipe with what is to be drawn.

The worker never waits for it: a thread writes, and only the newest picture is kept until the window asks for
it. The window ends with its pipe, so also when the worker is killed. Messages are lines of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mimodaq.functions.physics._draw import (
    HistogramPicture,
    WaveformStyle,
    draw_histograms,
    draw_waveforms,
    histograms_figure,
    waveforms_figure,
)
from mimodaq.functions.physics._fit import DecayFit
from mimodaq.functions.physics._histogram import HistogramStyle
from mimodaq.protocol.histogram import Histogram

Message = dict[str, Any]


def histograms_message(pictures: Sequence[HistogramPicture], title: str) -> Message:
    """Describe histograms for the window."""
    items = [
        {
            "style": asdict(picture.style),
            "histogram": picture.histogram.to_dict(),
            "fit": picture.fit.to_dict() if picture.fit else None,
            "note": picture.note,
        }
        for picture in pictures
    ]
    return {"kind": "histograms", "title": title, "items": items}


def waveforms_message(style: WaveformStyle, traces: Mapping[str, tuple[Any, Any]], text: str) -> Message:
    """Describe one event for the window."""
    plain = {name: [np.asarray(part).tolist() for part in trace] for name, trace in traces.items()}
    return {"kind": "waveforms", "style": asdict(style), "traces": plain, "text": text}


def figure_for(message: Message) -> Any:
    """Make a figure of fitting size for a message; used for its size only where a window has its own."""
    return histograms_figure(len(message["items"])) if message["kind"] == "histograms" else waveforms_figure()


def draw_message(figure: Any, message: Message, *, earlier: Sequence[Message] = (), is_log: bool | None = None) -> None:
    """Draw what a message describes; replaces what was on the figure.

    `earlier` are waveforms that are drawn behind it; `is_log` overrules the scale of histograms.
    """
    if message["kind"] == "waveforms":
        style = WaveformStyle(**message["style"])
        behind = [one["traces"] for one in earlier]
        draw_waveforms(figure, style, message["traces"], message["text"], earlier=behind)
        return
    scale = {} if is_log is None else {"logarithmic": is_log}
    pictures = [
        HistogramPicture(
            HistogramStyle(**{**item["style"], **scale}),
            Histogram.from_dict(item["histogram"]),
            DecayFit.from_dict(item["fit"]) if item["fit"] else None,
            item["note"],
        )
        for item in message["items"]
    ]
    draw_histograms(figure, pictures, message["title"])


def open_window(wanted: bool, title: str, log: logging.Logger) -> LiveWindow | None:
    """Open a live window if it is wanted, there is a display, and matplotlib is installed; else None."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not wanted or not display or importlib.util.find_spec("matplotlib") is None:
        return None
    return LiveWindow(title, log)


class LiveWindow:
    """The worker's end of a live window. Call it from one thread."""

    def __init__(self, title: str, log: logging.Logger) -> None:
        self._log = log
        self._newest: Message | None = None
        self._closing = False
        self._change = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mimodaq.functions.physics._window_main", title],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run; the window ends with its pipe
        )
        self._thread = threading.Thread(target=self._write, name="live window", daemon=True)
        self._thread.start()

    def show(self, message: Message) -> None:
        """Have this drawn next; replaces an earlier message that the window has not fetched. Never waits."""
        with self._change:
            self._newest = message
            self._change.notify()

    def close(self, patience_s: float = 3.0) -> int:
        """End the window and give its exit status; one that does not end within `patience_s` is killed."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(patience_s)
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            with pipe:
                while (message := self._next()) is not None:
                    pipe.write(json.dumps(message).encode() + b"\n")
                    pipe.flush()
        except BrokenPipeError:
            self._log.info("the live window was closed")

    def _next(self) -> Message | None:
        with self._change:
            self._change.wait_for(lambda: self._newest is not None or self._closing)
            message, self._newest = self._newest, None
            return message
