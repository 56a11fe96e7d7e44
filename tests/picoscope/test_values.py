"""From physical units to the driver's values and back."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimodaq.picoscope import ScopeError
from mimodaq.picoscope._settings import WAVES, Channel, Generator, Trigger
from mimodaq.picoscope._times import HARDWARE, HOST, INTERPOLATED, event_times, is_counting
from mimodaq.picoscope._values import (
    Timebase,
    auto_ms,
    delay_samples,
    find_timebase,
    gain_and_offset,
    generator_values,
    threshold_counts,
    trigger_counts,
)

RANGES = st.sampled_from([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0])
SCALES = st.sampled_from([32512, 32767, 32704])


@given(RANGES, st.floats(-1, 1), st.floats(-0.9, 0.9), SCALES)
def test_a_level_in_counts_is_that_level_in_volts(range_v, offset_part, level_part, full_scale):
    offset = offset_part * range_v
    level = level_part * range_v - offset
    counts = threshold_counts(level, range_v, offset, full_scale)
    gain, zero = gain_and_offset(Channel("A", range_v, offset_v=offset), full_scale)
    assert counts * gain + zero == pytest.approx(level, abs=0.51 * range_v / full_scale)


@given(RANGES, st.floats(-100, 100), SCALES)
def test_a_level_is_never_more_than_the_converter_gives(range_v, level, full_scale):
    assert abs(threshold_counts(level, range_v, 0.0, full_scale)) <= full_scale


def test_the_external_input_has_a_scale_of_its_own():
    channels = {"A": Channel("A", 0.5)}
    assert trigger_counts(Trigger("EXT", 2.5), channels, 32512) == round(32767 / 2)
    assert trigger_counts(Trigger("A", 0.25), channels, 32512) == 32512 // 2


@given(st.floats(0, 32.767))
def test_the_automatic_trigger_fits_into_16_bits_and_never_means_for_ever(auto_s):
    ms = auto_ms(auto_s)
    assert ctypes.c_int16(ms).value == ms
    assert (ms == 0) == (auto_s == 0)
    assert abs(ms - 1000 * auto_s) <= 1


@pytest.mark.parametrize("auto_s", [32.768, 65.536, 40.0, -1.0])
def test_an_automatic_trigger_that_would_be_cut_is_refused(auto_s):
    with pytest.raises(ValueError, match="are possible"):
        auto_ms(auto_s)


def test_delays_and_the_generator():
    assert delay_samples(1e-6, 4.0) == 250
    values = generator_values(Generator("gaussian", 1e3, 0.4, -0.1))
    assert (values.wave, values.amplitude_uv, values.offset_uv) == (WAVES.index("gaussian"), 400_000, -100_000)


FORMULAS = {
    "3000a, 1 GS/s": lambda n: float(2**n) if n < 3 else (n - 2) * 8.0,
    "3000a, 500 MS/s": lambda n: 2.0 * 2**n if n < 3 else (n - 2) * 16.0,
    "3000 MSO": lambda n: 2.0 * 2**n if n < 2 else (n - 1) * 8.0,
    "5000a, 12 bit": lambda n: None if n < 1 else 2.0 ** (n - 1) * 2 if n < 4 else (n - 3) * 16.0,
    "5000a, 14 bit": lambda n: None if n < 3 else (n - 2) * 8.0,
    "5000a, 16 bit": lambda n: None if n < 4 else (n - 3) * 16.0,
    "6000": lambda n: 2**n / 5 if n < 5 else (n - 4) / 0.15625,
}


@given(st.sampled_from(sorted(FORMULAS)), st.integers(0, 2**20), st.integers(0, 3))
def test_every_interval_a_model_offers_is_found(model, number, not_available):
    def ask(n):
        interval = FORMULAS[model](n)
        return None if interval is None or n < not_available else Timebase(n, interval, 1000)

    offered = ask(number)
    if offered is None:
        return
    assert find_timebase(ask, offered.interval_ns, 0.001).interval_ns == offered.interval_ns
    assert find_timebase(ask, offered.interval_ns * 1.009, 0.01).interval_ns == pytest.approx(
        offered.interval_ns * 1.009, rel=0.01
    )


def test_an_interval_between_two_is_refused_and_both_are_named():
    ask = lambda n: Timebase(n, FORMULAS["3000a, 1 GS/s"](n), 1000)  # noqa: E731
    with pytest.raises(ScopeError, match="offers 4 ns and 8 ns"):
        find_timebase(ask, 6.0, 0.01)
    assert find_timebase(ask, 5.0, 0.3).interval_ns == 4.0


def test_a_model_that_offers_nothing():
    with pytest.raises(ScopeError, match="no timebase"):
        find_timebase(lambda n: None, 4.0, 0.01)


# -- times of events ------------------------------------------------------------------------------------------


def test_the_last_capture_of_a_complete_batch_ended_it():
    counters = np.array([0, 250, 1000], np.uint64)
    times, quality = event_times(3, True, 100.0, 110.0, counters, 4.0, post_ns=1e9)
    assert quality == HARDWARE
    assert times.tolist() == pytest.approx([109 - 4e-6, 109 - 3e-6, 109.0])


def test_no_capture_was_before_arming():
    counters = np.array([0, 10**9], np.uint64)
    times, _ = event_times(2, True, 100.0, 103.0, counters, 4.0, post_ns=0.0)
    assert times.tolist() == [100.0, 104.0]


def test_captures_of_a_stopped_batch_lie_in_its_middle():
    counters = np.array([0, 10**9], np.uint64)
    times, _ = event_times(2, False, 100.0, 110.0, counters, 4.0, post_ns=0.0)
    assert times.tolist() == [103.0, 107.0]


def test_a_counter_may_overflow_within_a_batch():
    counters = np.array([2**56 - 100, 150], np.uint64)
    times, _ = event_times(2, True, 0.0, 1.0, counters, 4.0, post_ns=0.0)
    assert np.diff(times) == pytest.approx(1e-6)
    assert is_counting(counters)


def test_without_a_counter_events_are_spread_over_the_batch():
    times, quality = event_times(4, True, 100.0, 104.0, None, 4.0, post_ns=0.0)
    assert (times.tolist(), quality) == ([101.0, 102.0, 103.0, 104.0], INTERPOLATED)
    times, quality = event_times(3, False, 100.0, 104.0, None, 4.0, post_ns=0.0)
    assert (times.tolist(), quality) == ([101.0, 102.0, 103.0], INTERPOLATED)


def test_a_single_event_is_seen_by_the_host():
    assert event_times(1, True, 100.0, 104.0, None, 4.0, post_ns=1e9) == (np.array([103.0]), HOST)


@given(st.integers(1, 50), st.booleans(), st.floats(0, 1e9), st.lists(st.integers(1, 2**40), min_size=49, max_size=49))
def test_times_never_go_backwards_nor_into_the_future(n, is_complete, seconds, steps):
    counters = np.cumsum([0, *steps[: n - 1]]).astype(np.uint64)
    span = float(counters[-1]) * 4e-9
    times, _ = event_times(n, is_complete, 1e9, 1e9 + span + seconds, counters, 4.0, post_ns=0.0)
    assert (np.diff(times) >= 0).all()
    assert times[-1] <= 1e9 + span + seconds + 1e-6
    assert times[0] >= 1e9 - 1e-6


@pytest.mark.parametrize("counters", [None, [5, 5, 5], [0, 0, 0], [9, 5, 1]])
def test_a_counter_that_does_not_count_is_told_from_one_that_does(counters):
    assert not is_counting(None if counters is None else np.array(counters, np.uint64))
