"""Peaks found the fast way are bit for bit those of scipy.signal.find_peaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import signal

from mimodaq.functions.physics import find_peaks_fast, find_peaks_rows

PROMINENCES = st.sampled_from([0.3, 0.5, 1.0, 2.0, 3.0, 5.5])
DISTANCES = st.sampled_from([1, 2, 3.5, 5, 10])
WIDTHS = st.sampled_from([0, 1, 1.5, 2, 4, 10])

STEPS = npst.arrays(np.int16, st.tuples(st.integers(1, 5), st.integers(0, 60)), elements=st.integers(0, 7))
NOISE = npst.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=st.floats(-20, 20, width=32))


def assert_same(found: tuple, expected: tuple) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    assert list(found[1]) == list(expected[1])
    for name, values in expected[1].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)


def check(waveforms: np.ndarray, prominence: float, distance: float, width: float) -> None:
    rows = find_peaks_rows(waveforms, prominence, distance, width)
    for number, waveform in enumerate(waveforms):
        expected = signal.find_peaks(waveform, prominence=prominence, distance=distance, width=width)
        assert_same(rows.of(number), expected)
        assert_same(find_peaks_fast(waveform, prominence, distance, width), expected)


@settings(max_examples=400, deadline=None)
@given(STEPS, PROMINENCES, DISTANCES, WIDTHS)
@example(np.array([[0, 5, 5, 5, 0, 5, 5, 1, 5, 0]], dtype=np.int16), 1.0, 3.5, 0)
def test_digitised_waveforms_with_plateaus_and_ties(
    waveforms: np.ndarray, prominence: float, distance: float, width: float
) -> None:
    check(waveforms, prominence, distance, width)


@settings(max_examples=300, deadline=None)
@given(NOISE, PROMINENCES, DISTANCES, WIDTHS)
def test_noise_without_any_grid(waveforms: np.ndarray, prominence: float, distance: float, width: float) -> None:
    check(waveforms, prominence, distance, width)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5.0, 12.0, 40.0]), DISTANCES, st.sampled_from([0, 5, 8]))
def test_pulses_on_noise_with_pile_up(seed: int, prominence: float, distance: float, width: float) -> None:
    random = np.random.default_rng(seed)
    waveforms = random.uniform(0, 9, (3, 1800)).astype(np.float32)
    pulse = np.exp(-np.arange(100) / 25)
    for row in waveforms:
        for at in random.integers(0, 1700, random.integers(0, 5)):
            row[at : at + 100] += (random.uniform(10, 300) * pulse).astype(np.float32)
    if seed % 2:
        waveforms = np.round(waveforms / 4) * 4
    check(waveforms, prominence, distance, width)


@pytest.mark.filterwarnings("ignore:some peaks have a width of 0")
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_finite_numbers(odd: float) -> None:
    waveforms = np.random.default_rng(1).normal(0, 3, (3, 40))
    waveforms[1, 17] = odd
    check(waveforms, 2.0, 3, 0)


def test_a_prominence_of_zero_keeps_every_maximum() -> None:
    check(np.random.default_rng(2).normal(0, 3, (2, 50)), 0.0, 2, 0)


def test_strided_waveforms_and_many_rows() -> None:
    waveforms = np.random.default_rng(3).normal(0, 3, (700, 240))[::2, ::2]
    check(waveforms, 6.0, 4, 1)


def test_no_waveform_and_no_sample_have_no_peak() -> None:
    assert len(find_peaks_rows(np.zeros((0, 10)), 1.0).row) == 0
    assert len(find_peaks_fast(np.zeros(0), 1.0)[0]) == 0


def test_a_distance_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="distance"):
        find_peaks_rows(np.zeros((1, 10)), 1.0, 0.5)


def test_a_matrix_is_no_waveform() -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        find_peaks_fast(np.zeros((3, 3)), 1.0)
