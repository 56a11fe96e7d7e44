"""Histograms: filled from a sample of events, drawn with block characters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._glyphs import EIGHTHS
from ._line import Line, fit
from ._numbers import count

BINS: Final = 128
_LEARN: Final = 200
"""Values that are kept before the range is chosen."""


@dataclass(slots=True)
class Histogram:
    """Counts of one quantity. The range is chosen from the first values, and doubled when others come: none is lost."""

    name: str
    low: float = 0.0
    high: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    entries: int = 0
    total: float = 0.0
    squares: float = 0.0
    not_numbers: int = 0
    _early: list[float] = field(default_factory=list)

    def fill(self, values: npt.NDArray[Any]) -> None:
        """Count values."""
        finite = np.asarray(values, dtype=np.float64).ravel()
        good = finite[np.isfinite(finite)]
        self.not_numbers += len(finite) - len(good)
        if not len(good):
            return
        self.entries += len(good)
        self.total += float(good.sum())
        self.squares += float((good**2).sum())
        if self.high <= self.low:
            self._early += good.tolist()
            if len(self._early) >= _LEARN:
                self._begin()
            return
        self._widen(float(good.min()), float(good.max()))
        self.counts += np.histogram(good, BINS, (self.low, self.high))[0]

    def settle(self) -> None:
        """Choose the range from what there is, so that something can be drawn."""
        if self.high <= self.low and self._early:
            self._begin()

    def clear(self) -> None:
        """Forget everything."""
        self.low = self.high = 0.0
        self.counts[:] = 0
        self.entries = self.not_numbers = 0
        self.total = self.squares = 0.0
        self._early.clear()

    @property
    def mean(self) -> float:
        """Of all entries."""
        return self.total / self.entries if self.entries else 0.0

    @property
    def sigma(self) -> float:
        """Standard deviation of all entries."""
        if self.entries < 2:
            return 0.0
        return float(np.sqrt(max(0.0, self.squares / self.entries - self.mean**2)))

    def _begin(self) -> None:
        values = np.array(self._early)
        self._early.clear()
        low, high = float(values.min()), float(values.max())
        margin = (high - low) * 0.1 or abs(low) * 0.1 or 1.0
        self.low = 0.0 if 0 <= low <= 0.3 * high else low - margin
        self.high = high + margin
        self.counts += np.histogram(values, BINS, (self.low, self.high))[0]

    def _widen(self, low: float, high: float) -> None:
        while low < self.low or high >= self.high:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            width = self.high - self.low
            self.counts = np.zeros(BINS, np.int64)
            if low < self.low:
                self.low -= width
                self.counts[BINS // 2 :] = pairs
            else:
                self.high += width
                self.counts[: BINS // 2] = pairs


@dataclass(frozen=True, slots=True)
class Look:
    """How a histogram is drawn."""

    is_log: bool = False
    merged: int = 0
    """Bins that are drawn as one; 0 = as many as make it smooth."""
    region: tuple[float, float] | None = None
    """Fractions of the axis; its share of the entries is told."""


def histogram_head(h: Histogram, where: str, look: Look, number: int, of: int, width: int) -> Line:
    """What is drawn, and how much of it there is."""
    how = "log" if look.is_log else "lin"
    bad = f"  {h.not_numbers} not numbers" if h.not_numbers else ""
    text = f"  {count(h.entries)} entries of a sample{bad}  {how}  {number}/{of}"
    return fit([(f"{where} {h.name}", "title"), (text, "")], width)


def histogram_lines(h: Histogram, look: Look, width: int, height: int) -> list[Line]:
    """The bars, the axis below, and the figures."""
    h.settle()
    if not h.entries:
        return [fit([("  no event seen yet: are events flowing in this buffer?", "dim")], width)]
    left, rows = 8, max(2, height - 4)
    room = max(8, width - left - 1)
    counts = h.counts.reshape(-1, look.merged or _smooth(h.entries)).sum(axis=1)
    columns = _spread(counts, room)
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
    error = h.sigma / np.sqrt(h.entries)
    figures = f"mean {h.mean:.4g} ± {error:.2g}   sigma {h.sigma:.4g}"
    lines.append(fit([(f" {figures}", ""), (_region_text(h, look), "warning")], width))
    return lines[:height]


def _smooth(entries: int) -> int:
    """So many bins in one that there are at least ten entries in each on average."""
    return next((merged for merged in (1, 2, 4) if entries * merged >= 10 * BINS), 8)


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
    edges = np.linspace(h.low, h.high, BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    share = h.counts[(centres >= low) & (centres < high)].sum() / max(1, h.counts.sum())
    return f"   region {low:.4g} to {high:.4g}: {share:.1%}"
