"""How a histogram of a setup is described; the counting itself is in `mimodaq.protocol.histogram`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mimodaq.protocol.counts import FieldCounts
from mimodaq.protocol.histogram import Histogram


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

    def counts(self, field: str, histogram: Histogram) -> FieldCounts:
        """The histogram as it travels to who looks on."""
        return FieldCounts(field, histogram, self.label, self.top, self.logarithmic)

    @classmethod
    def of(cls, counts: FieldCounts) -> HistogramStyle:
        """How counts that have come from elsewhere are to be drawn."""
        histogram = counts.histogram
        label = counts.label or counts.field
        return cls(histogram.low, histogram.high, histogram.bins, counts.top, label, counts.is_log)
