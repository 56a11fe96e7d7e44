"""Pictures of histograms and waveforms, drawn on a matplotlib figure that the caller owns.

Only matplotlib's object interface is used, never pyplot: a worker has no global figure, and the same drawing
serves files (Agg and SVG) and windows. matplotlib is imported on first use; it comes with the extra `[plot]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._fit import DecayFit
from mimodaq.functions.physics._histogram import HistogramStyle
from mimodaq.protocol.histogram import Histogram

INK: Final = "#222222"
GRID: Final = "#dddddd"
FILL: Final = "#9cc3e6"
LINE: Final = "#1f5fa8"
FIT: Final = "#c8321e"
CHANNELS: Final = ("#1f5fa8", "#d9730d", "#2b8a3e", "#8e44ad", "#c8321e", "#0f8b8d", "#7a5c00", "#555555")
"""Colours of channels, told apart by colour-blind eyes as well; repeated if there are more channels."""

Traces = Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]]
"""Of each channel sample numbers and values."""

_BOX: Final = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": GRID, "alpha": 0.9}
_NEED_MATPLOTLIB: Final = "matplotlib is missing, no picture is drawn: pip install mimodaq[plot]"


class NoPictures(RuntimeError):
    """matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__(_NEED_MATPLOTLIB)


@dataclass(frozen=True, slots=True)
class HistogramPicture:
    """One histogram as it is drawn."""

    style: HistogramStyle
    histogram: Histogram
    fit: DecayFit | None = None
    note: str = ""
    """What has to be known of its counts: stands above the statistics."""


@dataclass(frozen=True, slots=True)
class WaveformStyle:
    """How events are drawn; levels and ranges are in `unit`, after the offset is taken off."""

    title: str
    sample_time_ns: float | None
    """None: not known, the axis counts samples."""
    pre_trigger_samples: int
    offset: float
    low: float | None
    high: float | None
    """None: as the event needs."""
    unit: str
    """Empty: not known."""
    trigger_level: float | None
    trigger_text: str


def new_figure(width: float, height: float) -> Any:
    """Make a figure of this size in inches; raises NoPictures without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NoPictures from error
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save_picture(figure: Any, stem: Path) -> list[Path]:
    """Write a figure as `stem`.png and `stem`.svg, without dates, so that equal pictures are equal files."""
    from matplotlib import rc_context

    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    with rc_context({"svg.hashsalt": "mimodaq"}):
        figure.savefig(png, dpi=120, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def histogram_grid(number: int) -> tuple[int, int]:
    """Give rows and columns for this many histograms: a square, or one row less if that suffices."""
    columns = math.ceil(math.sqrt(max(number, 1)))
    return math.ceil(max(number, 1) / columns), columns


def histograms_figure(number: int) -> Any:
    """Make a figure of fitting size for this many histograms."""
    rows, columns = histogram_grid(number)
    return new_figure(7.2, 4.8) if number == 1 else new_figure(4.8 * columns, 3.4 * rows)


def draw_histograms(figure: Any, pictures: Sequence[HistogramPicture], title: str) -> None:
    """Draw histograms in a grid; replaces what was on the figure."""
    figure.clear()
    rows, columns = histogram_grid(len(pictures))
    for index, picture in enumerate(pictures):
        _draw_histogram(figure.add_subplot(rows, columns, index + 1), picture)
    if title:
        figure.suptitle(title, color=INK, fontsize=13, fontweight="bold")


def _draw_histogram(axes: Any, picture: HistogramPicture) -> None:
    style, histogram = picture.style, picture.histogram
    _dress(axes)
    axes.stairs(histogram.counts, histogram.edges, fill=True, color=FILL, zorder=2)
    axes.stairs(histogram.counts, histogram.edges, color=LINE, linewidth=1.1, zorder=3)
    if picture.fit is not None:
        _draw_fit(axes, histogram, picture.fit)
    axes.set_xlim(histogram.low, histogram.high)
    width = (histogram.high - histogram.low) / histogram.bins
    unit = unit_of(style.label)
    axes.set_xlabel(style.label, color=INK)
    axes.set_ylabel(f"Entries / {width:.3g} {unit}" if unit else "Entries per bin", color=INK)
    top = max(1.2 * float(histogram.counts.max()), style.top * histogram.inside / histogram.bins, 1.0)
    if style.logarithmic:
        axes.set_ylim(0.5, max(2 * top, 10.0))  # first, as an empty histogram cannot be scaled by its content
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, top)
    notes = [picture.note] if picture.note else []
    axes.text(
        0.975,
        0.965,
        "\n".join([*notes, *statistics(histogram), *(fit_text(picture.fit, unit) if picture.fit else [])]),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8.5,
        color=INK,
        linespacing=1.35,
        zorder=6,
        bbox=_BOX,
    )


def _draw_fit(axes: Any, histogram: Histogram, fit: DecayFit) -> None:
    filled = histogram.counts > 0
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    counts = histogram.counts[filled]
    axes.errorbar(
        centres[filled], counts, yerr=np.sqrt(counts), fmt="none", ecolor=LINE, elinewidth=0.8, alpha=0.8, zorder=4
    )
    width = (histogram.high - histogram.low) / histogram.bins
    times = np.linspace(fit.low, fit.high, 400)
    axes.plot(times, fit.density(times) * width, color=FIT, linewidth=1.8, zorder=5)
    flat = fit.background_density() * width
    axes.plot([fit.low, fit.high], [flat, flat], color=FIT, linewidth=1.2, linestyle=(0, (5, 3)), zorder=5)


def statistics(histogram: Histogram) -> list[str]:
    """Give the lines of the statistics box."""
    lines = [f"entries  {histogram.entries}"]
    if histogram.inside:
        lines += [f"mean  {histogram.mean:.4g}", f"σ  {histogram.sigma:.4g}"]
    if histogram.underflow or histogram.overflow:
        lines.append(f"below | above  {histogram.underflow} | {histogram.overflow}")
    if histogram.not_a_number:
        lines.append(f"no number  {histogram.not_a_number}")
    return lines


def fit_text(fit: DecayFit, unit: str) -> list[str]:
    """Give the lines of a fit's result, rounded to two digits of the error."""
    digits = max(0, 1 - math.floor(math.log10(fit.tau_err))) if fit.tau_err > 0 else 3
    return [
        f"τ = {fit.tau:.{digits}f} ± {fit.tau_err:.{digits}f} {unit}".rstrip(),
        f"background = {fit.background:.0f} ± {fit.background_err:.0f}",
        f"χ²/ndf = {fit.chi2:.1f}/{fit.ndf}",
    ]


def unit_of(label: str) -> str:
    """Give the unit in a label like "decay time (µs)", "height [mV]" or "charge / pC"; empty if there is none."""
    found = re.search(r"[(\[]\s*([^)\]]+?)\s*[)\]]\s*$|\s/\s*(\S+)\s*$", label)
    return (found.group(1) or found.group(2)) if found else ""


def waveforms_figure() -> Any:
    """Make a figure of fitting size for waveforms."""
    return new_figure(8.4, 5.0)


def draw_waveforms(
    figure: Any, style: WaveformStyle, traces: Traces, text: str, *, earlier: Sequence[Traces] = ()
) -> None:
    """Draw one event: for each channel sample numbers and values (in the style's unit); replaces the figure.

    `text` says which event it is; `earlier` events are drawn faintly behind it.
    """
    figure.clear()
    axes = figure.add_subplot()
    _dress(axes)
    last = max((float(np.max(samples)) for samples, _ in traces.values()), default=1.0)
    step, unit = _time_step(style.sample_time_ns, last)

    def times(samples: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return (np.asarray(samples, dtype=np.float64) - style.pre_trigger_samples) * step

    for name, colour in zip(traces, _colours(len(traces)), strict=True):
        for event in earlier:
            if name in event:
                axes.plot(times(event[name][0]), event[name][1], color=colour, linewidth=0.6, alpha=0.2, zorder=2)
        samples, values = traces[name]
        axes.plot(times(samples), np.asarray(values), color=colour, linewidth=1.0, alpha=0.85, label=name, zorder=3)
    if style.pre_trigger_samples > 0:
        axes.axvline(0, color=INK, linewidth=0.9, linestyle=":", zorder=2)
    if style.trigger_level is not None:
        axes.axhline(style.trigger_level, color=FIT, linewidth=1.0, linestyle=(0, (5, 3)), zorder=2)
        axes.text(
            0.014,
            0.965,
            style.trigger_text,
            transform=axes.transAxes,
            va="top",
            color=FIT,
            fontsize=8.5,
            zorder=6,
            bbox=_BOX,
        )
    axes.set_xlim(*times([0.0, last]))
    if style.low is not None and style.high is not None:
        axes.set_ylim(style.low, style.high)
    axes.set_xlabel(f"Time ({unit})" if unit else "Sample", color=INK)
    axes.set_ylabel(f"Signal ({style.unit})" if style.unit else "Signal", color=INK)
    axes.legend(loc="upper right", fontsize=8.5, framealpha=0.9, edgecolor=GRID)
    axes.set_title(text, loc="right", fontsize=9, color=INK)
    axes.set_title(style.title, loc="left", fontsize=12, fontweight="bold", color=INK)


def _time_step(sample_time_ns: float | None, last: float) -> tuple[float, str]:
    """The length of a sample on the axis, and its unit (empty: samples are counted)."""
    if sample_time_ns is None:
        return 1.0, ""
    return (1e-3 * sample_time_ns, "µs") if sample_time_ns * last >= 1e4 else (sample_time_ns, "ns")


def thin_out(values: npt.NDArray[Any], most: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Reduce a waveform to about `most` points for the screen, keeping lowest and highest of every stretch.

    Returns sample numbers and values. Unlike every n-th sample this never hides a short pulse.
    """
    stretches = max(most // 2, 1)
    if len(values) <= 2 * stretches:
        return np.arange(len(values)), values
    length = math.ceil(len(values) / stretches)
    padded = np.pad(values, (0, -len(values) % length), mode="edge").reshape(-1, length)
    ends = np.sort(np.stack((padded.argmin(axis=1), padded.argmax(axis=1)), axis=1), axis=1)
    samples = (ends + np.arange(len(padded))[:, np.newaxis] * length).reshape(-1)
    samples = np.minimum(samples, len(values) - 1)
    return samples, values[samples]


def _colours(number: int) -> list[str]:
    return [CHANNELS[k % len(CHANNELS)] for k in range(number)]


def _dress(axes: Any) -> None:
    """Give axes the common look."""
    axes.set_axisbelow(True)
    axes.grid(True, color=GRID, linewidth=0.7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#888888")
    axes.tick_params(colors=INK, labelsize=9)
