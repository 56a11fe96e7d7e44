"""Simulated pulses: reproducible, and with the physics they are meant to have."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.functions.physics import PulseConfig, PulseSimulator
from mimodaq.functions.physics._simulator import BLOCK_EVENTS, MUON_LIFETIME_NS

CONFIG = PulseConfig(analogue_offset_mv=-480, trigger_level_mv=-440, pre_trigger_samples=50)


def simulate(dtype: np.dtype, first: int, *sizes: int, seed: int = 5, config: PulseConfig = CONFIG) -> np.ndarray:
    simulator = PulseSimulator(config, dtype, seed)
    events = np.zeros(sum(sizes), dtype)
    done = 0
    for size in sizes:
        simulator.fill(events[done : done + size], first + done)
        done += size
    return events


@pytest.fixture
def four(waveforms_of) -> np.dtype:
    return waveforms_of("ABCD", 301)


def test_an_event_does_not_depend_on_how_many_are_made_at_once(four: np.dtype) -> None:
    whole = simulate(four, 0, 150)
    assert np.array_equal(whole, simulate(four, 0, 1, 2, 61, 1, 20, 65))
    assert np.array_equal(whole[70:80], simulate(four, 70, 10))


def test_events_can_be_made_again_out_of_order(four: np.dtype) -> None:
    whole = simulate(four, 0, 100)
    simulator = PulseSimulator(CONFIG, four, 5)
    again = np.zeros(100, four)
    for first in (90, 10, 12, 3, 64):
        simulator.fill(again[first : first + 5], first)
        assert np.array_equal(again[first : first + 5], whole[first : first + 5])


def test_the_seed_makes_the_difference(four: np.dtype) -> None:
    assert not np.array_equal(simulate(four, 0, 3, seed=1), simulate(four, 0, 3, seed=2))


def test_slots_with_gaps_between_them_are_filled(four: np.dtype) -> None:
    padded = np.dtype(
        {
            "names": four.names,
            "formats": [four[n] for n in four.names],
            "offsets": [0, 2000, 4000, 6000],
            "itemsize": 8192,
        }
    )
    events = np.zeros(20, padded)
    PulseSimulator(CONFIG, padded, 5).fill(events[::2], 0)
    expected = simulate(four, 0, 10)
    for name in four.names:
        assert np.array_equal(events[::2][name], expected[name])
        assert not events[1::2][name].any()


def test_whole_numbers_are_rounded(waveforms_of) -> None:
    exact = simulate(waveforms_of("AB", 300), 0, 4)
    whole = simulate(waveforms_of("AB", 300, "<i2"), 0, 4)
    assert np.array_equal(whole["chA"], np.rint(exact["chA"]).astype(np.int16))


def test_noise_is_uniform_around_the_offset(four: np.dtype) -> None:
    quiet = simulate(four, 0, 64)["chA"][:, :50]
    width = 250 / 30
    assert abs(quiet.mean() + 480) < 0.1
    assert -480 - width / 2 <= quiet.min() < -480 - 0.45 * width
    assert -480 + 0.45 * width < quiet.max() <= -480 + width / 2 + 1e-3


def truths(dtype: np.dtype, blocks: int, config: PulseConfig):
    simulator = PulseSimulator(config, dtype, 11)
    parts = [simulator.truth(block) for block in range(blocks)]
    return [np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].__slots__]


def test_muons_cross_or_stop_and_decay_after_their_lifetime(waveforms_of) -> None:
    first, second, life, up = truths(waveforms_of("ABCD", 20000), 300, CONFIG)
    stopped = ~np.isnan(life)
    n = BLOCK_EVENTS * 300
    assert abs(stopped.sum() - 0.1 * n) < 4 * np.sqrt(0.09 * n)
    assert not first[stopped, 2:].any()
    assert not second[~stopped].any()
    assert abs((first[~stopped] != 0).mean() - 0.95) < 0.005
    assert abs(life[stopped].mean() / MUON_LIFETIME_NS - 1) < 4 / np.sqrt(stopped.sum())
    assert not second[stopped & up][:, 2:].any()
    assert not second[stopped & ~up][:, :2].any()
    assert abs(first[first != 0].mean() - 250) < 10
    assert first[:, 0][first[:, 0] != 0].min() >= 40


def test_the_spin_makes_up_and_down_oscillate(waveforms_of) -> None:
    strong = PulseConfig(pre_trigger_samples=50, stopping_probability=1, asymmetry=1)
    _, _, life, up = truths(waveforms_of("ABCD", 20000), 200, strong)
    phase = 2 * np.pi * life / (0.85 * MUON_LIFETIME_NS)
    assert np.mean(np.where(up, 1, -1) * np.cos(phase)) == pytest.approx(0.5, abs=0.05)
    without = PulseConfig(pre_trigger_samples=50, stopping_probability=1, asymmetry=0)
    _, _, life, up = truths(waveforms_of("ABCD", 20000), 200, without)
    assert np.mean(np.where(up, 1, -1) * np.cos(phase)) == pytest.approx(0, abs=0.05)


def test_the_second_pulse_comes_at_the_decay_time(waveforms_of) -> None:
    dtype = waveforms_of("ABCD", 4000)
    config = PulseConfig(pre_trigger_samples=100, stopping_probability=1, noise_mv=0, efficiency=1)
    simulator = PulseSimulator(config, dtype, 1)
    truth = simulator.truth(0)
    events = np.zeros(BLOCK_EVENTS, dtype)
    simulator.fill(events, 0)
    for number in range(BLOCK_EVENTS):
        layer = int(np.argmax(np.abs(truth.second_mv[number])))
        height = truth.second_mv[number, layer]
        if height > 50 and truth.first_mv[number, layer] == 0:
            at = int(np.argmax(events[dtype.names[layer]][number]))
            assert at == 100 + int(truth.decay_time_ns[number] / 4)
            assert events[dtype.names[layer]][number, at] == pytest.approx(height, rel=1e-5)


def test_pulses_that_would_leave_the_window_are_not_there(waveforms_of) -> None:
    _, second, life, _ = truths(waveforms_of("ABCD", 600), 20, PulseConfig(stopping_probability=1))
    late = life / 4 >= 500
    assert late.any()
    assert not second[late].any()


@pytest.mark.parametrize("layers", ["A", "AB", "ABC", "ABCDEF"])
def test_any_number_of_layers(waveforms_of, layers: str) -> None:
    config = PulseConfig(pre_trigger_samples=20, stopping_probability=0.5, efficiency=1)
    first, second, life, _ = truths(waveforms_of(layers, 5000), 4, config)
    assert (first[np.isnan(life)] != 0).all()
    assert not first[~np.isnan(life), 2:].any()
    assert not second[:, 4:].any()


def test_negative_pulses_point_down(waveforms_of) -> None:
    up = simulate(waveforms_of("AB", 300), 0, 8, config=PulseConfig(pre_trigger_samples=50, noise_mv=0))
    down = simulate(
        waveforms_of("AB", 300), 0, 8, config=PulseConfig(pre_trigger_samples=50, noise_mv=0, polarity="negative")
    )
    assert np.array_equal(down["chA"], -up["chA"])


def test_several_heights_each_have_their_spread(waveforms_of) -> None:
    config = PulseConfig(pre_trigger_samples=50, heights_mv=(100.0, 900.0), spreads_mv=(1.0, 2.0), efficiency=1)
    first, *_ = truths(waveforms_of("AB", 300), 20, config)
    low = first[first < 500]
    assert abs(len(low) / first.size - 0.5) < 0.05
    assert low.std() == pytest.approx(1, rel=0.1)
    assert first[first > 500].std() == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"efficiency": 1.5}, "efficiency"),
        ({"stopping_probability": -0.1}, "stopping_probability"),
        ({"heights_mv": ()}, "height"),
        ({"spreads_mv": (1.0, 2.0)}, "spread"),
        ({"pulse_samples": 0}, "pulse window"),
        ({"polarity": "up"}, "polarity"),
        ({"trigger_level_mv": 2000.0}, "trigger_level"),
    ],
)
def test_options_without_sense_are_refused(options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        PulseConfig(**options)


def test_a_pulse_that_does_not_fit_is_refused(four: np.dtype) -> None:
    with pytest.raises(ValueError, match="does not fit into 301 samples"):
        PulseSimulator(PulseConfig(pre_trigger_samples=250), four, 1)
    with pytest.raises(ValueError, match="one length"):
        PulseSimulator(CONFIG, np.dtype([("chA", "f4", (300,)), ("chB", "f4", (200,))]), 1)


def test_a_seed_means_the_same_events_for_ever(waveforms_of) -> None:
    first, _, life, _ = truths(waveforms_of("ABCD", 4250), 1, PulseConfig(pre_trigger_samples=500))
    assert first[0].tolist() == pytest.approx([240.24, 215.27, 299.72, 0.0], abs=0.01)
    decays = [1116.3, 2964.8, 1848.0, 1925.0, 3001.1, 1816.2]
    assert life[~np.isnan(life)].tolist() == pytest.approx(decays, abs=0.1)
