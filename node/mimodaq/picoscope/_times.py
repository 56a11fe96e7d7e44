"""When the events of a batch happened, and how well that is known. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mimodaq.picoscope._driver import COUNTER_BITS, Counters

HARDWARE: Final = 1
"""Times within the batch are counted by the scope; the whole batch may be off by the time between two looks."""
INTERPOLATED: Final = 2
"""Spread evenly over the batch: the order is right, a single time may be off by the length of the batch."""
HOST: Final = 3
"""The host saw this event come; off by the time between two looks."""
QUALITIES: Final = {HARDWARE: "hardware counter", INTERPOLATED: "interpolated", HOST: "host"}

_MASK: Final = np.uint64(2**COUNTER_BITS - 1)
_HALF: Final = np.uint64(2 ** (COUNTER_BITS - 1) - 1)
_ONE: Final = np.uint64(1)


def is_counting(counters: Counters | None) -> bool:
    """Whether trigger counters are what they should be: growing. Some models answer, but do not count."""
    if counters is None or len(counters) < 2:
        return counters is not None
    steps = (counters[1:] - counters[:-1]) & _MASK
    return bool((steps - _ONE < _HALF - _ONE).all())  # 0 < step < half; 0 - 1 is very large


def event_times(
    captures: int,
    is_complete: bool,
    armed_utc_s: float,
    ended_utc_s: float,
    counters: Counters | None,
    interval_ns: float,
    post_ns: float,
) -> tuple[npt.NDArray[np.float64], int]:
    """Trigger times in s UTC of all captures of a batch, and their quality.

    The last capture of a complete batch has ended it, and none was before arming. In a batch that was stopped, the
    captures lie anywhere between arming and stopping: the middle is taken.
    """
    last = ended_utc_s - post_ns / 1e9
    if captures == 1:
        return np.array([last if is_complete else (armed_utc_s + last) / 2]), HOST
    if counters is None:
        ends = last if is_complete else ended_utc_s
        steps = np.arange(1, captures + 1) / (captures if is_complete else captures + 1)
        return armed_utc_s + (ends - armed_utc_s) * steps, INTERPOLATED
    since_first = ((counters - counters[0]) & _MASK).astype(np.float64) * (interval_ns / 1e9)
    span = float(since_first[-1])
    if not is_complete:
        last = armed_utc_s + span + max(0.0, ended_utc_s - armed_utc_s - span) / 2
    return max(armed_utc_s, last - span) + since_first, HARDWARE
