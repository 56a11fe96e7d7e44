"""Double pulses of known times, made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.functions.physics import (
    DoublePulseConfig,
    DoublePulseFinder,
    PulseConfig,
    PulseSimulator,
    double_pulses,
)

AB = np.dtype([("chA", "f4", (2000,)), ("chB", "f4", (2000,))])


def add_pulse(wave: np.ndarray, time: float, height: float, fall: float = 8.0) -> None:
    """A pulse of 3 samples rise; `time` is where it crosses a quarter of its height."""
    t = np.arange(len(wave)) - (time - 0.75)
    shape = np.clip(t / 3, 0, 1) * np.where(t > 3, np.exp(-np.maximum(t - 3, 0) / fall), 1)
    wave -= (height * shape).astype(wave.dtype)


def event(*pulses: tuple[str, float, float], noise: float = 0.0005, seed: int = 1, dtype: np.dtype = AB) -> np.ndarray:
    record = np.zeros(1, dtype)
    for number, name in enumerate(dtype.names):
        record[name] = np.random.default_rng(seed + number).normal(0, noise, dtype[name].shape)
    for name, time, height in pulses:
        add_pulse(record[f"ch{name}"][0], time, height)
    return record


def fields(records: np.ndarray, **config) -> dict[str, np.ndarray]:
    finder = DoublePulseFinder(DoublePulseConfig(**config), records.dtype)
    return finder.fields(finder.find(records))


BOTH_TRIGGER = (("A", 100.0, 0.15), ("B", 100.4, 0.2))


def test_times_and_heights_of_both_channels() -> None:
    found = fields(event(*BOTH_TRIGGER, ("A", 612.3, 0.06), ("B", 612.7, 0.1)))
    assert found["chA_dt_us"][0] == pytest.approx(512.3 * 0.004, abs=0.002)
    assert found["chB_dt_us"][0] == pytest.approx(512.3 * 0.004, abs=0.002)
    assert found["decay_time_us"][0] == pytest.approx(512.3 * 0.004, abs=0.002)
    assert found["chA_height_V"][0] == pytest.approx(0.06, rel=0.1)
    assert found["chB_height_V"][0] == pytest.approx(0.1, rel=0.1)
    assert found["chB_trigger_V"][0] == pytest.approx(0.2, rel=0.1)


def test_a_channel_without_second_pulse_has_zeros() -> None:
    found = fields(event(*BOTH_TRIGGER, ("B", 900.4, 0.1)))
    assert found["chA_dt_us"][0] == found["chA_height_V"][0] == 0
    assert found["decay_time_us"][0] == found["chB_dt_us"][0] == pytest.approx(3.2, abs=0.002)


def test_an_event_without_second_pulse_has_zeros() -> None:
    found = fields(event(*BOTH_TRIGGER))
    assert found.pop("chA_trigger_V")[0] > 0.1
    assert found.pop("chB_trigger_V")[0] > 0.1
    assert all(values[0] == 0 for values in found.values())


def test_without_trigger_pulse_of_its_own_a_channel_counts_from_the_events() -> None:
    found = fields(event(("A", 100, 0.15), ("B", 600, 0.1)))
    assert found["chB_dt_us"][0] == pytest.approx(2.0, abs=0.002)
    assert found["chB_trigger_V"][0] == 0


def test_an_after_pulse_is_no_second_pulse() -> None:
    found = fields(event(*BOTH_TRIGGER, ("A", 300, 0.012), ("B", 800.4, 0.1)))
    assert found["chA_dt_us"][0] == 0
    assert found["decay_time_us"][0] == pytest.approx(2.8, abs=0.002)


def test_pulses_of_two_channels_at_different_times_are_not_averaged() -> None:
    found = fields(event(*BOTH_TRIGGER, ("A", 500, 0.08), ("B", 900.4, 0.12)))
    assert found["chA_dt_us"][0] == pytest.approx(1.6, abs=0.002)
    assert found["decay_time_us"][0] == found["chB_dt_us"][0] == pytest.approx(3.2, abs=0.002)


def test_a_second_pulse_on_the_tail_of_the_first_is_timed_from_its_foot() -> None:
    found = fields(event(("A", 100, 0.2), ("A", 112, 0.1)))
    assert found["chA_dt_us"][0] == pytest.approx(12 * 0.004, abs=0.002)
    assert found["chA_height_V"][0] == pytest.approx(0.09, abs=0.02)


def test_an_early_small_pulse_is_not_the_trigger_pulse() -> None:
    found = fields(event(("A", 40, 0.012), *BOTH_TRIGGER, ("A", 600, 0.1)))
    assert found["chA_dt_us"][0] == pytest.approx(2.0, abs=0.002)


def test_the_trigger_pulse_is_looked_for_where_it_is_said_to_be() -> None:
    record = event(("A", 30, 0.2), ("A", 100, 0.1), ("A", 600, 0.1))
    assert fields(record)["chA_dt_us"][0] == pytest.approx(70 * 0.004, abs=0.002)
    assert fields(record, pre_trigger_samples=100)["chA_dt_us"][0] == pytest.approx(2.0, abs=0.002)


def test_the_lowest_height_can_be_raised() -> None:
    record = event(*BOTH_TRIGGER, ("B", 600.4, 0.03))
    assert fields(record, min_height=0.02)["chB_dt_us"][0] > 0
    assert fields(record, min_height=0.05)["chB_dt_us"][0] == 0


def test_positive_pulses_and_whole_numbers() -> None:
    record = event(*BOTH_TRIGGER, ("A", 612, 0.06))
    whole = np.zeros(1, [("chA", "i2", (2000,)), ("chB", "i2", (2000,))])
    for name in whole.dtype.names:
        whole[name] = np.rint(-record[name] * 10_000)
    found = fields(whole, sign=1)
    assert found["decay_time_us"][0] == pytest.approx(2.048, abs=0.002)


def test_one_channel_is_enough() -> None:
    dtype = np.dtype([("chX", "f8", (1500,))])
    found = fields(event(("X", 200, 0.1), ("X", 700, 0.1), dtype=dtype))
    assert found["decay_time_us"][0] == found["chX_dt_us"][0] == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize("level", [0.0, -0.3])
def test_waveforms_without_any_pulse_give_zeros(level: float) -> None:
    records = np.zeros(2, AB)
    records["chA"] = records["chB"] = level
    assert all((values == 0).all() for values in fields(records).values())


def test_the_answer_does_not_depend_on_the_batch() -> None:
    records = np.concatenate([event(*BOTH_TRIGGER, ("B", 300 + 17.3 * k, 0.03 + 0.002 * k), seed=k) for k in range(40)])
    whole = fields(records)
    for name, values in whole.items():
        assert np.array_equal(values, np.concatenate([fields(records[k : k + 1])[name] for k in range(40)]))


def test_times_of_pulses_of_any_height_are_good_to_a_sample() -> None:
    random = np.random.default_rng(5)
    times = 150 + 1800 * random.random(300)
    heights = random.uniform(0.02, 0.2, 300)
    records = np.concatenate(
        [event(("A", 100, 0.15), ("A", t, h), seed=k) for k, (t, h) in enumerate(zip(times, heights, strict=True))]
    )
    error = fields(records)["chA_dt_us"] / 0.004 - (times - 100)
    assert np.abs(error).max() < 1
    assert error.std() < 0.25


def test_simulated_decays_are_found_with_their_times() -> None:
    dtype = np.dtype([(f"ch{name}", "f4", (4250,)) for name in "ABCD"])
    config = PulseConfig(pre_trigger_samples=500, polarity="negative", stopping_probability=1.0, efficiency=1.0)
    simulator = PulseSimulator(config, dtype, 9)
    events = np.zeros(64, dtype)
    simulator.fill(events, 0)
    truth = simulator.truth(0)
    found = fields(events)["decay_time_us"] * 1000
    whole = np.floor(truth.decay_time_ns / 4) * 4
    good = (truth.second_mv.max(axis=1) > 80) & (truth.first_mv[:, 0] > 80) & (whole > 400)
    assert good.sum() > 30
    assert np.abs(found[good] - whole[good]).max() < 4


FIELDS = [("decay_time_us", "f4", (1,)), ("chB_dt_us", "f8", (1,)), ("chA_trigger_V", "f4", (1,))]


def test_every_event_is_written_unless_told_otherwise(world) -> None:
    records = np.concatenate([event(*BOTH_TRIGGER), event(*BOTH_TRIGGER, ("B", 600.4, 0.1)), event(seed=9)])
    io = world(reads=records, writes=[FIELDS])
    double_pulses(io)
    assert io.writers[0].counter.tolist() == [100, 101, 102]
    assert io.writers[0].events["decay_time_us"][:, 0].tolist() == pytest.approx([0, 2.0, 0], abs=0.002)
    assert io.notes == {"events_seen": 3, "events_with_second_pulse": 1}
    only = world(reads=records, writes=[FIELDS])
    double_pulses(only, only_double=True)
    assert only.writers[0].counter.tolist() == [101]


@pytest.mark.parametrize(
    ("options", "sinks", "named"),
    [
        ({"fraction": 1.0}, [FIELDS], "fraction"),
        ({"polarity": "x"}, [FIELDS], "polarity"),
        ({"number_of_samples": 4000}, [FIELDS], "4000 samples"),
        ({}, [[("chC_dt_us", "f4", (1,))]], "chC_dt_us"),
        ({}, [FIELDS, FIELDS], "2 sinks"),
    ],
)
def test_options_and_sinks_that_do_not_fit_are_refused(world, options, sinks, named) -> None:
    with pytest.raises(ValueError, match=named):
        double_pulses(world(reads=event(), writes=sinks), **options)
