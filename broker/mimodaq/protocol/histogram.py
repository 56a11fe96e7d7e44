"""Histograms that are filled batch by batch, with a range that is given or found. Pure code.

What is outside of a histogram's range is counted, too, and so is what is no number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

WAVEFORM: Final = 8
"""A field with so many samples or more is a curve: what is counted is its height."""
AUTO_BINS: Final = 128
MOST_BINS: Final = 100_000
"""Of one histogram; more were never meant."""
_LEARN: Final = 200
"""Values that are kept before a range is chosen from them."""
_DOUBLINGS: Final = 16
"""How often a range is doubled: one wild value shall not put all others into one bin."""
_HUGE: Final = 1e300
_TINY: Final = 1e-290
"""Outside of these no range is made of values: it could not be divided into bins."""


class Histogram:
    """Counts of values in `bins` equal bins from `low` to `high` (low <= value < high).

    Values outside are counted as underflow and overflow, values that are no number separately; mean and sigma
    are those of the values inside, not of the bins. Raises ValueError for limits that are not finite and
    ascending, or a number of bins that is not 1 to `MOST_BINS`. Not safe to fill from several threads.
    """

    def __init__(self, low: float, high: float, bins: int) -> None:
        is_range = math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(high - low)
        if not (is_range and 1 <= bins <= MOST_BINS and math.isfinite(bins / (high - low))):
            raise ValueError(
                f"making a histogram: the range from {low} to {high} with {bins} bins is empty; "
                f"give min < max and 1 to {MOST_BINS} bins"
            )
        self.low, self.high = float(low), float(high)
        self.edges: FloatArray = np.linspace(self.low, self.high, int(bins) + 1)
        self.counts: npt.NDArray[np.int64] = np.zeros(int(bins), dtype=np.int64)
        self.underflow = 0
        self.overflow = 0
        self.not_a_number = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared distances from the mean

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.counts)

    @property
    def inside(self) -> int:
        """Values in the bins."""
        return int(self.counts.sum())

    @property
    def entries(self) -> int:
        """All values filled, wherever they went."""
        return self.inside + self.underflow + self.overflow + self.not_a_number

    @property
    def mean(self) -> float:
        """Mean of the values in the bins; nan if there are none."""
        return self._mean if self.inside else math.nan

    @property
    def sigma(self) -> float:
        """Standard deviation of the values in the bins (divided by their number); nan if there are none."""
        return math.sqrt(self._squares / self.inside) if self.inside else math.nan

    def fill(self, values: npt.ArrayLike) -> None:
        """Count values of any shape and real type."""
        data = np.asarray(values, dtype=np.float64).reshape(-1)
        numbers = data[~np.isnan(data)]
        within = numbers[(numbers >= self.low) & (numbers < self.high)]
        self.not_a_number += len(data) - len(numbers)
        self.underflow += int((numbers < self.low).sum())
        self.overflow += int((numbers >= self.high).sum())
        if not len(within):
            return
        mean = float(within.mean())
        self._add_moments(len(within), mean, float(((within - mean) ** 2).sum()))
        bin_ = ((within - self.low) * (self.bins / (self.high - self.low))).astype(np.intp)
        np.minimum(bin_, self.bins - 1, out=bin_)
        bin_ -= within < self.edges[bin_]  # the product rounds; the edges decide
        bin_ += within >= self.edges[bin_ + 1]
        self.counts += np.bincount(bin_, minlength=self.bins)

    def settled(self) -> Histogram:
        """Itself: its range is chosen, unlike that of a `GrowingHistogram`."""
        return self

    def is_like(self, other: Histogram) -> bool:
        """Whether both have the same bins, so that they can be added."""
        return (self.low, self.high, self.bins) == (other.low, other.high, other.bins)

    def merge(self, other: Histogram) -> None:
        """Add the content of another histogram of the same bins; raises ValueError if they differ."""
        if not self.is_like(other):
            raise ValueError(
                f"merging histograms: {self.bins} bins from {self.low:g} to {self.high:g} and {other.bins} bins from "
                f"{other.low:g} to {other.high:g} are not the same; only equal ones can be added"
            )
        self.take_over(other)
        self.counts += other.counts

    def take_over(self, other: Histogram) -> None:
        """Add everything but the counts in the bins; to be called before they are added."""
        if other.inside:
            self._add_moments(other.inside, other._mean, other._squares)
        self.underflow += other.underflow
        self.overflow += other.overflow
        self.not_a_number += other.not_a_number

    def coarser(self) -> Histogram:
        """The same with so many bins in one that there are ten entries in each on average; at most eight in one."""
        groups = [n for n in (1, 2, 4, 8) if self.bins % n == 0]
        n = next((n for n in groups if self.inside * n >= 10 * self.bins), groups[-1])
        found = Histogram(self.low, self.high, self.bins // n)
        found.take_over(self)
        found.counts += self.counts.reshape(-1, n).sum(axis=1)
        return found

    def doubled(self, *, downwards: bool) -> Histogram:
        """The same content over twice the range, two bins in one; the number of bins must be even."""
        width = self.high - self.low
        low, high = (self.low - width, self.high) if downwards else (self.low, self.high + width)
        wide, half = Histogram(low, high, self.bins), self.bins // 2
        wide.take_over(self)
        wide.counts[half if downwards else 0 :][:half] = self.counts.reshape(-1, 2).sum(axis=1)
        return wide

    def _add_moments(self, n: int, mean: float, squares: float) -> None:
        """Combine moments without cancellation (Chan, Golub, LeVeque, Am. Stat. 37 (1983) 242); before `counts`."""
        before = self.inside
        shift = mean - self._mean
        self._mean += shift * n / (before + n)
        self._squares += squares + shift**2 * before * n / (before + n)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as numbers and lists, for JSON; `from_dict` reads it back."""
        return {
            "min": self.low,
            "max": self.high,
            "bins": self.bins,
            "counts": self.counts.tolist(),
            "underflow": self.underflow,
            "overflow": self.overflow,
            "not_a_number": self.not_a_number,
            "entries": self.entries,
            "mean": self._mean if self.inside else None,
            "sigma": self.sigma if self.inside else None,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Histogram:
        """Make the histogram that `to_dict` described; raises KeyError or ValueError for anything else."""
        histogram = cls(content["min"], content["max"], content["bins"])
        histogram._set_counts(np.asarray(content["counts"], dtype=np.int64))
        histogram.underflow, histogram.overflow = content["underflow"], content["overflow"]
        histogram.not_a_number = content["not_a_number"]
        if histogram.inside:
            histogram._mean = content["mean"]
            histogram._squares = content["sigma"] ** 2 * histogram.inside
        return histogram

    def _set_counts(self, counts: npt.NDArray[np.int64]) -> None:
        if counts.shape != self.counts.shape:
            raise ValueError(f"reading a histogram: {len(counts)} counts for {self.bins} bins")
        self.counts = counts

    def to_row(self) -> list[Any]:
        """Everything exactly, with the counts as bytes; `from_row` reads it back."""
        shape, outside = (self.low, self.high, self.bins), (self.underflow, self.overflow, self.not_a_number)
        return [*shape, *outside, self._mean, self._squares, self.counts.astype("<i8", copy=False).tobytes()]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Histogram:
        """Make the histogram that `to_row` described; raises ValueError or TypeError for anything else."""
        low, high, bins, underflow, overflow, not_a_number, mean, squares, raw = row
        if type(bins) is not int or any(type(n) is not int or n < 0 for n in (underflow, overflow, not_a_number)):
            raise ValueError("reading a histogram: its numbers are no counts")
        histogram = cls(low, high, bins)
        histogram._set_counts(np.frombuffer(raw, "<i8").astype(np.int64))
        histogram.underflow, histogram.overflow, histogram.not_a_number = underflow, overflow, not_a_number
        histogram._mean, histogram._squares = float(mean), max(0.0, float(squares))
        return histogram


class GrowingHistogram:
    """A histogram that finds its range: from the first values, and doubled when others come, so that they are inside.

    After `_DOUBLINGS` doublings what is outside is underflow and overflow. `bins` is made even.
    """

    def __init__(self, bins: int = AUTO_BINS) -> None:
        Histogram(0.0, 1.0, bins)  # raises ValueError for a number of bins that cannot be
        self._bins = bins + bins % 2
        self._early: list[float] = []
        self._strange = Histogram(0.0, 1.0, 1)
        """What came early and gives no range."""
        self._histogram: Histogram | None = None
        self._left = _DOUBLINGS

    def fill(self, values: npt.ArrayLike) -> None:
        """Count values of any shape and real type."""
        data = np.asarray(values, dtype=np.float64).reshape(-1)
        is_finite = np.abs(data) < _HUGE
        finite = data[is_finite]
        if self._histogram is None:
            self._strange.fill(data[~is_finite])
            self._early += finite.tolist()
            if len(self._early) >= _LEARN:
                self._histogram = self.settled()
                self._early.clear()
            return
        if len(finite):
            self._widen(self._histogram, float(finite.min()), float(finite.max()))
        self._histogram.fill(data)

    def settled(self) -> Histogram:
        """The histogram as it is; as long as there are few values, its range is that of these."""
        if self._histogram is not None:
            return self._histogram
        values = np.array(self._early, dtype=np.float64)
        found = Histogram(*_range_of(values), self._bins)
        found.take_over(self._strange)
        found.fill(values)
        return found

    def _widen(self, histogram: Histogram, low: float, high: float) -> None:
        while self._left and (low < histogram.low or high >= histogram.high):
            self._left -= 1
            histogram = self._histogram = histogram.doubled(downwards=low < histogram.low)


def _range_of(finite: FloatArray) -> tuple[float, float]:
    """A range with room on the sides; from 0 where the values come near it."""
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    margin = next((m for m in (0.1 * (high - low), 0.1 * abs(low)) if m > _TINY), 1.0)
    return (0.0 if 0 <= low <= 0.3 * high else low - margin), high + margin


def heights(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is counted of a field of n events: its values; of curves, shape (n, samples), the height over the base."""
    if values.ndim < 2 or values.shape[1] < WAVEFORM:
        return values
    curves = values.astype(np.float64, copy=False)
    base = np.median(curves, axis=1, keepdims=True)
    found: npt.NDArray[Any] = np.abs(curves - base).max(axis=1)
    return found


def label_of(field: str, shape: Sequence[int]) -> str:
    """What `heights` makes of a field whose values have this shape."""
    return f"height of {field}" if shape and shape[0] >= WAVEFORM else field
