"""Peaks of all channels of an event: tagged, grouped by time, matched against signatures, cut out.

A *peak* is what `scipy.signal.find_peaks` calls one: a local maximum that stands out by its prominence, is
wide enough, and has no higher neighbour within a given distance. The grouping and matching of peaks
(`correlate_peaks`, `match_signature`) follows mimoCoRB's example filters: one row per time, one column per
channel.

Pure functions of arrays; nothing here knows about buffers. scipy is imported on first use, to keep start-up
short.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics import _scipy
from mimodaq.functions.physics._rows import find_peaks_fast
from mimodaq.functions.physics._scipy import FloatArray, IntArray, Properties

Signature = Sequence[Sequence[str]]

CUT_MV: Final = 10.0
"""Level above the analogue offset at which mimoCoRB cuts a pulse for its integral."""


def tag_peaks(
    waveforms: Mapping[str, npt.ArrayLike] | np.void | npt.NDArray[Any],
    prominence: float,
    distance: float,
    width: float,
) -> tuple[dict[str, IntArray], dict[str, Properties]]:
    """Find the peaks of every channel of an event.

    `waveforms` is a record, a structured array of samples as in mimoCoRB, or a mapping of channel to samples.
    Returns positions and properties (as `find_peaks_fast`) by channel.
    """
    names = waveforms.keys() if isinstance(waveforms, Mapping) else waveforms.dtype.names or ()
    found = {name: find_peaks_fast(waveforms[name], prominence, distance, width) for name in names}
    return {name: peaks for name, (peaks, _) in found.items()}, {name: more for name, (_, more) in found.items()}


def group_peaks(
    positions: Sequence[Sequence[int] | IntArray], tolerance: float, most: int | None = None
) -> npt.NDArray[np.int32]:
    """Group peaks of several channels by time; the core of `correlate_peaks`.

    Rows are built from early to late: the earliest peak not yet used opens a row, and the next unused peak of
    every other channel joins it if it is less than `tolerance` samples away; at most `most` rows are made.
    Returns int32 of shape (rows, channels): the index of the peak in its channel, -1 where a channel has
    none.
    """
    waiting = [[int(position) for position in channel] for channel in positions]
    used = [0] * len(waiting)
    rows: list[list[int]] = []
    while True:
        heads = [channel[k] if k < len(channel) else None for channel, k in zip(waiting, used, strict=True)]
        earliest = min((head for head in heads if head is not None), default=None)
        if earliest is None or len(rows) == most:
            return np.array(rows, dtype=np.int32).reshape(len(rows), len(waiting))
        row = [-1] * len(waiting)
        for channel, head in enumerate(heads):
            if head is not None and (head == earliest or head - earliest < tolerance):
                row[channel] = used[channel]
                used[channel] += 1
        rows.append(row)


def correlate_peaks(peaks: Mapping[str, IntArray], tolerance: float) -> npt.NDArray[Any]:
    """Group the peaks of all channels into rows of peaks at the same time.

    `peaks` are the positions `tag_peaks` gives. Returns a structured array, one row per group in order of
    time, one int32 field per channel: the index of the peak in its channel, -1 for none. See `group_peaks`
    for the rule.
    """
    rows = group_peaks(list(peaks.values()), tolerance)
    table = np.zeros(len(rows), dtype=[(name, np.int32) for name in peaks])
    for column, name in enumerate(peaks):
        table[name] = rows[:, column]
    return table


def match_signature(table: npt.NDArray[Any], signature: Signature) -> bool:
    """Say whether the first rows of a peak table fit a signature.

    `table` comes from `correlate_peaks` or `group_peaks`. A signature has one row of signs per group of
    peaks, one sign per channel: "+" there must be a peak, "-" there must be none, "0" either. Rows beyond the
    signature are free.
    """
    if len(signature) > len(table):
        return False
    names = table.dtype.names
    present = (np.stack([table[name] for name in names], axis=1) if names else table) >= 0
    for row, signs in zip(present, signature, strict=False):
        for there, sign in zip(row, signs, strict=True):
            if (sign == "+" and not there) or (sign == "-" and there):
                return False
    return True


def normed_pulse(
    samples: npt.ArrayLike,
    position: int,
    prominence: float,
    analogue_offset: float,
    cut: float = CUT_MV,
) -> tuple[FloatArray, int, float]:
    """Cut one pulse out of a waveform and normalise it to unit sum.

    The pulse reaches to where the waveform falls to `cut` above `analogue_offset` (all in the units of the
    samples) on either side of the peak at `position`, at most to the peak's bases. Returns the normalised
    samples, the position of the first of them and their sum before normalisation. A peak not higher than the
    cut gives an empty pulse of sum 0.
    """
    wave = np.ascontiguousarray(samples, dtype=np.float64) - analogue_offset
    peak = int(position)
    if wave[peak] <= cut:
        return wave[peak:peak], peak, 0.0
    at = np.array([peak])
    basis = _scipy.peak_prominences(wave, at)
    limits = _scipy.peak_widths(wave, at, float((wave[peak] - cut) / prominence), basis)
    left, right = math.floor(limits[2][0]), math.ceil(limits[3][0])
    pulse = wave[left:right]
    total = float(pulse.sum())
    return (pulse / total if total else pulse), left, total


def correlate_pulses(pulse: npt.ArrayLike, reference: npt.ArrayLike) -> int:
    """Give the shift in samples of a pulse against a reference pulse: where their correlation is largest."""
    return _scipy.best_shift(np.asarray(pulse, dtype=np.float64), np.asarray(reference, dtype=np.float64))
