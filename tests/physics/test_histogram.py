"""Histograms count everything, and merge."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimodaq.functions.physics import Histogram, HistogramStyle

VALUES = st.lists(st.floats(-5, 15, width=32), max_size=60)


@given(VALUES)
def test_counts_are_numpys_and_nothing_is_lost(values: list[float]) -> None:
    histogram = Histogram(0, 10, 7)
    histogram.fill(values)
    array = np.array(values, dtype=float)
    inside = array[(array >= 0) & (array < 10)]
    assert histogram.counts.tolist() == np.histogram(inside, bins=histogram.edges)[0].tolist()
    assert histogram.underflow == (array < 0).sum()
    assert histogram.overflow == (array >= 10).sum()
    assert histogram.entries == len(values)
    if len(inside):
        assert histogram.mean == pytest.approx(inside.mean(), abs=1e-9)
        assert histogram.sigma == pytest.approx(inside.std(), abs=1e-7)


@given(VALUES, VALUES)
def test_merging_is_filling_both(first: list[float], second: list[float]) -> None:
    one, other, both = Histogram(0, 10, 7), Histogram(0, 10, 7), Histogram(0, 10, 7)
    one.fill(first)
    other.fill(second)
    both.fill(first + second)
    one.merge(other)
    assert one.counts.tolist() == both.counts.tolist()
    assert (one.underflow, one.overflow, one.entries) == (both.underflow, both.overflow, both.entries)
    assert one.mean == pytest.approx(both.mean, abs=1e-9, nan_ok=True)
    assert one.sigma == pytest.approx(both.sigma, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize(("low", "high", "bins"), [(0.1, 0.7, 6), (-1 / 3, 1 / 3, 9), (0.3, 15.3, 75)])
def test_a_value_on_an_edge_belongs_to_the_bin_above(low: float, high: float, bins: int) -> None:
    histogram = Histogram(low, high, bins)
    histogram.fill(histogram.edges[:-1])
    histogram.fill(np.nextafter(histogram.edges[1:], -math.inf))
    assert histogram.counts.tolist() == [2] * bins
    assert histogram.overflow == 0


def test_values_that_are_no_numbers_are_counted_apart() -> None:
    histogram = Histogram(0, 1, 2)
    histogram.fill(np.array([[np.nan, 0.2], [np.inf, -np.inf]]))
    assert (histogram.not_a_number, histogram.inside, histogram.overflow, histogram.underflow) == (1, 1, 1, 1)
    assert histogram.entries == 4


def test_an_empty_histogram_has_no_mean() -> None:
    assert math.isnan(Histogram(0, 1, 2).mean)
    assert math.isnan(Histogram(0, 1, 2).sigma)


def test_large_numbers_keep_their_spread() -> None:
    histogram = Histogram(1e9, 1e9 + 10, 10)
    for value in (1.0, 2.0, 3.0):
        histogram.fill(1e9 + value)
    assert histogram.sigma == pytest.approx(math.sqrt(2 / 3), rel=1e-6)


def test_histograms_survive_json() -> None:
    histogram = Histogram(0, 10, 5)
    histogram.fill([-1, 1, 2, 3, 11, np.nan])
    again = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict())))
    assert again.counts.tolist() == histogram.counts.tolist()
    assert (again.underflow, again.overflow, again.not_a_number) == (1, 1, 1)
    assert (again.mean, again.sigma) == pytest.approx((histogram.mean, histogram.sigma))
    with pytest.raises(ValueError, match="2 counts for 5 bins"):
        Histogram.from_dict({**histogram.to_dict(), "counts": [1, 2]})


@pytest.mark.parametrize(("low", "high", "bins"), [(1, 1, 5), (2, 1, 5), (0, 1, 0), (0, math.inf, 5)])
def test_ranges_without_sense_are_refused(low: float, high: float, bins: int) -> None:
    with pytest.raises(ValueError, match="min < max"):
        Histogram(low, high, bins)


def test_different_bins_do_not_merge() -> None:
    with pytest.raises(ValueError, match="not the same"):
        Histogram(0, 1, 5).merge(Histogram(0, 1, 6))


def test_mimocorbs_descriptor_is_read() -> None:
    style = HistogramStyle.parse("decay_time", [0.0, 15000.0, 75, 9.9, "Tau (ns)", 1])
    assert style == HistogramStyle(0.0, 15000.0, 75, 9.9, "Tau (ns)", logarithmic=True)
    assert HistogramStyle.parse("h", [0, 1, 10]) == HistogramStyle(0.0, 1.0, 10, 0.0, "h", logarithmic=False)


@pytest.mark.parametrize(
    "descriptor", [[0, 1], [0, 1, 10.5], "0, 1, 10", [1, 0, 10], [0, "x", 10], [0, 1, 10, 2, "x", 1, 7]]
)
def test_other_descriptors_are_refused_with_the_field(descriptor) -> None:
    with pytest.raises(ValueError, match="reading the histogram of height"):
        HistogramStyle.parse("height", descriptor)
