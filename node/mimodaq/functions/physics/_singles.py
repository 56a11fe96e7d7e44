"""Tell events that can only hold one group of pulses from those worth a closer look, a batch at a time.

Nine of ten cosmic muons just cross the detector: one pulse in every layer, all at the same time. Proving that
costs a few array operations per batch, finding and measuring the peaks of one event costs more than all of
them together.

The proof, for a channel: peaks of prominence P are at least P above the lowest sample, so they lie in *runs*
of samples that are at least P/2 above it and somewhere reach P (at P/2 the noise on a falling edge does not
tear a run into pieces that count). Of two peaks of prominence P in one run, one not as high as the other is P
above a dip between the two. So a run that nowhere falls by P before its maximum, nor rises by P after it,
holds no peak but its maximum, and only one if that is a single sample or plateau (equally high peaks do not
limit each other's prominence). An event all of whose channels have at most one such run, with all maxima
nearer to each other than the tolerance, has at most one row of peaks.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._rows import pulse_floor
from mimodaq.functions.physics._scipy import FloatArray, IntArray

_SAFE: Final = 1 - 1e-6
"""Runs count as doubtful a little early, so that rounding never hides a peak."""


def may_have_two_groups(channels: list[npt.NDArray[Any]], prominence: float, tolerance: float) -> npt.NDArray[np.bool_]:
    """Say which events may give two or more rows of peaks (False is certain, True is not).

    `channels` holds the waveforms of each channel, shape (events, samples), pulses upwards, all real and of
    any float dtype. A row groups peaks less than `tolerance` samples apart, as `group_peaks` does.
    """
    events = len(channels[0])
    earliest = np.full(events, np.iinfo(np.intp).max)
    latest = np.full(events, -1)
    doubtful = np.zeros(events, dtype=np.bool_)
    for waveforms in channels:
        lowest = waveforms.min(axis=1)
        if not np.isfinite(lowest).all():
            return np.ones(events, dtype=np.bool_)
        bound = np.nextafter(pulse_floor(lowest, prominence / 2).astype(waveforms.dtype), -np.inf)
        event, sample = _nonzero(waveforms >= bound[:, np.newaxis])
        if len(event) == 0:
            continue
        wave = waveforms[event, sample].astype(np.float64)
        if not np.isfinite(wave).all():
            return np.ones(events, dtype=np.bool_)
        runs = _examine_runs(event, sample, wave, prominence)
        reaching = runs.height >= pulse_floor(lowest[runs.event].astype(np.float64), prominence)
        at, bumpy = runs.event[reaching], runs.bumpy[reaching]
        doubtful[at[bumpy]] = True
        doubtful[at[1:][at[1:] == at[:-1]]] = True  # a second run in the same channel
        earliest[at] = np.minimum(earliest[at], runs.first[reaching])
        latest[at] = np.maximum(latest[at], runs.last[reaching])
    doubtful[(latest >= 0) & (latest - earliest >= tolerance)] = True
    return doubtful


def _nonzero(mask: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Give rows and columns of the set entries (many times faster than numpy's for few entries)."""
    row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return row, column


class _Runs(NamedTuple):
    """Runs of consecutive samples of one event, one entry per run."""

    event: IntArray
    first: IntArray
    """Sample of the first maximum."""
    last: IntArray
    """Sample of the last one of the same height."""
    height: FloatArray
    bumpy: npt.NDArray[np.bool_]
    """May hold two peaks."""


def _examine_runs(event: IntArray, sample: IntArray, wave: FloatArray, prominence: float) -> _Runs:
    starts = np.flatnonzero((np.diff(event, prepend=-1) != 0) | (np.diff(sample, prepend=-2) != 1))
    number = np.zeros(len(event), dtype=np.intp)
    number[starts[1:]] = 1
    number = np.cumsum(number)
    height = np.maximum.reduceat(wave, starts)
    tops = np.flatnonzero(wave == height[number])
    first, last = np.empty(len(starts), dtype=np.intp), np.empty(len(starts), dtype=np.intp)
    first[number[tops[::-1]]] = tops[::-1]
    last[number[tops]] = tops

    falling = np.arange(len(wave)) >= first[number]
    step = 2 * float(wave.max() - wave.min()) + 1  # lifts every run clear of the ones before it
    bumpy = last - first + 1 > np.bincount(number[tops])
    bumpy[_dips(wave[~falling], number[~falling], step, prominence)] = True
    bumpy[_dips(wave[falling][::-1], -number[falling][::-1], step, prominence)] = True
    return _Runs(event[starts], sample[first], sample[last], height, bumpy)


def _dips(wave: FloatArray, number: IntArray, step: float, depth: float) -> IntArray:
    """Give the runs in which a rising edge (`number` rising) falls back by `depth` from its highest sample so far."""
    lifted = wave + number * step
    fall = np.maximum.accumulate(lifted) - lifted
    return np.abs(number[fall >= depth * _SAFE])
