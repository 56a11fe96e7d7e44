"""The spectrum filter against mimoCoRB's rule written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from mimodaq.functions.physics import PulseConfig, PulseSimulator, SpectrumConfig, SpectrumFinder, find_peaks


def slow_spectrum(event: np.void, names: list[str], config: SpectrumConfig) -> dict[str, float] | None:
    """One event, one channel after the other, plain scipy; pulses upwards."""
    found = {
        name: signal.find_peaks(event[name], prominence=config.prominence, distance=config.distance, width=config.width)
        for name in names
    }
    reference = config.pre_trigger_samples
    if config.trigger_channel is not None:
        at, _ = found[config.trigger_channel]
        if len(at) == 0:
            return None
        reference = at[np.argmin(np.abs(at - config.pre_trigger_samples))]
    result = {}
    for name in names:
        result |= {f"{name}_{what}": 0.0 for what in ("height", "position", "integral")}
        wave = np.asarray(event[name], dtype=float) - config.analogue_offset_mv
        for at, left, right in zip(
            found[name][0], found[name][1]["left_ips"], found[name][1]["right_ips"], strict=True
        ):
            if abs(reference - at) < config.tolerance:
                cut = wave[int(np.floor(left)) : int(np.ceil(right))]
                result[f"{name}_position"] = at
                result[f"{name}_height"] = wave[at]
                result[f"{name}_integral"] = sum(cut) * config.sample_time_ns / 50 / 5
    return result


def simulated(dtype: np.dtype, n: int = 200, **options) -> np.ndarray:
    events = np.zeros(n, dtype)
    defaults = {"pre_trigger_samples": 100, "analogue_offset_mv": -480.0, "stopping_probability": 0.5}
    PulseSimulator(PulseConfig(**{**defaults, **options}), dtype, 4).fill(events, 0)
    return events


@pytest.mark.parametrize("trigger", ["chA", "chB", None])
@pytest.mark.parametrize(("noise", "tolerance", "width"), [(8.0, 7, 7), (60.0, 40, 2)])
def test_events_and_numbers_are_those_of_the_plain_rule(
    waveforms_of, trigger: str | None, noise: float, tolerance: float, width: float
) -> None:
    events = simulated(waveforms_of("AB", 500), noise_mv=noise)
    config = SpectrumConfig(
        4.0, -480.0, width=width, pre_trigger_samples=100, trigger_channel=trigger, tolerance=tolerance
    )
    finder = SpectrumFinder(config, events.dtype)
    passed, numbers = finder.find(events)
    expected = [slow_spectrum(event, finder.channels, config) for event in events]
    assert passed.tolist() == [k for k, result in enumerate(expected) if result is not None]
    for row, event in enumerate(passed):
        for name, value in expected[event].items():
            assert numbers[name][row] == pytest.approx(value, rel=1e-6), name
    if trigger and noise < config.prominence:
        assert len(passed) < len(events)


def test_negative_pulses_give_the_same_numbers(waveforms_of) -> None:
    up = simulated(waveforms_of("AB", 500))
    down = np.zeros_like(up)
    for name in up.dtype.names:
        down[name] = -up[name]
    results = [
        SpectrumFinder(
            SpectrumConfig(4.0, -480.0 * sign, pre_trigger_samples=100, trigger_channel="chA", sign=sign), up.dtype
        ).find(events)
        for events, sign in ((up, 1), (down, -1))
    ]
    assert np.array_equal(results[0][0], results[1][0])
    for name, values in results[0][1].items():
        np.testing.assert_allclose(results[1][1][name], values)


FIELDS = [("chA_height", "<f4", (1,)), ("chB_position", "<i4", (1,)), ("chA_integral", "<f4", (1,))]
OPTIONS = {"analogue_offset": -0.48, "pre_trigger_samples": 100, "trigger_channel": "A", "number_of_samples": 500}


def test_the_sink_gets_the_parameters_it_has_fields_for(world, waveforms_of) -> None:
    events = simulated(waveforms_of("AB", 500), 60)
    io = world(reads=events, writes=[FIELDS])
    find_peaks(io, **OPTIONS)
    config = SpectrumConfig(4.0, -480.0, pre_trigger_samples=100, trigger_channel="chA")
    passed, numbers = SpectrumFinder(config, events.dtype).find(events)
    written = io.writers[0]
    assert written.counter.tolist() == (100 + passed).tolist()
    assert np.array_equal(written.events["chA_height"][:, 0], numbers["chA_height"].astype("f4"))
    assert np.array_equal(written.events["chB_position"][:, 0], numbers["chB_position"])
    assert (written.metadata[:, 2] == 0.01).all()
    assert io.readers[0].released == 60


def test_a_first_sink_gets_the_waveforms(world, waveforms_of) -> None:
    events = simulated(waveforms_of("AB", 500), 60)
    io = world(reads=events, writes=[events.dtype, FIELDS])
    find_peaks(io, **OPTIONS)
    waves, numbers = io.writers
    assert np.array_equal(waves.metadata, numbers.metadata)
    assert np.array_equal(waves.events, events[waves.counter - 100])


@pytest.mark.parametrize("word", [None, "none", "ext", ""])
def test_without_a_trigger_channel_every_event_passes(world, waveforms_of, word: str | None) -> None:
    io = world(reads=simulated(waveforms_of("AB", 500), 30), writes=[FIELDS])
    find_peaks(io, **{**OPTIONS, "trigger_channel": word})
    assert len(io.writers[0].events) == 30


@pytest.mark.parametrize(
    ("options", "sinks", "named"),
    [
        ({"trigger_channel": "D"}, [FIELDS], "trigger channel D"),
        ({}, [[("chC_height", "f4", (1,))]], "chC_height"),
        ({"number_of_samples": 400}, [FIELDS], "400 samples"),
        ({}, [], "0 sinks"),
        ({"polarity": "down"}, [FIELDS], "polarity"),
    ],
)
def test_options_and_sinks_that_do_not_fit_are_refused(world, waveforms_of, options, sinks, named) -> None:
    io = world(reads=simulated(waveforms_of("AB", 500), 3), writes=sinks)
    with pytest.raises(ValueError, match=named):
        find_peaks(io, **{**OPTIONS, **options})
