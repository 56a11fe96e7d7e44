"""The families ps2000a, ps3000a, ps4000a and ps5000a through picosdk: one adapter, driven by the table of families."""

from __future__ import annotations

import ctypes as c
from typing import Any, Final

import numpy as np

from mimodaq.picoscope import _status as st
from mimodaq.picoscope._absent import nobody, refuse_to_guess
from mimodaq.picoscope._driver import Counters, Masks, Offsets, Unit
from mimodaq.picoscope._families import Family
from mimodaq.picoscope._load import load_family
from mimodaq.picoscope._status import NoScopeError, check
from mimodaq.picoscope._values import GeneratorValues, Timebase

NO_RATIO: Final = 0
_INFO: Final = {"driver": 0, "usb": 1, "model": 3, "serial": 4, "calibrated": 5, "firmware": 9}
_TEXT: Final = 256
_LIST: Final = 4096
_FEMTO_TO_NS: Final = 1e-6

TRIGGER_INFO: Final = np.dtype(
    [
        ("status", "<u4"),
        ("segment", "<u4"),
        ("index", "<u4"),
        ("time", "<i8"),
        ("units", "<i2"),
        ("reserved", "<i2"),
        ("counter", "<u8"),
    ]
)
"""The vendor's packed structure; picosdk has none for every family."""


class SdkScope:
    """A scope behind the vendor's library."""

    _always_bulk = False
    """Whether even a single capture is fetched by the call for many."""

    def __init__(self, family: Family, library: str | None = None) -> None:
        self.family = family
        self.lib: Any = load_family(family, library)
        self._handle = 0
        self._word16 = c.c_int16()
        self._word32 = c.c_uint32()
        self._ref16, self._ref32 = c.byref(self._word16), c.byref(self._word32)
        self._divide(1)
        self._bind()

    def _bind(self) -> None:
        """Look up what is called for every batch."""
        self._run_block, self._is_ready = self.call("RunBlock"), self.call("IsReady")
        self._get_bulk, self._set_buffer = self.call("GetValuesBulk"), self.call("SetDataBuffer")
        self._oversample = (1,) if self.family.has_oversample else ()

    def call(self, name: str) -> Any:
        """A function of the library by the vendor's name without the prefix."""
        return getattr(self.lib, f"{self.family.name}{name}")

    def do(self, name: str, *arguments: Any) -> None:
        """Call a function on the open scope; raises what its status means."""
        check(name, self.call(name)(self._handle, *arguments))

    # -- which scope ------------------------------------------------------------------------------------------

    def units(self) -> list[str]:
        """Serial numbers of the scopes that no program has open."""
        text, length = c.create_string_buffer(_LIST), c.c_int16(_LIST)
        status = self.call("EnumerateUnits")(self._ref16, text, c.byref(length))
        if status != st.NOT_FOUND:
            check("EnumerateUnits", status)
        return [serial for serial in text.value.decode(errors="replace").split(",") if serial.strip()]

    def open(self, serial: str | None, bits: int) -> Unit:
        """Open a scope, accepting the power supply it has."""
        if serial is None:
            refuse_to_guess(self.family, self.units())
        status = self._open(serial.encode() if serial else None, self.family.resolutions[bits])
        self._handle = self._word16.value
        power = ""
        if status in st.POWER_QUESTIONS and self._handle > 0 and self.family.has_power_source:
            power = f"{st.meaning(status)}: {st.remedy(status)}"
            status = self.call("ChangePowerSource")(self._handle, status)
        if status or self._handle <= 0:
            handle = self._handle
            self.close()
            if status in (st.OK, st.NOT_FOUND) or not handle:
                raise NoScopeError(nobody(self.family, serial, self.units()))
            check("OpenUnit", status)
        return Unit(**{name: self.info(code) for name, code in _INFO.items()}, power=power)

    def _open(self, serial: bytes | None, resolution: int) -> int:
        more = (resolution,) if self.family.opens_with_resolution else ()
        return int(self.call("OpenUnit")(self._ref16, serial, *more))

    def info(self, what: int) -> str:
        """One line of information about the open scope; without one the library tells its version only."""
        text, needed = c.create_string_buffer(_TEXT), c.c_int16()
        status = self.call("GetUnitInfo")(self._handle, text, _TEXT, c.byref(needed), what)
        return "" if status else text.value.decode(errors="replace")

    def driver_version(self) -> str:
        """Version of the library, which it tells without a scope; empty if it does not."""
        return self.info(_INFO["driver"])

    def close(self) -> None:
        """Stop and close; a scope that is gone needs no closing."""
        handle, self._handle = self._handle, 0
        if handle > 0:
            self.call("Stop")(handle)
            self.call("CloseUnit")(handle)

    # -- settings -----------------------------------------------------------------------------------------------

    def full_scale(self) -> int:
        """Counts at the upper end of a range."""
        self.do("MaximumValue", self._ref16)
        return self._word16.value

    def offset_limits(self, range_code: int, coupling: int) -> tuple[float, float]:
        """Lowest and highest offset in V."""
        high, low = c.c_float(), c.c_float()
        self.do("GetAnalogueOffset", range_code, coupling, c.byref(high), c.byref(low))
        return low.value, high.value

    def set_channel(self, index: int, range_code: int, coupling: int, offset_v: float, bandwidth: int) -> None:
        """Switch a channel on."""
        self.do("SetChannel", index, 1, coupling, range_code, offset_v)
        if self.family.bandwidths:
            self.do("SetBandwidthFilter", index, bandwidth)

    def switch_off(self, index: int) -> None:
        """Switch a channel off."""
        status = self.call("SetChannel")(self._handle, index, 0, 1, 8, 0.0)
        if status != st.INVALID_CHANNEL:
            check("SetChannel", status)

    def set_trigger(self, source: int | None, threshold: int, direction: int, delay: int, auto_ms: int) -> None:
        """Trigger on a source, or at once."""
        on = source is not None
        self.do("SetSimpleTrigger", int(on), source or 0, threshold, direction, delay, auto_ms)

    def set_generator(self, values: GeneratorValues) -> None:
        """Start the signal generator."""
        f = values.frequency_hz
        self.do(
            self.family.generator,
            values.offset_uv,
            values.amplitude_uv,
            values.wave,
            f,
            f,
            0.0,
            0.0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        )

    def timebase(self, number: int, samples: int) -> Timebase | None:
        """What a timebase number means."""
        interval, most = c.c_float(), c.c_int32()
        status = self.call("GetTimebase2")(
            self._handle, number, samples, c.byref(interval), *self._oversample, c.byref(most), 0
        )
        if status == st.INVALID_TIMEBASE:
            return None
        check("GetTimebase2", status)
        return Timebase(number, interval.value, most.value)

    def most_segments(self) -> int:
        """Most captures of a batch."""
        status = self.call("GetMaxSegments")(self._handle, self._ref32)
        if status in st.NO_SEGMENTS:
            return 1
        check("GetMaxSegments", status)
        return self._word32.value

    def segment(self, segments: int) -> int:
        """Divide the memory."""
        most = c.c_int32()
        self.do("MemorySegments", segments, c.byref(most))
        self._divide(segments)
        return most.value

    def _divide(self, segments: int) -> None:
        """Note the number of segments, and have places for what is told of as many captures."""
        self._segments = segments
        self._info = np.zeros(segments, TRIGGER_INFO)
        self._at_info = self._info.ctypes.data
        self._masks = np.zeros(segments, np.int16)
        self._at_masks = self._masks.ctypes.data

    def set_captures(self, captures: int) -> None:
        """How many captures the next batches have."""
        self.do("SetNoOfCaptures", captures)

    # -- data ---------------------------------------------------------------------------------------------------

    def register(self, index: int, address: int, stride: int, count: int, samples: int, first: int = 0) -> None:
        """Let captures of a channel go to memory at regular distances."""
        set_buffer, handle = self._set_buffer, self._handle
        for i in range(first, first + count):
            status = set_buffer(handle, index, address, samples, i, NO_RATIO)
            if status:
                check("SetDataBuffer", status)
            address += stride

    def run(self, pre: int, post: int, timebase: int) -> None:
        """Begin a batch."""
        status = self._run_block(self._handle, pre, post, timebase, *self._oversample, None, 0, None, None)
        if status:
            check("RunBlock", status)

    def is_ready(self) -> bool:
        """Whether the batch is complete."""
        status = self._is_ready(self._handle, self._ref16)
        if status:
            check("IsReady", status)
        return self._word16.value != 0

    def stop(self) -> int:
        """End a batch; how many captures are complete."""
        self.do("Stop")
        self.do("GetNoOfCaptures", self._ref32)
        return self._word32.value

    def fetch(self, first: int, count: int, samples: int) -> Masks:
        """Transfer captures; the channels that have overflowed (valid until the next transfer)."""
        self._word32.value = samples
        if self._segments == 1 and not self._always_bulk:
            status = self.call("GetValues")(self._handle, 0, self._ref32, 1, NO_RATIO, 0, self._at_masks)
        else:
            status = self._get_bulk(self._handle, self._ref32, first, first + count - 1, 1, NO_RATIO, self._at_masks)
        if status:
            check("GetValuesBulk", status)
        complain_if_short(self._word32.value, samples)
        return self._masks[:count]

    def counters(self, first: int, count: int) -> Counters | None:
        """The trigger counters of captures (valid until they are asked for again)."""
        if not self.family.has_trigger_info or self._segments == 1:
            return None
        status = self.call("GetTriggerInfoBulk")(self._handle, self._at_info, first, first + count - 1)
        if status in st.LOST:
            check("GetTriggerInfoBulk", status)
        return None if status & ~st.STAMPS_RESET else self._info["counter"][:count]

    def offsets_ns(self, first: int, count: int) -> Offsets | None:
        """Where the trigger was between two samples."""
        if self._segments == 1:
            return None
        times, units = np.zeros(count, np.int64), np.zeros(count, np.int32)
        status = self.call("GetValuesTriggerTimeOffsetBulk64")(
            self._handle, times.ctypes.data, units.ctypes.data, first, first + count - 1
        )
        if status in st.LOST:
            check("GetValuesTriggerTimeOffsetBulk64", status)
        result: Offsets = times * 1000.0**units * _FEMTO_TO_NS
        return None if status else result


def complain_if_short(got: int, asked: int) -> None:
    """Raise ScopeError when a transfer has brought fewer samples than the capture has."""
    if got != asked:
        raise st.ScopeError(
            f"transferring captures: {got} samples came where {asked} were asked for. Lower `samples`, "
            "or report this with the model of the scope."
        )
