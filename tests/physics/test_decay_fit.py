"""The fit of an exponential over a flat background."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mimodaq.functions.physics import DecayFit, FitError, fit_decay, fit_decay_counts

TAU, RANGE = 2.2, (0.2, 15.0)


def sample(seed: int, decays: int = 3000, background: int = 200) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([random.exponential(TAU, decays), random.uniform(0, 15, background)])


@pytest.fixture(scope="module")
def fits() -> list[DecayFit]:
    return [fit_decay(sample(seed), RANGE) for seed in range(120)]


def test_deviations_are_as_large_as_the_errors_say(fits: list[DecayFit]) -> None:
    pulls = np.array([(fit.tau - TAU) / fit.tau_err for fit in fits])
    assert abs(pulls.mean()) < 0.3
    assert 0.8 < pulls.std() < 1.2
    flat = np.array([(fit.background - 200 * 14.8 / 15) / fit.background_err for fit in fits])
    assert abs(flat.mean()) < 0.3
    assert 0.8 < flat.std() < 1.2


def test_goodness_is_a_chi_squared(fits: list[DecayFit]) -> None:
    reduced = np.array([fit.chi2 / fit.ndf for fit in fits])
    assert abs(reduced.mean() - 1) < 0.1
    probabilities = np.array([fit.probability for fit in fits])
    assert 0.3 < probabilities.mean() < 0.7


def test_the_parts_add_up(fits: list[DecayFit]) -> None:
    for fit in fits:
        assert fit.signal + fit.background == pytest.approx(fit.entries)
        times = np.linspace(fit.low, fit.high, 20001)
        middle = (times[:-1] + times[1:]) / 2
        assert (fit.density(middle) * np.diff(times)).sum() == pytest.approx(fit.entries, rel=1e-6)


def test_wide_bins_do_not_shift_the_lifetime() -> None:
    times = sample(1, 200_000, 10_000)
    fine, wide = fit_decay(times, RANGE), fit_decay(times, RANGE, bins=12)
    assert wide.tau == pytest.approx(fine.tau, abs=2 * fine.tau_err)
    assert abs(wide.tau - TAU) < 4 * wide.tau_err


def test_the_unit_does_not_matter() -> None:
    in_us = fit_decay(sample(2), RANGE)
    in_ns = fit_decay(sample(2) * 1000, (200.0, 15000.0))
    assert in_ns.tau == pytest.approx(1000 * in_us.tau, rel=1e-3)
    assert in_ns.tau_err == pytest.approx(1000 * in_us.tau_err, rel=1e-3)


def test_without_background_none_is_found() -> None:
    results = [fit_decay(sample(seed, 2000, 0), RANGE) for seed in range(20)]
    assert sum(fit.background == 0 for fit in results) > 4
    for fit in results:
        assert fit.background < 4 * max(fit.background_err, 10)
        assert abs(fit.tau - TAU) < 4 * fit.tau_err


def test_only_bins_fully_in_the_range_are_used() -> None:
    counts, edges = np.histogram(sample(3), bins=75, range=(0, 15))
    fit = fit_decay_counts(edges, counts, (0.3, 14.1))
    assert (fit.low, fit.high) == (pytest.approx(0.4), pytest.approx(14.0))
    assert fit.entries == counts[2:70].sum()
    assert fit_decay_counts(edges, counts, (0.4, 14.0)) == fit


def test_the_default_range_takes_all_times() -> None:
    times = sample(4)
    assert fit_decay(times).entries == len(times)


def test_results_survive_json() -> None:
    fit = fit_decay(sample(5), RANGE)
    content = json.loads(json.dumps(fit.to_dict()))
    assert DecayFit.from_dict(content) == fit
    assert content["probability"] == pytest.approx(fit.probability)


@pytest.mark.parametrize(
    ("times", "limits", "named"),
    [
        ([], None, "no times"),
        ([1.0, 2.0], (0.0, 10.0), "2 events"),
        (np.linspace(0, 10, 500), (10.0, 0.0), "empty"),
        (np.linspace(0, 10, 500) ** 0.3 * 5, (0.0, 9.0), "do not fall"),
    ],
)
def test_data_without_a_decay_are_refused_with_a_reason(times, limits, named: str) -> None:
    with pytest.raises(FitError, match=named):
        fit_decay(times, limits)


def test_histograms_that_cannot_be_fitted_are_refused_with_a_reason() -> None:
    with pytest.raises(FitError, match="3 edges and 3 contents"):
        fit_decay_counts([0, 1, 2], [1, 2, 3])
    with pytest.raises(FitError, match="only 2 bins"):
        fit_decay_counts(np.arange(11), np.full(10, 10), (2, 4))
