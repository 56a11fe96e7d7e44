"""The schedule of a simulated source."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.functions.physics._pacing import MOST_LATE_S, Pacer


def test_without_a_mean_time_everything_is_due() -> None:
    pacer = Pacer(0, random=True, seed=1, now=5.0)
    assert pacer.wait(5.0) == 0
    assert pacer.due(5.0, 64) == 64


def test_equal_intervals_neither_drift_nor_burst() -> None:
    pacer = Pacer(0.01, random=False, seed=1, now=0.0)
    assert pacer.due(0.005, 10) == 0
    assert pacer.wait(0.004) == pytest.approx(0.006)
    assert pacer.due(0.035, 10) == 3
    assert pacer.due(0.045, 10) == 1
    assert pacer.due(0.085, 2) == 2


def test_events_missed_in_a_pause_are_not_made_up() -> None:
    pacer = Pacer(0.01, random=False, seed=1, now=0.0)
    assert pacer.due(1000.0, 10_000) == pytest.approx(MOST_LATE_S / 0.01, abs=1.5)


def test_random_intervals_are_exponential_and_reproducible() -> None:
    def times(seed: int) -> np.ndarray:
        pacer, now, gaps = Pacer(1.0, random=True, seed=seed, now=0.0), 0.0, []
        for _ in range(4000):
            gaps.append(pacer.wait(now))
            now += gaps[-1] + 1e-12
            assert pacer.due(now, 1) == 1
        return np.array(gaps)

    gaps = times(1)
    assert abs(gaps.mean() - 1) < 0.08
    assert abs((gaps > 1).mean() - np.exp(-1)) < 0.04
    assert np.array_equal(gaps, times(1))
    assert not np.array_equal(gaps, times(2))


def test_a_negative_mean_time_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Pacer(-1, random=False, seed=1, now=0.0)
