"""Waveforms in braille: two dots wide and four high in each cell, drawn as an envelope.

Each column of dots goes from the smallest to the largest sample that falls on it, so the narrowest spike is seen at any
width. Measured for 2000 samples on 120 x 30 cells: under a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._glyphs import BRAILLE
from ._line import Line, Span, cell, clean, fit

_DOTS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
"""Bit of each dot, by row and column within a cell."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What samples and values mean, as far as the setup says so."""

    sample_ns: float | None = None
    trigger_sample: int | None = None
    level: float | None = None
    """At which the trigger fires, in units of the values."""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel, in one event or several that are drawn over each other."""

    name: str
    waves: tuple[npt.NDArray[Any], ...]
    """Newest last."""


def envelope(wave: npt.NDArray[Any], columns: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Smallest and largest value of each column, joined to the one before so that the curve has no holes."""
    edges = np.linspace(0, len(wave), columns + 1).astype(int)
    starts = np.minimum(edges[:-1], len(wave) - 1)
    low, high = np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts)
    last = wave[np.maximum(starts[1:] - 1, 0)]
    low[1:], high[1:] = np.minimum(low[1:], last), np.maximum(high[1:], last)
    return low, high


def braille(waves: Sequence[npt.NDArray[Any]], width: int, height: int, bottom: float, top: float) -> list[str]:
    """Curves on `width` x `height` cells; what is outside of `bottom` to `top` is drawn on the rim."""
    columns, rows = width * 2, height * 4
    dots = np.zeros((rows, columns), dtype=bool)
    scale = (rows - 1) / (top - bottom) if top > bottom else 0.0
    y = np.arange(rows)[:, None]
    for wave in waves:
        if not len(wave):
            continue
        finite = np.clip(np.nan_to_num(np.asarray(wave, dtype=np.float64), nan=bottom), bottom, top)
        low, high = envelope(finite, columns)
        upper = rows - 1 - np.rint((high - bottom) * scale)
        lower = rows - 1 - np.rint((low - bottom) * scale)
        dots |= (y >= upper) & (y <= lower)
    cells = dots.reshape(height, 4, width, 2)
    codes = np.einsum("hrwc,rc->hw", cells, _DOTS.astype(np.uint32)) + BRAILLE
    return ["".join(map(chr, row)) for row in codes]


def limits(waves: Sequence[npt.NDArray[Any]], level: float | None = None) -> tuple[float, float]:
    """Round numbers that hold everything."""
    finite = [wave[np.isfinite(wave)] for wave in waves]
    values = [float(v) for wave in finite if len(wave) for v in (wave.min(), wave.max())]
    if level is not None and values:
        values.append(level)
    if not values:
        return 0.0, 1.0
    bottom, top = min(values), max(values)
    span = top - bottom or abs(top) or 1.0
    step = 10.0 ** np.floor(np.log10(span)) / 2
    return float(np.floor(bottom / step) * step), float(np.ceil(top / step) * step if top > bottom else top + step)


def channel_lines(
    channel: Channel, axis: Axis, width: int, height: int, fixed: tuple[float, float] | None = None
) -> list[Line]:
    """One channel: name and scale at the left, the curve, its figures at the right."""
    bottom, top = fixed or limits(channel.waves, axis.level)
    newest = channel.waves[-1] if channel.waves else np.zeros(0)
    figures = _figures(newest, axis)
    left, right = 11, 20 if width >= 80 else 0
    curve_width = max(8, width - left - right)
    curves = braille(channel.waves, curve_width, height, bottom, top)
    lines: list[Line] = []
    for row, curve in enumerate(curves):
        label: Span = (" " * left, "")
        if row == 0:
            label = cell(f" {clean(channel.name)}", left, "strong")
        elif row == 1 and height > 3:
            label = cell(f"{top:+g} {axis.unit} ", left, "dim", right=True)
        elif row == height - 1:
            label = cell(f"{bottom:+g} {axis.unit} ", left, "dim", right=True)
        elif axis.level is not None and row == _row_of(axis.level, bottom, top, height):
            label = cell(f"trg {axis.level:+g} ▶", left, "warning", right=True)
        text = figures[row] if right and row < len(figures) else ""
        lines.append(fit([label, (curve, "good"), (f" {text}", "")], width))
    return lines


def time_line(samples: int, axis: Axis, width: int) -> Line:
    """Time below the curves, with the trigger."""
    left, right = 11, 20 if width >= 80 else 0
    room = max(8, width - left - right)
    step = axis.sample_ns or 1.0
    zero = axis.trigger_sample or 0
    begin, end = _time(-zero * step, axis), _time((samples - zero) * step, axis)
    cells = [" "] * room
    cells[: len(begin)] = begin
    cells[room - len(end) :] = end
    if axis.trigger_sample is not None and samples:
        at = min(room - 1, int(axis.trigger_sample / samples * room))
        for offset, letter in enumerate("▲0"):
            if at + offset < room - len(end) and at + offset >= len(begin):
                cells[at + offset] = letter
    return fit([(" " * left, ""), ("".join(cells[:room]), "dim")], width)


def _time(ns: float, axis: Axis) -> str:
    if axis.sample_ns is None:
        return f"{ns:.0f}"
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def _row_of(value: float, bottom: float, top: float, height: int) -> int:
    return int(np.clip((top - value) / (top - bottom) * height, 0, height - 1)) if top > bottom else -1


def _figures(wave: npt.NDArray[Any], axis: Axis) -> list[str]:
    """In words, for those who cannot see the curve."""
    if not len(wave):
        return []
    values = np.asarray(wave, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return ["no numbers"]
    before = values[: max(1, (axis.trigger_sample or len(values) // 8) * 3 // 4)]
    base = float(np.median(before))
    area = float((values - base).sum()) * (axis.sample_ns or 1.0)
    unit = f" {axis.unit}" if axis.unit else ""
    if axis.unit == "mV" and axis.sample_ns:
        area, area_unit = area / 1000, " nVs"
    else:
        area_unit = ""
    named = (("max", values.max()), ("min", values.min()), ("base", base))
    return [f"{name:<5}{value:8.3g}{unit}" for name, value in named] + [f"area {area:8.3g}{area_unit}"]
