"""Captures from the scope's memory into slots of the buffer, with everything that is known about each of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.picoscope._arrange import Arrangement
from mimodaq.picoscope._books import DEAD, Books
from mimodaq.picoscope._driver import Counters, Masks, Offsets, ScopeDriver
from mimodaq.picoscope._fields import Fields
from mimodaq.picoscope._io import Writer
from mimodaq.picoscope._readout import Batch, Readout
from mimodaq.picoscope._times import QUALITIES, event_times, is_counting
from mimodaq.picoscope._values import gain_and_offset
from mimodaq.ring import Batch as Slots

COPY_BELOW_BYTES: Final = 4096
"""Waveforms shorter than this are copied: that takes less time than to register a buffer for each (1.2 µs)."""
_AHEAD_BATCHES: Final = 32
_AHEAD_SLOTS: Final = 512
"""Slots for several small batches are claimed at once (a new run of them costs 80 µs, a commit inside one 6 µs) ..."""
_AHEAD_PART: Final = 8
"""... but at most this part of the buffer, which counts as filled."""
_UNITS: Final = {"V": 1.0, "mV": 1000.0}


class Publisher:
    """Moves captures; not to be shared by threads.

    Counts go straight into the slots: they are registered as the driver's memory. Volts, and counts of short
    waveforms, are made from what the driver leaves in memory of our own, after the scope is armed again.
    """

    def __init__(
        self,
        fields: Fields,
        writer: Writer,
        unit: str,
        log: logging.Logger,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._fields = fields
        self._writer = writer
        self._factor = _UNITS[unit]
        self._log = log
        self._utc_ns = utc_ns
        dtype = writer.dtype
        self._stride = dtype.itemsize
        assert dtype.fields is not None
        self._offsets = [dtype.fields[channel.name][1] for channel in fields.channels]
        self._needs_count = "trigger_count" in fields.numbers
        self._needs_offset = "trigger_offset_ns" in fields.numbers
        self._is_counting = True
        self._memory: npt.NDArray[np.int16] | None = None
        self._slots: Slots | None = None
        self._most_ahead = min(_AHEAD_SLOTS, writer.slots // _AHEAD_PART)
        self._ahead = 0
        """Slots that can be claimed at once, as far as is known."""
        self._overflows = dict.fromkeys((channel.name for channel in fields.channels), 0)
        self._qualities = dict.fromkeys(QUALITIES.values(), 0)
        self._events = 0
        self._armed_utc_ns = self._batch_utc_ns = 0

    def adopt(self, arrangement: Arrangement, driver: ScopeDriver) -> None:
        """Use a scope that was just set up."""
        self._arrangement = arrangement
        self._driver = driver
        self._is_counting = driver.family.has_trigger_info
        full_scale = arrangement.full_scale
        self._scales = [gain_and_offset(channel, full_scale) for channel in self._fields.channels]
        if not self._fields.is_counts or 2 * arrangement.samples < COPY_BELOW_BYTES:
            shape = (arrangement.captures, len(self._fields.channels), arrangement.samples)
            self._memory = np.zeros(shape, np.int16)
            stride = self._memory.strides[0]
            for row, channel in enumerate(self._fields.channels):
                address = self._memory[0, row].ctypes.data
                driver.register(channel.index, address, stride, arrangement.captures, arrangement.samples)

    def armed(self) -> None:
        """Note the time of day: a batch begins."""
        self._armed_utc_ns = self._utc_ns()

    def claim(self, count: int, timeout_s: float) -> int:
        """Claim up to `count` slots; how many there are. Raises RingFull, RingEnding.

        Small batches take them out of a longer run of slots. A reader that waits finds what is committed by itself, or
        calls this writer to the lock.
        """
        wanted = count if self._ahead >= count else max(count, min(_AHEAD_BATCHES * count, self._most_ahead))
        self._slots = self._writer.claim(wanted, timeout_s, afresh=True)
        found = len(self._slots.counter)
        self._ahead = max(self._ahead, found)
        return min(count, found)

    def register(self, first: int, count: int) -> None:
        """Let captures `first`... go into the claimed slots."""
        if self._memory is not None or self._slots is None:
            return
        address = self._slots.events.ctypes.data
        for channel, offset in zip(self._fields.channels, self._offsets, strict=True):
            self._driver.register(
                channel.index, address + offset, self._stride, count, self._arrangement.samples, first
            )

    def fetch(self, batch: Batch, first: int, count: int) -> None:
        """Transfer captures of `batch`, and what the scope knows about them: all that must be done before arming."""
        driver, samples = self._driver, self._arrangement.samples
        self._masks: Masks = driver.fetch(first, count, samples)
        self._batch, self._first, self._count = batch, first, count
        if first == 0:
            self._batch_utc_ns = self._armed_utc_ns
            self._counters: Counters | None = None
            if self._is_counting and (batch.captures > 1 or self._needs_count):
                self._counters = driver.counters(0, batch.captures)
            self._times: npt.NDArray[np.float64] | None = None
        self._trigger_offsets: Offsets | None = driver.offsets_ns(first, count) if self._needs_offset else None

    def publish(self, books: Books) -> None:
        """Commit what was fetched."""
        slots, batch = self._slots, self._batch
        assert slots is not None
        some = slice(self._first, self._first + self._count)
        events = slots.events[: self._count]
        if self._memory is not None:
            self._convert(events, self._memory[some])
        if self._times is None:
            self._look_at_counters(batch)
            self._times, self._quality = self._timing(batch)
        slots.timestamp[: self._count] = self._times[some]
        slots.deadtime[: self._count] = batch.dead_ns / max(1, batch.dead_ns + batch.live_ns)
        if self._fields.numbers:
            self._fill_numbers(events, some, books)
        if np.count_nonzero(self._masks):
            self._note_overflows()
        self._writer.commit_batch(self._count)
        self._ahead = max(0, self._ahead - self._count)
        self._slots = None
        self._events += self._count
        self._qualities[QUALITIES[self._quality]] += self._count

    def _convert(self, events: npt.NDArray[Any], counts: npt.NDArray[np.int16]) -> None:
        for row, (channel, (gain, zero)) in enumerate(zip(self._fields.channels, self._scales, strict=True)):
            out = events[channel.name]
            if self._fields.is_counts:
                out[...] = counts[:, row]
                continue
            np.multiply(counts[:, row], out.dtype.type(gain * self._factor), out=out)
            if zero:
                out += out.dtype.type(zero * self._factor)

    def _look_at_counters(self, batch: Batch) -> None:
        """Use counters only as long as they count; looked at here, as the scope is armed again by now."""
        asked = self._is_counting and (batch.captures > 1 or self._needs_count)
        if asked and not is_counting(self._counters):
            self._is_counting, self._counters = False, None
            self._log.warning("the scope's trigger counter does not count: times within a batch are interpolated")

    def _timing(self, batch: Batch) -> tuple[npt.NDArray[np.float64], int]:
        armed = self._batch_utc_ns
        return event_times(
            batch.captures,
            batch.is_complete,
            armed / 1e9,
            (armed + batch.ended_ns - batch.armed_ns) / 1e9,
            self._counters if batch.captures > 1 else None,
            self._arrangement.timebase.interval_ns,
            self._arrangement.post * self._arrangement.timebase.interval_ns,
        )

    def _fill_numbers(self, events: npt.NDArray[Any], some: slice, books: Books) -> None:
        known: Mapping[str, Any] = {
            "overflow": self._masks,
            "quality": self._quality,
            "trigger_count": 0 if self._counters is None else self._counters[some],
            "trigger_offset_ns": 0.0 if self._trigger_offsets is None else self._trigger_offsets,
            "batch": self._batch.number,
            "live_ns": books.live_ns,
            "dead_ns": books.dead_ns,
        }
        for name in self._fields.numbers:
            events[name][:, 0] = known[name]

    def _note_overflows(self) -> None:
        for channel in self._fields.channels:
            hits = int(np.count_nonzero(self._masks & (1 << channel.index)))
            if hits and not self._overflows[channel.name]:
                low, high = -channel.range_v - channel.offset_v, channel.range_v - channel.offset_v
                self._log.warning("channel %s has left its range of %g to %g V", channel.name, low, high)
            self._overflows[channel.name] += hits

    def figures(self, readout: Readout, now_ns: int) -> dict[str, Any]:
        """What is to be told about the readout in the record of the run."""
        books = readout.books
        whole = books.live_ns + books.dead_ns
        utc = self._utc_ns() - now_ns
        return {
            "events": self._events,
            "batches": readout.batches,
            "batches_stopped": readout.stopped_batches,
            "captures_discarded": readout.discarded,
            "live_ns": books.live_ns,
            "dead_ns": {cause: books.accounts[cause] for cause in DEAD},
            "paused_ns": books.accounts["paused"],
            "gap_ns": books.accounts["gap"],
            "live_time_fraction": books.live_ns / whole if whole else 0.0,
            "gaps": [
                {
                    "begin": _utc(utc + gap.begin_ns),
                    "end": _utc(utc + gap.end_ns),
                    "seconds": (gap.end_ns - gap.begin_ns) / 1e9,
                    "reason": gap.reason,
                    "captures_lost": gap.captures_lost,
                }
                for gap in readout.gaps
            ],
            "overflows": self._overflows,
            "time_stamps": {name: n for name, n in self._qualities.items() if n},
        }


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="microseconds")
