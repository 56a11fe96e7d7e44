"""A scope that does not exist, behind the driver's seam: for `driver: simulate` and for tests.

It answers wrong order with the status a scope would give, and follows a script of faults. Its time is a clock that
can be given.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mimodaq.picoscope import _status as st
from mimodaq.picoscope._driver import Counters, Masks, Offsets, Unit
from mimodaq.picoscope._families import FAMILIES, Family
from mimodaq.picoscope._signals import Counts, Pulses, Signal, View, overflow_masks
from mimodaq.picoscope._status import NoScopeError, check
from mimodaq.picoscope._values import GeneratorValues, Timebase

_MEMORY: Final = 128_000_000
_MOST_SEGMENTS: Final = 250_000
_SIMULATION_RANGES: Final = range(1, 11)
"""20 mV to 20 V: what most models have."""


@dataclass(slots=True)
class Script:
    """What happens to the scope. Numbers of captures count from the first one of all."""

    serials: tuple[str, ...] = ("SIM/0001",)
    signal: Signal = field(default_factory=Pulses)
    rate_hz: float = 0.0
    """Mean rate of triggers, random; 0: as fast as the scope can, without passing of time."""
    seed: int = 1
    stall_after: int = 0
    """No triggers after so many captures of a batch; 0: never."""
    unplug_after: int = 0
    """The scope is gone after so many captures; 0: never."""
    failed_opens: int = 0
    """How often opening fails before it is plugged in again."""
    power: int = 0
    """A status with which opening asks about the supply."""
    lost_status: int = st.NOT_RESPONDING
    """What an unplugged scope answers."""
    unplug_in_transfer: bool = False
    """The scope vanishes in the middle of a transfer instead of while it captures."""
    counter: bool = True
    """Whether the trigger counter counts."""
    no_segments: bool = False
    """A model without segmented memory."""
    refuse_buffers: bool = False
    """No buffers are taken while the scope captures."""
    full_scale: int = 0
    """Counts at the upper end of a range; 0: those of the family."""
    overflow_every: int = 0
    """Each so many-th capture reports an overflow of channel A; 0: as the signal has it."""
    transfer_ns_per_byte: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    """How often each call was made."""
    captured: int = 0
    """Captures of all batches so far."""
    is_unplugged: bool = False


class FakeScope:
    """One scope that is simulated."""

    def __init__(
        self,
        family: Family | None = None,
        script: Script | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.family = family or FAMILIES["ps3000a"]
        self.script = script or Script()
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._is_open = False
        self._rng = np.random.default_rng(self.script.seed)
        self._channels: dict[int, tuple[float, float]] = {}
        self._reset()

    def _reset(self) -> None:
        """Everything as after switching on: all channels are on."""
        self._bits = self.family.default_bits
        self._channels = dict.fromkeys(range(min(4, len(self.family.channels))), (5.0, 0.0))
        self._segments = self._wanted = 1
        self._buffers: dict[tuple[int, int], int] = {}
        self._done_ns: np.ndarray = np.zeros(0)
        self._is_running = self._has_data = False
        self._available = 0
        self._first = 0
        self._view: View | None = None

    def _called(self, name: str) -> None:
        """Count a call; raises what an absent scope answers."""
        self.script.calls[name] = self.script.calls.get(name, 0) + 1
        if not self._is_open:
            check(name, st.INVALID_HANDLE)
        if self.script.is_unplugged:
            check(name, self.script.lost_status)

    def _not_while_sampling(self, name: str) -> None:
        if self._is_running:
            check(name, st.SAMPLING)

    # -- which scope ------------------------------------------------------------------------------------------

    def units(self) -> list[str]:
        """Serial numbers of the scopes that are not open."""
        return [] if self._is_open or self.script.is_unplugged else list(self.script.serials)

    def open(self, serial: str | None, bits: int) -> Unit:
        """Open the scope."""
        self.script.calls["OpenUnit"] = self.script.calls.get("OpenUnit", 0) + 1
        if self.script.is_unplugged:
            if self.script.failed_opens > 0:
                self.script.failed_opens -= 1
                raise NoScopeError("opening a simulated scope: it is unplugged. Plug it in.")
            self.script.is_unplugged = False
            self.script.unplug_after = 0
            self.script.unplug_in_transfer = False
            self._is_open = False
        if serial is None and len(self.script.serials) > 1:
            raise NoScopeError(f"opening a simulated scope: there are {', '.join(self.script.serials)}. Say which.")
        if self._is_open or (serial is not None and serial not in self.script.serials):
            raise NoScopeError(f"opening a simulated scope: none with serial number {serial}. Correct `serial`.")
        if bits not in self.family.resolutions:
            check("OpenUnit", st.NOT_SUPPORTED)
        self._reset()
        self._is_open, self._bits = True, bits
        power = f"{st.meaning(self.script.power)}: {st.remedy(self.script.power)}" if self.script.power else ""
        return Unit(f"{self.family.name} (simulated)", serial or self.script.serials[0], "simulation", power=power)

    def close(self) -> None:
        """Close the scope."""
        self._is_open = False

    # -- settings -----------------------------------------------------------------------------------------------

    def full_scale(self) -> int:
        """Counts at the upper end of a range."""
        self._called("MaximumValue")
        return self.script.full_scale or self.family.full_scales[self._bits]

    def offset_limits(self, range_code: int, coupling: int) -> tuple[float, float]:
        """Lowest and highest offset in V."""
        self._called("GetAnalogueOffset")
        limit = 0.25 if range_code <= 4 else 2.5 if range_code <= 7 else 20.0
        return -limit, limit

    def set_channel(self, index: int, range_code: int, coupling: int, offset_v: float, bandwidth: int) -> None:
        """Switch a channel on."""
        self._called("SetChannel")
        self._not_while_sampling("SetChannel")
        if index >= len(self.family.channels):
            check("SetChannel", st.INVALID_CHANNEL)
        if range_code not in _SIMULATION_RANGES:
            check("SetChannel", 0xF)
        range_v = next(volts for volts, code in self.family.ranges.items() if code == range_code)
        self._channels[index] = (range_v, offset_v)

    def switch_off(self, index: int) -> None:
        """Switch a channel off."""
        self._called("SetChannel")
        self._channels.pop(index, None)

    def set_trigger(self, source: int | None, threshold: int, direction: int, delay: int, auto_ms: int) -> None:
        """Trigger on a source, or at once."""
        self._called("SetSimpleTrigger")

    def set_generator(self, values: GeneratorValues) -> None:
        """Start the signal generator."""
        self._called("SetSigGenBuiltIn")

    def timebase(self, number: int, samples: int) -> Timebase | None:
        """What a timebase number means: 1 GS/s shared by the channels."""
        self._called("GetTimebase2")
        if number < {1: 0, 2: 1}.get(len(self._channels), 2):
            return None
        interval = float(2**number if number < 3 else (number - 2) * 8)
        return Timebase(number, interval, self._samples_left())

    def _samples_left(self) -> int:
        return _MEMORY // self._segments

    def most_segments(self) -> int:
        """Most captures of a batch."""
        self._called("GetMaxSegments")
        return 1 if self.script.no_segments else _MOST_SEGMENTS

    def segment(self, segments: int) -> int:
        """Divide the memory."""
        self._called("MemorySegments")
        self._not_while_sampling("MemorySegments")
        if segments > _MOST_SEGMENTS:
            check("MemorySegments", st.TOO_MANY_SEGMENTS)
        self._segments = segments
        return self._samples_left()

    def set_captures(self, captures: int) -> None:
        """How many captures the next batches have."""
        self._called("SetNoOfCaptures")
        self._not_while_sampling("SetNoOfCaptures")
        if captures > self._segments:
            check("SetNoOfCaptures", 0x42)
        self._wanted = captures

    # -- data ---------------------------------------------------------------------------------------------------

    def register(self, index: int, address: int, stride: int, count: int, samples: int, first: int = 0) -> None:
        """Let captures of a channel go to memory at regular distances."""
        self._called("SetDataBuffer")
        if self.script.refuse_buffers:
            self._not_while_sampling("SetDataBuffer")
        if first + count > self._segments:
            check("SetDataBuffer", 0x26)
        for i in range(count):
            self._buffers[index, first + i] = address + i * stride

    def run(self, pre: int, post: int, timebase: int) -> None:
        """Begin a batch."""
        self._called("RunBlock")
        self._not_while_sampling("RunBlock")
        clock = self.timebase(timebase, pre + post)
        if clock is None:
            check("RunBlock", st.INVALID_TIMEBASE)
            return
        if (pre + post) * len(self._channels) > self._samples_left():
            check("RunBlock", 0x1D)
        on = sorted(self._channels)
        ranges, offsets = zip(*(self._channels[i] for i in on), strict=True)
        self._view = View(tuple(on), ranges, offsets, self.full_scale(), pre + post, pre, clock.interval_ns)
        self._first = self.script.captured
        self._is_running, self._has_data = True, False
        distances = self._window_ns() * np.ones(self._wanted)
        if self.script.rate_hz:
            distances = np.maximum(self._rng.exponential(1e9 / self.script.rate_hz, self._wanted), distances)
        else:
            distances[:] = 0.0
        self._since_ns = np.cumsum(np.maximum(distances, self._window_ns()))
        self._done_ns = self._clock_ns() + np.cumsum(distances)
        if self.script.stall_after:
            self._done_ns[self.script.stall_after :] = np.inf

    def _window_ns(self) -> float:
        assert self._view is not None
        return self._view.samples * self._view.interval_ns

    def is_ready(self) -> bool:
        """Whether the batch is complete."""
        self._called("IsReady")
        if not self._is_running:
            return self._has_data
        done = self._count_done()
        unplug = self.script.unplug_after if not self.script.unplug_in_transfer else 0
        if unplug and self._first + done >= unplug:
            self.script.is_unplugged = True
            self._called("IsReady")
        if done < self._wanted:
            return False
        self._complete(done)
        return True

    def _count_done(self) -> int:
        return int(np.searchsorted(self._done_ns, self._clock_ns(), side="right"))

    def _complete(self, captures: int) -> None:
        self._is_running, self._has_data = False, True
        self._available = captures
        self.script.captured = self._first + captures

    def stop(self) -> int:
        """End a batch; how many captures are complete."""
        self._called("Stop")
        if self._is_running:
            self._complete(self._count_done())
        return self._available

    def fetch(self, first: int, count: int, samples: int) -> Masks:
        """Transfer captures; the channels that have overflowed."""
        self._called("GetValuesBulk")
        self._not_while_sampling("GetValuesBulk")
        if not self._has_data:
            check("GetValuesBulk", st.NO_SAMPLES)
        if first + count > self._available:
            check("GetValuesBulk", 0x26)
        view = self._view
        assert view is not None
        data = self.script.signal.captures(self._first + first, count, view)
        for row, index in enumerate(view.indices):
            self._deliver(data[:, row, :], index, first)
            if self.script.unplug_in_transfer and self._first + first + count > self.script.unplug_after:
                self.script.is_unplugged = True
                self._called("GetValuesBulk")
        if self.script.transfer_ns_per_byte:
            self._sleep(data.nbytes * self.script.transfer_ns_per_byte / 1e9)
        masks = overflow_masks(data, view.indices, view.full_scale)
        if self.script.overflow_every:
            numbers = np.arange(self._first + first, self._first + first + count)
            masks |= (numbers % self.script.overflow_every == 0).astype(np.int16)
        return masks

    def _deliver(self, data: Counts, index: int, first: int) -> None:
        for i, waveform in enumerate(data, first):
            address = self._buffers.get((index, i))
            if address is None:
                check("GetValuesBulk", 0x46)
                return
            raw = np.ascontiguousarray(waveform)
            ctypes.memmove(address, raw.ctypes.data, raw.nbytes)

    def counters(self, first: int, count: int) -> Counters | None:
        """The trigger counters of captures."""
        self._called("GetTriggerInfoBulk")
        if not self.family.has_trigger_info or self._view is None or self._segments == 1:
            return None
        if not self.script.counter:
            return np.zeros(count, np.uint64)
        since = (self._since_ns - self._since_ns[0]) / self._view.interval_ns
        counters: Counters = since[first : first + count].astype(np.uint64)
        return counters

    def offsets_ns(self, first: int, count: int) -> Offsets | None:
        """Where the trigger was between two samples."""
        self._called("GetValuesTriggerTimeOffsetBulk64")
        numbers = np.arange(self._first + first, self._first + first + count)
        offsets: Offsets = np.asarray((100 + numbers % 7) * 1e-3, np.float64)
        return None if self._segments == 1 else offsets
