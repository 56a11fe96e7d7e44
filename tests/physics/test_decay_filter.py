"""The lifetime filter accepts the events, and gives the numbers, of mimoCoRB's algorithm written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from mimodaq.functions.physics import (
    DecayConfig,
    DecayFinder,
    PulseConfig,
    PulseSimulator,
    calculate_decay_time,
    default_signatures,
)


def slow_decay(event: np.void, names: list[str], config: DecayConfig, signatures) -> dict[str, float] | None:
    """One event, one channel after the other, plain scipy; pulses upwards."""
    least = min(config.prominence_initial, config.prominence_secondary)
    peaks, proms = {}, {}
    for name in names:
        peaks[name], found = signal.find_peaks(
            event[name], prominence=least, distance=config.distance, width=config.width
        )
        proms[name] = found["prominences"]

    queue = {name: list(enumerate(peaks[name])) for name in names}
    groups = []
    while any(queue.values()):
        begin = min(items[0][1] for items in queue.values() if items)
        group = {}
        for name, items in queue.items():
            if items and abs(items[0][1] - begin) < config.tolerance:
                group[name] = items.pop(0)[0]
        groups.append(group)
    if len(groups) < 2:
        return None
    for group, limit in zip(groups, (config.prominence_initial, config.prominence_secondary), strict=False):
        for name in list(group):
            if proms[name][group[name]] * (config.scaling or {}).get(name, 1.0) < limit:
                del group[name]

    def fits(signature) -> bool:
        if len(signature) > len(groups):
            return False
        for group, signs in zip(groups, signature, strict=False):
            for name, sign in zip(names, signs, strict=True):
                if (sign == "+" and name not in group) or (sign == "-" and name in group):
                    return False
        return True

    if not any(fits(signature) for signature in signatures):
        return None
    result = {"decay_time": 0.0}
    means = []
    for which, group in zip(("1st", "2nd"), groups, strict=False):
        for name in names:
            result |= {f"{which}_{name}_{what}": 0.0 for what in ("h", "p", "int")}
        for name, index in group.items():
            at, height = peaks[name][index], proms[name][index]
            wave = np.asarray(event[name], dtype=float) - config.analogue_offset_mv
            result[f"{which}_{name}_p"], result[f"{which}_{name}_h"] = at, height
            if wave[at] > 10:
                _, _, left, right = signal.peak_widths(wave, [at], rel_height=(wave[at] - 10) / height)
                cut = wave[int(np.floor(left[0])) : int(np.ceil(right[0]))]
                result[f"{which}_{name}_int"] = sum(cut)
        means.append(np.mean([peaks[name][index] for name, index in group.items()]))
    result["decay_time"] = (means[1] - means[0]) * config.sample_time_ns
    return result


def compare(events: np.ndarray, config: DecayConfig, batch: int) -> int:
    finder = DecayFinder(config, events.dtype)
    found = {}
    for begin in range(0, len(events), batch):
        for decay in finder.find(events[begin : begin + batch]):
            found[begin + decay.event] = decay.parameters
    upright = events
    if config.sign < 0:
        upright = np.zeros_like(events)
        for name in events.dtype.names:
            upright[name] = -events[name]
    for number, event in enumerate(upright):
        expected = slow_decay(event, finder.channels, config, finder.signatures)
        assert (expected is not None) == (number in found), number
        if expected is not None:
            assert set(expected) == set(found[number])
            for name, value in expected.items():
                assert found[number][name] == pytest.approx(value, rel=1e-9), name
    return len(found)


def simulated(dtype: np.dtype, n: int, seed: int = 2, **options) -> np.ndarray:
    events = np.zeros(n, dtype)
    config = PulseConfig(**{"pre_trigger_samples": 100, "stopping_probability": 0.6, **options})
    PulseSimulator(config, dtype, seed).fill(events, 0)
    return events


def test_four_layers(waveforms_of) -> None:
    events = simulated(waveforms_of("ABCD", 2000), 200, analogue_offset_mv=-480, trigger_level_mv=-440)
    assert compare(events, DecayConfig(4.0, analogue_offset_mv=-480), batch=32) > 50


def test_two_layers_with_pulses_of_negative_polarity(waveforms_of) -> None:
    events = simulated(waveforms_of("AB", 2000), 200, polarity="negative")
    assert compare(events, DecayConfig(4.0, sign=-1), batch=17) > 20


def test_much_noise_and_pile_up(waveforms_of) -> None:
    events = simulated(waveforms_of("ABCD", 700), 100, noise_mv=32.0, pulse_samples=60)
    config = DecayConfig(4.0, prominence_initial=60, prominence_secondary=36, width=2, distance=5, tolerance=8)
    assert compare(events, config, batch=8) > 5


def test_digitised_waveforms_and_scaled_channels(waveforms_of) -> None:
    events = simulated(waveforms_of("ABCD", 1500, "<i2"), 150)
    for name in events.dtype.names:
        events[name] = events[name] // 8 * 8
    scaling = {"chA": 0.5, "chC": 2.0}
    assert compare(events, DecayConfig(4.0, scaling=scaling, prominence_secondary=50), batch=32) > 10


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 20, 60]), st.sampled_from([0.0, 6.0, 30.0]))
def test_pulses_anywhere(seed: int, tolerance: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    events = np.zeros(5, [("chA", "f4", (300,)), ("chB", "f4", (300,)), ("chC", "f4", (300,))])
    for name in events.dtype.names:
        events[name] = noise * random.random((5, 300))
        for row in events[name]:
            for at in random.choice([30, 40, 45, 60, 150, 160, 250], random.integers(0, 4), replace=False):
                row[at : at + 40] += (random.choice([20, 60, 200]) * np.exp(-np.arange(40) / 10)).astype("f4")
    signatures = ((("+", "0", "-"), ("0", "+", "0")), (("0", "+", "0"), ("+", "0", "0"), ("-", "-", "-")))
    config = DecayConfig(
        4.0,
        width=3,
        distance=4,
        tolerance=tolerance,
        signatures=signatures,
        prominence_initial=50,
        prominence_secondary=15,
    )
    compare(events, config, batch=3)


def test_signatures_of_other_numbers_of_layers_ask_for_a_first_and_any_later_pulse() -> None:
    assert default_signatures(2) == ((("+", "0"), ("+", "0")), (("+", "0"), ("0", "+")))
    assert len(default_signatures(4)) == 3


@pytest.mark.parametrize(
    "signature",
    [[["+", "+"]], [["+", "+"], ["0", "-"]], [["+"], ["+"]], [["+", "x"], ["+", "0"]]],
)
def test_signatures_that_do_not_fit_are_refused(waveforms_of, signature) -> None:
    with pytest.raises(ValueError, match="signature"):
        DecayFinder(DecayConfig(4.0, signatures=(signature,)), waveforms_of("AB", 300))


def test_one_record_can_be_looked_at_by_itself(waveforms_of) -> None:
    events = simulated(waveforms_of("ABCD", 2000), 40)
    finder = DecayFinder(DecayConfig(4.0), events.dtype)
    alone = [len(finder.find(event)) for event in events]
    together = np.zeros(40, dtype=int)
    together[[decay.event for decay in finder.find(events)]] = 1
    assert alone == together.tolist()


PARAMETERS = [("decay_time", "<i4", (1,)), ("1st_chA_h", "<f8", (1,)), ("2nd_chD_p", "<i4", (1,))]
OPTIONS = {"pre_trigger_samples": 100, "number_of_samples": 2000}


@pytest.fixture
def decays(waveforms_of):
    """Events, and for each the signature it is accepted with (-1: none); some match the third."""
    events = simulated(waveforms_of("ABCD", 2000), 120, efficiency=1.0)
    template = (150 * np.exp(-np.arange(100) / 25)).astype(np.float32)
    crossed = [k for k, event in enumerate(events) if event["chD"][100:110].max() > 100][:5]
    for k in crossed:
        events["chD"][k, 900:1000] += template
    found = DecayFinder(DecayConfig(4.0), events.dtype).find(events)
    signatures = np.full(len(events), -1)
    for decay in found:
        signatures[decay.event] = decay.signature
    assert set(signatures) == {-1, 0, 1, 2}
    return events, signatures


def test_one_sink_gets_the_waveforms(world, decays) -> None:
    events, signatures = decays
    io = world(reads=events, writes=[events.dtype])
    calculate_decay_time(io, **OPTIONS)
    accepted = np.flatnonzero(signatures >= 0)
    assert np.array_equal(io.writers[0].events, events[accepted])
    assert io.writers[0].counter.tolist() == (100 + accepted).tolist()
    assert io.readers[0].released == len(events)


def test_one_sink_with_a_decay_time_gets_the_parameters(world, decays) -> None:
    events, signatures = decays
    io = world(reads=events, writes=[PARAMETERS])
    calculate_decay_time(io, **OPTIONS)
    assert len(io.writers[0].events) == (signatures >= 0).sum()


def test_two_sinks_get_waveforms_and_parameters_of_the_same_events(world, decays) -> None:
    events, signatures = decays
    io = world(reads=events, writes=[events.dtype, PARAMETERS])
    calculate_decay_time(io, **OPTIONS)
    waves, parameters = io.writers
    assert np.array_equal(waves.metadata, parameters.metadata)
    assert np.array_equal(waves.metadata[:, 1], waves.counter * 0.5)
    found = DecayFinder(DecayConfig(4.0), events.dtype).find(events)
    assert parameters.events["decay_time"][:, 0].tolist() == [int(d.parameters["decay_time"]) for d in found]
    assert parameters.events["1st_chA_h"][:, 0].tolist() == [d.parameters["1st_chA_h"] for d in found]
    assert len(found) == (signatures >= 0).sum()


def test_three_sinks_split_up_and_down_and_lose_no_signature(world, decays) -> None:
    events, signatures = decays
    io = world(reads=events, writes=[events.dtype, PARAMETERS, PARAMETERS])
    calculate_decay_time(io, **OPTIONS)
    waves, up, down = io.writers
    assert waves.counter.tolist() == (100 + np.flatnonzero(signatures >= 0)).tolist()
    assert up.counter.tolist() == (100 + np.flatnonzero((signatures == 0) | (signatures == 2))).tolist()
    assert down.counter.tolist() == (100 + np.flatnonzero(signatures == 1)).tolist()


def test_signatures_can_be_sent_to_sinks_by_number(world, decays) -> None:
    events, signatures = decays
    io = world(reads=events, writes=[events.dtype, PARAMETERS, PARAMETERS])
    calculate_decay_time(io, signature_sinks=[2, 1, 2], **OPTIONS)
    assert io.writers[1].counter.tolist() == (100 + np.flatnonzero(signatures == 1)).tolist()
    with pytest.raises(ValueError, match="signature_sinks"):
        calculate_decay_time(world(reads=events, writes=[PARAMETERS]), signature_sinks=[1, 1, 1])


def test_a_reference_pulse_gives_positions_by_correlation(world, decays) -> None:
    events, _ = decays
    plain = world(reads=events, writes=[[("decay_time", "f8", (1,))]])
    calculate_decay_time(plain, **OPTIONS)
    shaped = world(reads=events, writes=[[("decay_time", "f8", (1,))]])
    np.exp(-np.arange(100) / 25).tofile(shaped.run_dir / "reference.bin")
    calculate_decay_time(shaped, reference_pulse_file="reference.bin", **OPTIONS)
    difference = shaped.writers[0].events["decay_time"] - plain.writers[0].events["decay_time"]
    assert np.abs(np.median(difference)) <= 8
    with pytest.raises(ValueError, match=r"missing\.bin"):
        calculate_decay_time(world(reads=events, writes=[PARAMETERS]), reference_pulse_file="missing.bin")


def test_a_field_that_is_not_delivered_is_named(world, decays) -> None:
    io = world(reads=decays[0], writes=[[("decay_time", "f8", (1,)), ("1st_chE_h", "f8", (1,))]])
    with pytest.raises(ValueError, match="1st_chE_h"):
        calculate_decay_time(io)


def test_waveform_sinks_of_another_length_are_refused(world, decays, waveforms_of) -> None:
    with pytest.raises(ValueError, match="samples"):
        calculate_decay_time(world(reads=decays[0], writes=[waveforms_of("ABCD", 1000)]))
    with pytest.raises(ValueError, match="500 samples are asked for"):
        calculate_decay_time(world(reads=decays[0], writes=[PARAMETERS]), number_of_samples=500)
