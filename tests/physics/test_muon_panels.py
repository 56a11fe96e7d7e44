"""Double pulses, their time resolution and the muon lifetime in events of a real detector.

The resolution of the times is checked in two ways. Both panels often see the same two pulses, so the times of
panel A and B differ only by measurement errors. And pulses of the measured average shape are put, at known
times and heights, onto recorded base lines without pulses and digitised like the data; the times found are
compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimodaq.functions.physics import DoublePulseConfig, DoublePulseFinder, fit_decay

DATA = Path(__file__).parents[3] / "shared" / "data" / "muon_panels_2018.parquet"
STEP_V = 0.4 / 256
SAMPLE_US = 0.004

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the recorded events {DATA} are not there")


@pytest.fixture(scope="module")
def events() -> np.ndarray:
    from pyarrow import parquet

    table = parquet.read_table(DATA)
    names = table.column_names
    records = np.zeros(table.num_rows, [(name, "<f4", (4000,)) for name in names])
    for name in names:
        flat = np.concatenate([chunk.values.to_numpy() for chunk in table[name].chunks])
        records[name] = flat.reshape(len(records), -1)
    return records


def fields(records: np.ndarray, **config) -> dict[str, np.ndarray]:
    finder = DoublePulseFinder(DoublePulseConfig(**config), records.dtype)
    found = [one for begin in range(0, len(records), 32) for one in finder.find(records[begin : begin + 32])]
    return finder.fields(found)


@pytest.fixture(scope="module")
def found(events: np.ndarray) -> dict[str, np.ndarray]:
    return fields(events)


def test_nearly_every_event_has_a_second_pulse(found: dict[str, np.ndarray]) -> None:
    assert len(found["decay_time_us"]) == 1012
    assert (found["decay_time_us"] > 0).mean() >= 0.98
    assert ((found["chA_dt_us"] > 0) | (found["chB_dt_us"] > 0)).mean() >= 0.98
    assert (found["chA_trigger_V"] > 0.035).all()


def test_the_trigger_pulse_needs_no_hint(events: np.ndarray, found: dict[str, np.ndarray]) -> None:
    told = fields(events, pre_trigger_samples=200)
    for name, values in found.items():
        assert np.array_equal(values, told[name])


def test_both_panels_give_the_same_time_to_a_sample(found: dict[str, np.ndarray]) -> None:
    heights = np.minimum(found["chA_height_V"], found["chB_height_V"])
    both = heights > 0.02
    difference = (found["chA_dt_us"] - found["chB_dt_us"])[both] / SAMPLE_US
    assert both.sum() > 400
    assert difference.std() < 0.35
    assert abs(difference.mean()) < 0.06
    assert (np.abs(difference) < 1).mean() > 0.99
    assert np.abs(difference).max() < 1.5


def average_pulse(wave: np.ndarray, found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean trigger pulse of panel A, of unit height, over time since it crosses a quarter of its height (samples)."""
    times, heights = [], []
    for one in np.flatnonzero((found["decay_time_us"] > 1.5) & (found["chA_trigger_V"] < 0.3)):
        pulse = wave[one, 190:300] / found["chA_trigger_V"][one]
        before = int(np.flatnonzero(pulse[: np.argmax(pulse)] <= 0.25)[-1])
        start = before + (0.25 - pulse[before]) / (pulse[before + 1] - pulse[before])
        times.append(np.arange(len(pulse)) - start)
        heights.append(pulse)
    axis = np.arange(-8, 95, 0.25)
    mean = np.mean([np.interp(axis, t, h) for t, h in zip(times, heights, strict=True)], axis=0)
    quarter = np.interp(0.25, mean[: np.argmax(mean) + 1], axis[: np.argmax(mean) + 1])
    return axis - quarter, mean / mean.max()


@pytest.mark.parametrize("height", [0.02, 0.05, 0.15])
def test_pulses_added_to_real_base_lines_are_timed_to_a_sample(
    events: np.ndarray, found: dict[str, np.ndarray], height: float
) -> None:
    wave = -(events["chA"] - np.median(events["chA"], axis=1, keepdims=True)).astype(np.float64)
    axis, shape = average_pulse(wave, found)
    random = np.random.default_rng(int(1000 * height))
    early = np.flatnonzero(found["decay_time_us"] < 3.0)[:150]
    noise = events["chA"][early, 1200:]  # nothing is there any more
    samples = np.arange(noise.shape[1])
    first = 200 + random.random(len(early))
    second = first + random.uniform(30, 2500, len(early))
    records = np.zeros(len(early), [("chA", "<f4", samples.shape)])
    for k in range(len(early)):
        pulses = 0.15 * np.interp(samples - first[k], axis, shape, left=0, right=0)
        pulses += height * np.interp(samples - second[k], axis, shape, left=0, right=0)
        records["chA"][k] = np.rint((noise[k] - pulses) / STEP_V + random.random()) * STEP_V
    error = fields(records)["chA_dt_us"] / SAMPLE_US - (second - first)
    assert np.abs(error).max() < 1
    assert error.std() < 0.2
    assert abs(error.mean()) < 0.05


def test_the_lifetime_is_that_of_the_muon(found: dict[str, np.ndarray]) -> None:
    fit = fit_decay(found["decay_time_us"], (0.3, 15.0))
    assert abs(fit.tau - 2.197) < 2 * fit.tau_err
    assert fit.tau_err < 0.15
    assert fit.probability > 0.01
    assert fit.background > 0
