"""What a readout asks of a scope: the seam between decisions and the vendor's libraries.

Values are those of the drivers (codes, counts, samples), errors are those of `_status`: ScopeLostError when the scope
is gone, StatusError and NoScopeError otherwise. Two implementations reach hardware (`_sdk`, `_sdk6000`), one needs
none (`_fake`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mimodaq.picoscope._families import Family
from mimodaq.picoscope._values import GeneratorValues, Timebase

Masks = npt.NDArray[np.int16]
Counters = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.float64]

COUNTER_BITS = 56
"""Trigger counters are compared modulo 2**56."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The scope that was opened."""

    model: str
    serial: str
    driver: str
    """Version of the vendor's library."""
    firmware: str = ""
    usb: str = ""
    calibrated: str = ""
    power: str = ""
    """What the scope said about its power supply; empty: nothing."""

    def as_dict(self) -> dict[str, Any]:
        """For the record of the run."""
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}


class ScopeDriver(Protocol):
    """One scope of one family."""

    family: Family

    def units(self) -> list[str]:
        """Serial numbers of the scopes that no program has open; opens none."""

    def open(self, serial: str | None, bits: int) -> Unit:
        """Open the scope with that serial number, or the only one, with a resolution in bits."""

    def close(self) -> None:
        """Close the scope; nothing happens if it is closed or gone."""

    def full_scale(self) -> int:
        """Counts at the upper end of a range, for the present resolution."""

    def offset_limits(self, range_code: int, coupling: int) -> tuple[float, float]:
        """Lowest and highest offset in V."""

    def set_channel(self, index: int, range_code: int, coupling: int, offset_v: float, bandwidth: int) -> None:
        """Switch a channel on."""

    def switch_off(self, index: int) -> None:
        """Switch a channel off; one that the model lacks is off already."""

    def set_trigger(self, source: int | None, threshold: int, direction: int, delay: int, auto_ms: int) -> None:
        """Trigger on a source; None: capture at once."""

    def set_generator(self, values: GeneratorValues) -> None:
        """Start the signal generator."""

    def timebase(self, number: int, samples: int) -> Timebase | None:
        """What a timebase number means with the present channels; None: not available."""

    def most_segments(self) -> int:
        """Most captures of a batch; 1: the model has no segmented memory."""

    def segment(self, segments: int) -> int:
        """Divide the memory; gives the samples of a segment, which the channels share."""

    def set_captures(self, captures: int) -> None:
        """How many captures the next batches have."""

    def register(self, index: int, address: int, stride: int, count: int, samples: int, first: int = 0) -> None:
        """Let captures `first`... of a channel go to `address`, `address + stride`, ... (`count` of them)."""

    def run(self, pre: int, post: int, timebase: int) -> None:
        """Begin a batch."""

    def is_ready(self) -> bool:
        """Whether the batch is complete."""

    def stop(self) -> int:
        """End a batch; gives how many captures are complete."""

    def fetch(self, first: int, count: int, samples: int) -> Masks:
        """Transfer captures to their buffers; gives the channels that have overflowed, a bit mask for each capture.

        The masks are valid until the next transfer.
        """

    def counters(self, first: int, count: int) -> Counters | None:
        """The hardware's trigger counters (samples since the first capture); None: the scope has none.

        They are valid until they are asked for again.
        """

    def offsets_ns(self, first: int, count: int) -> Offsets | None:
        """Where the trigger was between two samples, in ns; None: not available."""
