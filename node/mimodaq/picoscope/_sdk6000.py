"""The families ps6000 and ps6000a through picosdk: the same steps, other calls."""

from __future__ import annotations

import ctypes as c
from typing import Final

import numpy as np

from mimodaq.picoscope import _status as st
from mimodaq.picoscope._driver import Counters, Masks, Offsets
from mimodaq.picoscope._families import EXTERNAL_FULL_SCALE, Family
from mimodaq.picoscope._sdk import NO_RATIO, SdkScope, complain_if_short
from mimodaq.picoscope._status import check
from mimodaq.picoscope._values import GeneratorValues, Timebase

_INT16: Final = 1
"""Data type of a buffer."""
_CLEAR_ALL: Final = 1
_ADD: Final = 2
_FEMTO_TO_NS: Final = 1e-6
_DC_WAVE: Final = 0x400
_FIRST_WAVE: Final = 0x11
_WIDE_TRIGGER_INFO: Final = np.dtype(
    [
        ("status", "<u4"),
        ("segment", "<u8"),
        ("index", "<u8"),
        ("time", "<f8"),
        ("units", "<u4"),
        ("missed", "<u8"),
        ("counter", "<u8"),
    ]
)


class Sdk6000Scope(SdkScope):
    """A PicoScope 6000: bulk buffers by a call of their own, bandwidth with the channel."""

    _always_bulk = True

    def _bind(self) -> None:
        super()._bind()
        self._set_buffer = self.call("SetDataBufferBulk")

    def set_channel(self, index: int, range_code: int, coupling: int, offset_v: float, bandwidth: int) -> None:
        """Switch a channel on."""
        self.do("SetChannel", index, 1, coupling, range_code, offset_v, bandwidth)

    def switch_off(self, index: int) -> None:
        """Switch a channel off."""
        status = self.call("SetChannel")(self._handle, index, 0, 1, 8, 0.0, 0)
        if status != st.INVALID_CHANNEL:
            check("SetChannel", status)

    def full_scale(self) -> int:
        """Counts at the upper end of a range: the same for all models, and not to be asked for through picosdk."""
        return next(iter(self.family.full_scales.values()))

    def most_segments(self) -> int:
        """Most captures of a batch; the library has no call for it, MemorySegments refuses too many."""
        return 1_000_000

    def register(self, index: int, address: int, stride: int, count: int, samples: int, first: int = 0) -> None:
        """Let captures of a channel go to memory at regular distances."""
        for i in range(first, first + count):
            status = self._set_buffer(self._handle, index, address, samples, i, NO_RATIO)
            if status:
                check("SetDataBufferBulk", status)
            address += stride


class Sdk6000aScope(SdkScope):
    """A PicoScope 6000E: 64-bit counts, channels switched by two calls, buffers added to a list."""

    def _bind(self) -> None:
        super()._bind()
        self._word64 = c.c_uint64()
        self._ref64 = c.byref(self._word64)
        self._is_listed: set[int] = set()

    def full_scale(self) -> int:
        """Counts at the upper end of a range."""
        resolution, low = c.c_uint32(), c.c_int16()
        self.do("GetDeviceResolution", c.byref(resolution))
        self.do("GetAdcLimits", resolution.value, c.byref(low), self._ref16)
        return self._word16.value

    def offset_limits(self, range_code: int, coupling: int) -> tuple[float, float]:
        """Lowest and highest offset in V."""
        high, low = c.c_double(), c.c_double()
        self.do("GetAnalogueOffsetLimits", range_code, coupling, c.byref(high), c.byref(low))
        return low.value, high.value

    def set_channel(self, index: int, range_code: int, coupling: int, offset_v: float, bandwidth: int) -> None:
        """Switch a channel on."""
        self.do("SetChannelOn", index, coupling, range_code, offset_v, bandwidth)

    def switch_off(self, index: int) -> None:
        """Switch a channel off."""
        status = self.call("SetChannelOff")(self._handle, index)
        if status != st.INVALID_CHANNEL:
            check("SetChannelOff", status)

    def set_trigger(self, source: int | None, threshold: int, direction: int, delay: int, auto_ms: int) -> None:
        """Trigger on a source, or at once; the automatic trigger is in µs here."""
        threshold = max(-EXTERNAL_FULL_SCALE, min(EXTERNAL_FULL_SCALE, threshold))
        on = source is not None
        self.do("SetSimpleTrigger", int(on), source or 0, threshold, direction, delay, 1000 * auto_ms)

    def set_generator(self, values: GeneratorValues) -> None:
        """Start the signal generator."""
        wave = _DC_WAVE if values.wave == 8 else _FIRST_WAVE + values.wave
        self.do("SigGenWaveform", wave, None, 0)
        self.do("SigGenRange", values.amplitude_uv / 1e6, values.offset_uv / 1e6)
        self.do("SigGenFrequency", values.frequency_hz)
        words = [c.c_double(values.frequency_hz), c.c_double(values.frequency_hz), c.c_double(), c.c_double()]
        self.do("SigGenApply", 1, 0, 0, 1, 0, *map(c.byref, words))

    def timebase(self, number: int, samples: int) -> Timebase | None:
        """What a timebase number means."""
        interval = c.c_double()
        status = self.call("GetTimebase")(self._handle, number, samples, c.byref(interval), self._ref64, 0)
        if status == st.INVALID_TIMEBASE:
            return None
        check("GetTimebase", status)
        return Timebase(number, interval.value, self._word64.value)

    def most_segments(self) -> int:
        """Most captures of a batch; MemorySegments refuses too many."""
        return 1_000_000

    def segment(self, segments: int) -> int:
        """Divide the memory."""
        self.do("MemorySegments", segments, self._ref64)
        self._divide(segments)
        return self._word64.value

    def register(self, index: int, address: int, stride: int, count: int, samples: int, first: int = 0) -> None:
        """Let captures of a channel go to memory at regular distances; a channel seen again begins a new list."""
        action = _ADD
        if index in self._is_listed or not self._is_listed:
            self._is_listed.clear()
            action |= _CLEAR_ALL
        self._is_listed.add(index)
        for i in range(first, first + count):
            check(
                "SetDataBuffer",
                self._set_buffer(self._handle, index, address, samples, _INT16, i, NO_RATIO, action),
            )
            action = _ADD
            address += stride

    def run(self, pre: int, post: int, timebase: int) -> None:
        """Begin a batch."""
        check("RunBlock", self._run_block(self._handle, pre, post, timebase, None, 0, None, None))

    def stop(self) -> int:
        """End a batch; how many captures are complete."""
        self.do("Stop")
        self.do("GetNoOfCaptures", self._ref64)
        return self._word64.value

    def fetch(self, first: int, count: int, samples: int) -> Masks:
        """Transfer captures; the channels that have overflowed (valid until the next transfer)."""
        self._word64.value = samples
        last = first + count - 1
        check(
            "GetValuesBulk",
            self._get_bulk(self._handle, 0, self._ref64, first, last, 1, NO_RATIO, self._at_masks),
        )
        complain_if_short(self._word64.value, samples)
        return self._masks[:count]

    def counters(self, first: int, count: int) -> Counters | None:
        """The trigger counters of captures."""
        info = np.zeros(count, _WIDE_TRIGGER_INFO)
        status = self.call("GetTriggerInfo")(self._handle, info.ctypes.data, first, count)
        if status in st.LOST:
            check("GetTriggerInfo", status)
        return None if status & ~st.STAMPS_RESET else info["counter"].copy()

    def offsets_ns(self, first: int, count: int) -> Offsets | None:
        """Where the trigger was between two samples."""
        times, units = np.zeros(count, np.int64), np.zeros(count, np.int32)
        status = self.call("GetValuesTriggerTimeOffsetBulk")(
            self._handle, times.ctypes.data, units.ctypes.data, first, first + count - 1
        )
        if status in st.LOST:
            check("GetValuesTriggerTimeOffsetBulk", status)
        result: Offsets = times * 1000.0**units * _FEMTO_TO_NS
        return None if status else result


def open_driver(family: Family, library: str | None) -> SdkScope:
    """The adapter for a family."""
    adapters: dict[str, type[SdkScope]] = {"ps6000": Sdk6000Scope, "ps6000a": Sdk6000aScope}
    return adapters.get(family.name, SdkScope)(family, library)
