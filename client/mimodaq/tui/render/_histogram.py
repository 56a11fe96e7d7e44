"""Histograms, counted elsewhere and drawn with block characters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mimodaq.protocol.histogram import Histogram

from ._glyphs import EIGHTHS
from ._line import Line, fit
from ._numbers import count


@dataclass(frozen=True, slots=True)
class CountedField:
    """The histogram of one field, as far as it has filled."""

    name: str
    histogram: Histogram | None = None
    """None as long as nothing has come."""
    function: str = ""
    """Who counts every event; empty: it is a sample."""

    @property
    def entries(self) -> int:
        """All values."""
        return self.histogram.entries if self.histogram is not None else 0


@dataclass(frozen=True, slots=True)
class Look:
    """How a histogram is drawn."""

    is_log: bool = False
    merged: int = 0
    """Bins that are drawn as one; 0 = as many as make it smooth."""
    region: tuple[float, float] | None = None
    """Fractions of the axis; its share of the entries is told."""


def histogram_head(counted: CountedField, where: str, look: Look, number: int, of: int, width: int) -> Line:
    """What is drawn, and how much of it there is."""
    how = "log" if look.is_log else "lin"
    h = counted.histogram
    bad = f"  {h.not_a_number} not numbers" if h is not None and h.not_a_number else ""
    origin = f"of every event, by {counted.function}" if counted.function else "of a sample"
    text = f"  {count(counted.entries)} entries {origin}{bad}  {how}  {number}/{of}"
    return fit([(f"{where} {counted.name}", "title"), (text, "")], width)


def histogram_lines(counted: CountedField, look: Look, width: int, height: int) -> list[Line]:
    """The bars, the axis below, and the figures."""
    h = counted.histogram
    if h is None or not h.entries:
        return [fit([("  no event seen yet: are events flowing in this buffer?", "dim")], width)]
    left, rows = 8, max(2, height - 4)
    room = max(8, width - left - 1)
    columns = _spread(_merged(h, look.merged or _smooth(h)), room)
    top = float(columns.max()) or 1.0
    heights = np.log10(columns + 1) / np.log10(top + 1) if look.is_log else columns / top
    eighths = np.ceil(heights * rows * 8).astype(int)
    inside = _inside(look, room)
    lines: list[Line] = []
    for row in range(rows):
        level = np.clip(eighths - (rows - 1 - row) * 8, 0, 8)
        label = count(int(top)) if row == 0 else "1" if look.is_log and row == rows - 1 else ""
        spans = [(f"{label:>{left - 1}} ", "dim")]
        for begin, end, is_in in inside:
            text = "".join(EIGHTHS[value] for value in level[begin:end])
            spans.append((text, "warning" if is_in else "good"))
        lines.append(fit(spans, width))
    axis = [" " * left]
    lines.append(fit([(f"{'0':>{left - 1}} ", "dim"), ("─" * room, "dim")], width))
    ticks = max(2, room // 16)
    texts = [f"{h.low + (h.high - h.low) * tick / ticks:.4g}" for tick in range(ticks + 1)]
    row_text = [" "] * (room + 1)
    for tick, text in enumerate(texts):
        at = min(room - len(text), max(0, round(tick / ticks * room) - (len(text) // 2 if tick else 0)))
        row_text[at : at + len(text)] = text
    lines.append(fit([*((text, "") for text in axis), ("".join(row_text), "dim")], width))
    lines.append(fit([(_figures(h), ""), (_region_text(h, look), "warning")], width))
    return lines[:height]


def _figures(h: Histogram) -> str:
    outside = f"   below {count(h.underflow)}, above {count(h.overflow)}" if h.underflow or h.overflow else ""
    if not h.inside:
        return f" nothing within the range{outside}"
    error = h.sigma / np.sqrt(h.inside)
    return f" mean {h.mean:.4g} ± {error:.2g}   sigma {h.sigma:.4g}{outside}"


def _smooth(h: Histogram) -> int:
    """So many bins in one that there are at least ten entries in each on average."""
    return next((merged for merged in (1, 2, 4) if h.entries * merged >= 10 * h.bins), 8)


def _merged(h: Histogram, merged: int) -> npt.NDArray[np.int64]:
    """Every `merged` bins as one; the last one may be of fewer."""
    sums: npt.NDArray[np.int64] = np.add.reduceat(h.counts, np.arange(0, h.bins, merged))
    return sums


def _spread(counts: npt.NDArray[np.int64], columns: int) -> npt.NDArray[np.float64]:
    """Bins on columns: narrow ones are put together (their largest is shown), wide ones repeated."""
    edges = np.linspace(0, len(counts), columns + 1)
    starts = np.minimum(edges[:-1].astype(int), len(counts) - 1)
    shown: npt.NDArray[np.float64] = np.maximum.reduceat(counts, starts).astype(np.float64)
    return shown


def _inside(look: Look, room: int) -> list[tuple[int, int, bool]]:
    if look.region is None:
        return [(0, room, False)]
    begin, end = (round(edge * room) for edge in look.region)
    return [(0, begin, False), (begin, end, True), (end, room, False)]


def _region_text(h: Histogram, look: Look) -> str:
    if look.region is None:
        return ""
    span = h.high - h.low
    low, high = (h.low + edge * span for edge in look.region)
    centres = (h.edges[1:] + h.edges[:-1]) / 2
    share = h.counts[(centres >= low) & (centres < high)].sum() / max(1, h.inside)
    return f"   region {low:.4g} to {high:.4g}: {share:.1%}"
