"""Events discarded in batches really have at most one group of peaks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import signal

from mimodaq.functions.physics import PulseConfig, PulseSimulator, group_peaks, may_have_two_groups


def rows_of_peaks(event: np.ndarray, prominence: float, tolerance: float) -> int:
    peaks = [signal.find_peaks(channel, prominence=prominence)[0] for channel in event]
    return len(group_peaks(peaks, tolerance))


def check(channels: list[np.ndarray], prominence: float, tolerance: float) -> np.ndarray:
    kept = may_have_two_groups(channels, prominence, tolerance)
    for event in np.flatnonzero(~kept):
        waveforms = np.stack([channel[event] for channel in channels])
        assert rows_of_peaks(waveforms, prominence, tolerance) < 2
    return kept


SHAPES = st.tuples(st.just(6), st.integers(3, 40))


@settings(max_examples=200, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([1.0, 2.0, 4.0]), st.sampled_from([1.0, 3.0, 20.0]))
def test_waveforms_of_few_levels(
    data: st.DataObject, shape: tuple[int, int], prominence: float, tolerance: float
) -> None:
    levels = npst.arrays(np.float32, shape, elements=st.integers(0, 6).map(float))
    check([data.draw(levels), data.draw(levels)], prominence, tolerance)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 60), st.sampled_from([np.float32, np.float64]))
def test_pulses_of_any_number_on_any_noise(seed: int, noise: float, kind: type) -> None:
    random = np.random.default_rng(seed)
    channels = []
    for _ in range(3):
        waveforms = (noise * random.random((8, 400)) - 480).astype(kind)
        for row in waveforms:
            for at in random.integers(0, 350, random.integers(0, 4)):
                row[at : at + 50] += (random.uniform(10, 300) * np.exp(-np.arange(50) / 12)).astype(kind)
        channels.append(waveforms)
    check(channels, 35.0, 20)


def test_two_equally_high_peaks_without_a_deep_dip_are_two() -> None:
    waveforms = np.array([[0, 0, 4, 2, 4, 0, 0], [0, 0, 4, 4, 4, 0, 0]], dtype=np.float32)
    assert may_have_two_groups([waveforms], 4.0, 20).tolist() == [True, False]


def test_most_simulated_muons_are_discarded(waveforms_of) -> None:
    dtype = waveforms_of("ABCD", 4250)
    events = np.zeros(128, dtype)
    config = PulseConfig(analogue_offset_mv=-480, trigger_level_mv=-440, pre_trigger_samples=500)
    PulseSimulator(config, dtype, seed=3).fill(events, 0)
    kept = check([events[name] for name in dtype.names], 35.0, 20)
    assert 0.03 < kept.mean() < 0.2


def test_nothing_is_certain_with_samples_that_are_no_finite_numbers() -> None:
    waveforms = np.zeros((4, 30), dtype=np.float32)
    for odd in (np.nan, -np.inf):
        waveforms[2, 10] = odd
        assert may_have_two_groups([waveforms], 5.0, 20).all()
    waveforms[2, 10] = np.inf
    assert may_have_two_groups([waveforms], 5.0, 20)[2]
