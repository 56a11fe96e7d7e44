"""The source against scopes that do not exist: the one in Python, and the library behind the unmodified picosdk."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from mimodaq.picoscope import ScopeError
from mimodaq.picoscope._fake import FakeScope
from mimodaq.picoscope._source import _told_by_asking
from mimodaq.ring import RingEnding
from picoscope.rigs import COUNTS, Desk, Events, PurePython, config, numbers_of


def test_every_capture_is_in_the_buffer_once_in_order_and_byte_by_byte(desk):
    ring = desk.ring(slots=64, limit=50)
    desk.read_out(ring)
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(50))
    assert desk.figures["events"] == 50


def test_captures_go_on_while_readers_take_them(desk):
    ring = desk.ring(slots=20, limit=500)
    reader = Events(ring)

    def look():
        reader.take()
        return False

    desk.read_out(ring, look=look)
    assert np.array_equal(numbers_of(reader.rest().events), np.arange(500))


def test_a_buffer_smaller_than_a_batch_takes_it_in_pieces(desk):
    ring = desk.ring(slots=5, limit=100)
    reader = Events(ring)

    def look():
        reader.take()
        return False

    desk.read_out(ring, look=look)
    assert np.array_equal(numbers_of(reader.rest().events), np.arange(100))


def test_a_batch_that_does_not_fill_is_ended_and_read(desk):
    desk.rig.set(stall_after=3)
    ring = desk.ring(limit=7)
    desk.read_out(ring)
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(7))
    assert desk.figures["batches_stopped"] >= 1


def patient(desk):
    """Options with which no batch is ended because this computer was busy for a while."""
    return config(family=desk.rig.family, batch={"captures": 8, "max_latency": "60 s"})


def test_at_the_end_what_was_captured_is_still_read(desk):
    desk.rig.set(stall_after=3)
    ring = desk.ring()
    asked = []

    def look():
        asked.append(1)
        return len(asked) > 3  # in the middle of the first batch

    desk.read_out(ring, patient(desk), look=look)
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(3))


def test_a_pause_ends_the_batch_and_no_capture_is_made_meanwhile(desk):
    desk.rig.set(stall_after=3)
    ring = desk.ring()
    calls: list[int] = []

    def look():
        calls.append(desk.rig.calls("RunBlock"))
        if len(calls) == 2:
            ring.pause()
        if len(calls) == 8:
            ring.resume()
        return len(calls) > 12

    desk.read_out(ring, patient(desk), look=look)
    assert calls[3:8] == [1] * 5
    assert desk.rig.calls("RunBlock") > 1
    numbers = numbers_of(Events(ring).rest().events)
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert desk.figures["paused_ns"] > 0


WITHOUT_COUNTER = ("ps2000a", "ps4000a")

NUMBERS = np.dtype(
    [
        *COUNTS.descr,
        ("overflow", "<i2", (1,)),
        ("quality", "<i2", (1,)),
        ("trigger_count", "<i8", (1,)),
        ("trigger_offset_ns", "<f8", (1,)),
        ("batch", "<i8", (1,)),
        ("live_ns", "<i8", (1,)),
        ("dead_ns", "<i8", (1,)),
    ]
)


def test_numbers_about_each_event(desk):
    desk.rig.set(overflow_every=5)
    ring = desk.ring(limit=24, dtype=NUMBERS)
    desk.read_out(ring)
    found = Events(ring).rest()
    events, has_counter = found.events, desk.rig.family not in WITHOUT_COUNTER
    numbers_of(events)
    assert np.flatnonzero(events["overflow"][:, 0]).tolist() == [0, 5, 10, 15, 20]
    assert events["batch"][:, 0].tolist() == [k // 8 for k in range(24)]
    assert set(events["quality"][:, 0].tolist()) == {1 if has_counter else 2}
    window = 50  # captures follow each other at once: samples of one of them
    expected = [window * (k % 8) if has_counter else 0 for k in range(24)]
    assert events["trigger_count"][:, 0].tolist() == expected
    assert np.allclose(events["trigger_offset_ns"][:, 0], [(100 + k % 7) * 1e-3 for k in range(24)])
    assert (np.diff(events["live_ns"][:, 0]) >= 0).all()
    assert (np.diff(events["dead_ns"][:, 0]) >= 0).all()
    assert desk.figures["overflows"] == {"chA": 5, "chB": 0}
    assert (np.diff(found.timestamp) >= 0).all()
    assert ((found.deadtime >= 0) & (found.deadtime <= 1)).all()


def test_a_counter_that_does_not_count_is_noticed(desk):
    desk.rig.set(counter=0)
    ring = desk.ring(limit=16)
    desk.read_out(ring)
    assert desk.figures["time_stamps"] == {"interpolated": 16}
    assert (np.diff(Events(ring).rest().timestamp) >= 0).all()


def test_a_counter_gives_the_distances_between_events(desk):
    ring = desk.ring(limit=8)
    desk.read_out(ring)
    steps = np.diff(Events(ring).rest().timestamp)
    if desk.rig.family in WITHOUT_COUNTER:
        assert desk.figures["time_stamps"] == {"interpolated": 8}
    else:
        assert np.allclose(steps, 200e-9, atol=3e-7)  # doubles of seconds since 1970 are this coarse


def test_live_and_dead_time_are_those_of_the_whole_readout(desk):
    ring = desk.ring(limit=64)
    desk.read_out(ring)
    figures = desk.figures
    assert figures["live_ns"] > 0
    assert all(ns >= 0 for ns in figures["dead_ns"].values())
    assert 0 < figures["live_time_fraction"] < 1


def test_slow_transfers_are_dead_time(desk):
    desk.rig.set(transfer_ns_per_byte=1000)
    ring = desk.ring(limit=40)
    desk.read_out(ring)
    assert desk.figures["dead_ns"]["transfer"] >= 40 * 2 * 50 * 2 * 1000


@pytest.mark.parametrize("where", ["capturing", "transfer"])
def test_an_unplugged_scope_is_opened_again_and_the_gap_is_written_down(desk, where):
    desk.rig.set(unplug_after=20, failed_opens=0, unplug_in_transfer=where == "transfer")
    ring = desk.ring(limit=60)
    desk.read_out(ring)
    numbers = numbers_of(Events(ring).rest().events)
    assert len(numbers) == 60
    assert (np.diff(numbers) > 0).all()  # nothing twice, nothing half
    (gap,) = desk.figures["gaps"]
    assert gap["seconds"] >= 0
    assert "does not respond" in gap["reason"]
    assert desk.figures["gap_ns"] > 0
    assert len(desk.flags) == 1
    assert "gone" in desk.flags[0]


@pytest.mark.parametrize("status", [0x7, 0xC, 0x4A, 0x4C])
def test_every_answer_of_a_scope_that_is_gone_is_understood(desk, status):
    desk.rig.set(unplug_after=20, lost_status=status)
    ring = desk.ring(limit=60)
    desk.read_out(ring)
    (gap,) = desk.figures["gaps"]
    assert f"0x{status:X}" in gap["reason"]
    assert len(numbers_of(Events(ring).rest().events)) == 60


def test_a_scope_that_stays_away_is_tried_again_with_growing_pauses(desk):
    desk.rig.set(unplug_after=8, failed_opens=3)
    ring = desk.ring(limit=30)
    clock = _Clock()
    desk.read_out(ring, now_ns=clock.now_ns, sleep=clock.sleep)
    (gap,) = desk.figures["gaps"]
    assert 0.5 + 1 + 2 <= gap["seconds"] < 4.5
    assert len(numbers_of(Events(ring).rest().events)) == 30


def test_a_run_that_stops_while_the_scope_is_away_ends(desk):
    desk.rig.set(unplug_after=8, failed_opens=1000)
    ring = desk.ring()
    clock = _Clock()
    desk.read_out(ring, look=lambda: clock.slept_s > 30, now_ns=clock.now_ns, sleep=clock.sleep)
    (gap,) = desk.figures["gaps"]
    assert gap["seconds"] > 20
    assert len(desk.flags) == 1


def test_the_policy_may_be_to_fail(desk):
    desk.rig.set(unplug_after=20)
    ring = desk.ring(limit=60)
    with pytest.raises(ScopeError, match="on_disconnect"):
        desk.read_out(ring, config(family=desk.rig.family, on_disconnect="fail"))
    ring.give_up_writer()
    numbers = numbers_of(Events(ring).rest().events)
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert desk.figures["gaps"]


def test_a_model_without_segments_is_read_capture_by_capture(desk):
    desk.rig.set(no_segments=1)
    ring = desk.ring(limit=10)
    desk.read_out(ring)
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(10))
    assert desk.figures["mode"] == "block"
    assert desk.figures["time_stamps"] == {"host": 10}


def test_block_mode_can_be_asked_for(desk):
    ring = desk.ring(limit=10)
    desk.read_out(ring, config(family=desk.rig.family, mode="block"))
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(10))
    assert desk.rig.calls("RunBlock") >= 10


def test_a_driver_that_takes_no_buffers_while_capturing_gets_them_afterwards(desk):
    desk.rig.set(refuse_buffers=1)
    ring = desk.ring(limit=40)
    desk.read_out(ring)
    assert np.array_equal(numbers_of(Events(ring).rest().events), np.arange(40))


def test_floats_are_volts(desk):
    dtype = np.dtype([("chA", "<f4", (50,)), ("chB", "<f4", (50,))])
    ring = desk.ring(limit=20, dtype=dtype)
    channels = {"A": {"range": "500 mV", "offset": "100 mV"}, "B": {"range": "1 V"}}
    desk.read_out(ring, config(family=desk.rig.family, channels=channels))
    counts = desk.ring(limit=20)
    if desk.rig.name == "python":
        desk.rig.script.captured = 0
    else:
        desk.rig.control.fake_reset()
    desk.read_out(counts, config(family=desk.rig.family, channels=channels))
    full = desk.figures["full_scale_counts"]
    found, raw = Events(ring).rest().events, Events(counts).rest().events
    assert np.allclose(found["chA"], raw["chA"] / full * 0.5 - 0.1, atol=1e-6)
    assert np.allclose(found["chB"], raw["chB"] / full, atol=1e-6)


def test_what_the_scope_has_really_set_is_told(desk):
    ring = desk.ring(limit=1)
    desk.read_out(ring)
    figures = desk.figures
    assert figures["sample_interval_ns"] == 4
    assert figures["pre_trigger_samples"] == 10
    full = figures["full_scale_counts"]
    assert full == {"ps4000a": 32767}.get(desk.rig.family, 32512)
    assert figures["trigger"]["level_counts"] == round(-0.03 / 0.5 * full)
    assert figures["channels"]["chB"]["range_V"] == 1
    assert figures["channels"]["chB"]["gain_V"] == pytest.approx(1 / full)
    assert figures["scope"]["serial"]


def test_options_arrive_at_the_scope(standin, tmp_path):
    desk = Desk(standin, tmp_path)
    trigger = {"source": "EXT", "level": "2.5 V", "edge": "rising", "delay": "400 ns", "auto": "1.5 s"}
    try:
        channels = {"A": {"range": "500 mV", "bandwidth": "20 MHz"}, "B": {"range": "1 V"}}
        generator = {"wave": "triangle", "frequency": "10 kHz", "amplitude": "2 V", "offset": "-0.5 V"}
        desk.read_out(desk.ring(limit=1), config(trigger=trigger, channels=channels, signal_generator=generator))
        arrived = {
            name: standin.get(f"trigger.{name}") for name in ("source", "threshold", "direction", "delay", "auto_ms")
        }
        assert arrived == {"source": 4, "threshold": 16384, "direction": 2, "delay": 100, "auto_ms": 1500}
        generated = [standin.get(f"generator.{name}") for name in ("wave", "frequency", "size", "offset")]
        assert generated == [2, 10_000, 2_000_000, -500_000]
        assert standin.get("bandwidth.A") == 1
        desk.read_out(desk.ring(limit=1), config(trigger={"source": "none"}))
        assert standin.get("trigger.enable") == 0
    finally:
        desk.close()


def test_being_told_to_stop_does_not_break_into_a_transfer(tmp_path):
    rig = PurePython()
    desk = Desk(rig, tmp_path)
    told = []

    def end(*_):
        told.append(True)
        raise RingEnding("told to stop")

    class Interrupted(FakeScope):
        def fetch(self, first, count, samples):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().fetch(first, count, samples)

    rig.driver = lambda: Interrupted(script=rig.script)
    before = signal.signal(signal.SIGTERM, end)
    ring = desk.ring()
    try:
        with _told_by_asking():
            desk.read_out(ring, look=lambda: bool(told))
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, before)
    numbers = numbers_of(Events(ring).rest().events)
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert len(numbers) >= 8
    desk.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_interval": "6 ns"}, "the scope offers 4 ns and 8 ns"),
        ({"channels": {"A": {"range": "50 V"}}, "trigger": {"source": "A", "level": 0}}, "range is not available"),
        ({"channels": {"A": {"range": "100 mV", "offset": "0.5 V"}, "B": {"range": "1 V"}},
          "trigger": {"source": "B", "level": 0}}, "an offset of 0.5 V is not possible"),
        ({"serial": "NO/1234"}, "NO/1234"),
    ],
)  # fmt: skip
def test_what_the_model_cannot_do_is_one_error_with_the_remedy(desk, options, message):
    dtype = np.dtype([(f"ch{letter}", "<i2", (50,)) for letter in options.get("channels", "AB")])
    ring = desk.ring(dtype=dtype)
    with pytest.raises(ScopeError, match=message):
        desk.read_out(ring, config(family=desk.rig.family, **options))


def test_a_scale_that_readers_were_not_told_is_refused(desk):
    if desk.rig.family == "ps6000":  # its library cannot be asked for the scale, which all models share
        return
    desk.rig.set(full_scale=32000)
    with pytest.raises(ScopeError, match="full_scale: 32000"):
        desk.read_out(desk.ring(limit=3))
    ring = desk.ring(limit=3)
    desk.read_out(ring, config(family=desk.rig.family, full_scale=32000))
    assert len(Events(ring).rest().events) == 3


def test_more_than_the_memory_holds_is_refused_with_what_would_fit(desk):
    dtype = np.dtype([(f"ch{letter}", "<i2", (100_000,)) for letter in "AB"])
    ring = desk.ring(slots=1, dtype=dtype)
    options = config(family=desk.rig.family, batch={"captures": 5000})
    with pytest.raises(ScopeError, match="Lower `captures` to 640"):
        desk.read_out(ring, options)


def test_a_scope_is_closed_whatever_happens(desk):
    desk.rig.set(unplug_after=20)
    with pytest.raises(ScopeError):
        desk.read_out(desk.ring(limit=60), config(family=desk.rig.family, on_disconnect="fail"))
    desk.rig.set(unplug_after=0)
    ring = desk.ring(limit=3)
    desk.read_out(ring)
    assert len(Events(ring).rest().events) == 3


class _Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        self._ns = 10**15

    def now_ns(self) -> int:
        return self._ns

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self._ns += int(seconds * 1e9)
