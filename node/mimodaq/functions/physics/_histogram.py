"""One-dimensional histograms with equal bins that count everything they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Histogram:
    """Counts of values in `bins` equal bins from `low` to `high` (low <= value < high).

    Values outside are counted as underflow and overflow, values that are no number separately; mean and sigma
    are those of the values inside, not of the bins. Raises ValueError for limits that are not finite and
    ascending, or fewer than one bin. Not safe to fill from several threads.
    """

    def __init__(self, low: float, high: float, bins: int) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high) or bins < 1:
            raise ValueError(
                f"making a histogram: the range from {low} to {high} with {bins} bins is empty; "
                "give min < max and at least one bin"
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

    def merge(self, other: Histogram) -> None:
        """Add the content of another histogram of the same bins; raises ValueError if they differ."""
        if (self.low, self.high, self.bins) != (other.low, other.high, other.bins):
            raise ValueError(
                f"merging histograms: {self.bins} bins from {self.low:g} to {self.high:g} and {other.bins} bins from "
                f"{other.low:g} to {other.high:g} are not the same; only equal ones can be added"
            )
        if other.inside:
            self._add_moments(other.inside, other._mean, other._squares)
        self.counts += other.counts
        self.underflow += other.underflow
        self.overflow += other.overflow
        self.not_a_number += other.not_a_number

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
        counts = np.asarray(content["counts"], dtype=np.int64)
        if counts.shape != histogram.counts.shape:
            raise ValueError(f"reading a histogram: {len(counts)} counts for {histogram.bins} bins")
        histogram.counts = counts
        histogram.underflow, histogram.overflow = content["underflow"], content["overflow"]
        histogram.not_a_number = content["not_a_number"]
        if histogram.inside:
            histogram._mean = content["mean"]
            histogram._squares = content["sigma"] ** 2 * histogram.inside
        return histogram


@dataclass(frozen=True, slots=True)
class HistogramStyle:
    """What mimoCoRB's descriptor `[min, max, bins, ymax, label, 0 | 1]` says of one histogram."""

    low: float
    high: float
    bins: int
    top: float
    """Height of the frame in units of the mean content of a bin; 0: as the content needs."""
    label: str
    """Label of the axis, with unit."""
    logarithmic: bool

    @classmethod
    def parse(cls, field: str, descriptor: Sequence[Any]) -> HistogramStyle:
        """Read a descriptor of the histogram of `field`; what is missing behind `bins` gets a default.

        Raises ValueError, naming the field, for anything else.
        """
        doing = f"reading the histogram of {field}"
        if isinstance(descriptor, str) or not isinstance(descriptor, Sequence) or not 3 <= len(descriptor) <= 6:
            raise ValueError(f"{doing}: found {descriptor!r}; give [min, max, bins, ymax, label, 0 or 1]")
        defaults: list[Any] = [0.0, field, 0]
        low, high, bins, top, label, logarithmic = [*descriptor, *defaults[len(descriptor) - 3 :]]
        numbers = (low, high, bins, top, logarithmic)
        if not all(isinstance(number, (int, float)) for number in numbers) or bins != int(bins):
            raise ValueError(f"{doing}: min, max, bins, ymax and 0 or 1 must be numbers; found {list(descriptor)}")
        style = cls(float(low), float(high), int(bins), float(top), str(label), bool(logarithmic))
        try:
            style.histogram()
        except ValueError as error:
            raise ValueError(f"{doing}: {error}") from None
        return style

    def histogram(self) -> Histogram:
        """Make the empty histogram."""
        return Histogram(self.low, self.high, self.bins)
