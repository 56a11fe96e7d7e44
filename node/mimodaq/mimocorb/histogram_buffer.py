"""Histogram variables of a buffer while data are taken; see `mimodaq.functions.physics` for counting and drawing.

Events are counted where they are read; a window, where there is a display, is a process of its own and never keeps
them waiting. Counts and pictures are saved at the end.
"""

from __future__ import annotations

import inspect
import queue
from collections.abc import Sequence
from typing import Any

import numpy as np

from mimodaq.functions.physics import HistogramPicture, HistogramStyle, draw_histograms, histograms, histograms_figure
from mimodaq.mimocorb._access import Config, Sources, only, refuse
from mimodaq.mimocorb._builtin import surroundings
from mimodaq.mimocorb._figures import new_figure
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.mimocorb.mimo_buffer import Reader

Descriptor = Sequence[Any]
"""[min, max, number of bins, height of the frame in units of the mean content of a bin, label, 0 or 1 = logarithmic]"""

_BATCH = 1024


class histogram_buffer:
    """Histogram a buffer: made with the arguments of a worker function, then called once; returns at the end.

    Keys of the configuration: `histograms`, with an entry ``variable: [min, max, nbins, ymax, label, 0 or 1]`` for
    each; `title` ("Histograms"), `interval` (2.0 s between updates). Saved are ``histograms_<function>.json``,
    ``.png`` and ``.svg``.
    """

    def __init__(
        self,
        source_list: Sources = None,
        sink_list: Sources = None,
        observe_list: Sources = None,
        config_dict: Config = None,
        **rb_info: Any,
    ) -> None:
        refuse(rb_info, "write", "observe", user=self)
        self.config = dict(config_dict or {})
        self.source = Reader(only(source_list, "source_list", self))
        self.logger = Gen_logger("histogram_buffer")
        wanted = dict(self.config.get("histograms") or {})
        fields = self.source.event_dtype.names or ()
        unknown = [name for name in wanted if name not in fields]
        if unknown:
            self.logger.warning("no histogram of %s: the buffer has %s", ", ".join(unknown), ", ".join(fields))
        self.config["histograms"] = {name: wanted[name] for name in wanted if name in fields}

    def __call__(self) -> None:
        """Count until the end of the data, and print a summary."""
        io = surroundings(self.source, self.config, self.logger)
        (reader,) = io.readers
        if self.config["histograms"]:
            known = inspect.signature(histograms).parameters
            histograms(io, **{key: value for key, value in self.config.items() if key in known})
        else:
            while reader.take(_BATCH) is not None:
                reader.release()
        deadtime = 100 * reader.deadtime_sum / max(1, reader.events)
        print(
            "\n ->> process 'histogram_buffer': SUMMARY\n"
            f"  received # of events: {reader.events}   last event id seen: {reader.last_counter}"
            f"   average deadtime: {deadtime:.1f}%"
        )


class animHists:
    """Histograms on `fig` or on a figure of their own; called with new values, it counts and draws them.

    Hdescr: a descriptor for each histogram, see `Descriptor`.
    """

    def __init__(self, Hdescr: Sequence[Descriptor], name: str = "Histograms", fig: Any = None) -> None:
        styles = [HistogramStyle.parse(f"number {i}", descriptor) for i, descriptor in enumerate(Hdescr)]
        self.pictures = [HistogramPicture(style, style.histogram()) for style in styles]
        self.name = name
        self.nHist = len(self.pictures)
        if fig is None:
            width, height = histograms_figure(self.nHist).get_size_inches()
            self.fig, self._refresh = new_figure(name, width, height)
        else:
            self.fig, self._refresh = fig, fig.canvas.draw_idle

    @property
    def entries(self) -> list[int]:
        """Number of values in the bins of each histogram."""
        return [picture.histogram.inside for picture in self.pictures]

    @property
    def frqs(self) -> list[Any]:
        """Content of the bins of each histogram."""
        return [picture.histogram.counts for picture in self.pictures]

    def init(self) -> tuple[Any, ...]:
        """Draw the histograms as they are; returns the objects drawn."""
        draw_histograms(self.fig, self.pictures, self.name)
        self._refresh()
        return tuple(artist for axes in self.fig.axes for artist in axes.get_children())

    def __call__(self, vals: Sequence[Any] | None) -> tuple[Any, ...]:
        """Count `vals`, an array of values for each histogram (None = nothing new), and draw."""
        for picture, values in zip(self.pictures, vals or (), strict=False):
            picture.histogram.fill(np.asarray(values, dtype=float))
        return self.init()


def plot_Histograms(Q: Any, Hdescripts: Sequence[Descriptor], interval: float, name: str = "Histograms") -> None:
    """Show histograms of what comes through a queue: lists with an array of values for each histogram; None is the end.

    `interval`: longest time between updates in s. Draws into a window, if there is a display.
    """
    hists = animHists(Hdescripts, name)
    hists.init()
    while True:
        try:
            values = Q.get(timeout=interval)
        except queue.Empty:
            hists(None)
            continue
        if values is None:
            return
        hists(values)
