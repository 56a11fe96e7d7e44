"""Find the peaks of many waveforms at once, exactly as scipy would find them one by one.

`scipy.signal.find_peaks` spends most of its time on noise and on being called. Here all waveforms of a batch
go through scipy in one call, with the noise flattened. The answer is the same, bit for bit, because

* a peak of prominence P is at least P above the lowest sample of its waveform (a prominence is the height
  minus some sample), so only maxima reaching `pulse_floor` need a look; below it the waveform may be
  flattened;
* waveforms are joined with samples of +infinity, at which scipy's walks (for bases and widths) end just as
  they end at the ends of a waveform;
* scipy removes, from the highest peak down, every peak nearer than `distance` to a higher one. A peak without
  an equal or higher neighbour within the distance is thus always kept; lower ones cannot remove it. In the
  rare waveform where a prominent peak has such a neighbour, the outcome depends on all of them (for equal
  heights even on the way scipy sorts), so scipy itself is asked for that waveform;
* positions between samples are computed again from the position in the waveform, as joined ones round
  differently.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics import _scipy
from mimodaq.functions.physics._scipy import FloatArray, IntArray, Properties

_SHORT: Final = 1500  # below this many samples scipy is as fast
_NOTHING: Final = np.zeros((1, 0))
_RELATIVE_ROUNDING: Final = 1e-12
_JOINED_SAMPLES: Final = 1 << 16  # 512 kB of float64: stays in a core's cache


class RowPeaks(NamedTuple):
    """The peaks of all waveforms of a batch, in order of row and position; one entry per peak."""

    row: IntArray
    """Index of the waveform the peak is in."""
    position: IntArray
    prominences: FloatArray
    left_bases: IntArray
    right_bases: IntArray
    widths: FloatArray
    """Width at half prominence in samples."""
    width_heights: FloatArray
    left_ips: FloatArray
    right_ips: FloatArray

    def chosen(self, which: npt.NDArray[np.bool_] | IntArray) -> RowPeaks:
        """Give the peaks a mask or an array of indices picks."""
        columns: list[Any] = [values[which] for values in self]
        return RowPeaks(*columns)

    def of(self, row: int) -> tuple[IntArray, Properties]:
        """Give positions and properties of one waveform, in the form of `scipy.signal.find_peaks`."""
        begin, end = np.searchsorted(self.row, (row, row + 1))
        return self.position[begin:end], {name: getattr(self, name)[begin:end] for name in self._fields[2:]}


def pulse_floor(lowest: FloatArray, prominence: float) -> FloatArray:
    """Give the level that every peak of at least this prominence reaches in a waveform of this lowest value.

    The level is lowered by more than the rounding error of the differences involved: it may let a sample
    through that is no peak, never hide one.
    """
    margin = _RELATIVE_ROUNDING * (np.abs(lowest) + abs(prominence))
    return np.asarray(lowest + prominence - margin)


def find_peaks_rows(waveforms: npt.NDArray[Any], prominence: float, distance: float = 1, width: float = 0) -> RowPeaks:
    """Find the peaks of every row, exactly as `scipy.signal.find_peaks` does with the same conditions.

    `waveforms` has shape (rows, samples), any real dtype and strides; `prominence` is in its units,
    `distance` (at least 1) and `width` in samples. Raises ValueError for a distance below 1.
    """
    if distance < 1:
        raise ValueError(f"finding peaks: the distance between peaks is {distance} samples; give at least 1")
    rows, samples = waveforms.shape
    if rows == 0 or samples == 0:
        return _joined([])
    lowest = waveforms.min(axis=1).astype(np.float64)
    highest = waveforms.max(axis=1).astype(np.float64)
    plain = np.isfinite(lowest) & np.isfinite(highest) & (prominence > 0)
    asked = np.flatnonzero(~plain)
    able = np.flatnonzero(plain & (highest - lowest >= prominence))

    found = [_ask_scipy(waveforms[row], int(row), prominence, distance, width) for row in asked]
    step = max(_JOINED_SAMPLES // (samples + math.ceil(distance)), 1)
    for begin in range(0, len(able), step):
        some = able[begin : begin + step]
        peaks, doubtful = _find_joined(waveforms[some], lowest[some], prominence, distance, width)
        found.append(peaks._replace(row=some[peaks.row]))
        found += [_ask_scipy(waveforms[row], int(row), prominence, distance, width) for row in some[doubtful]]
    return _joined(found)


def find_peaks_fast(
    x: npt.ArrayLike, prominence: float, distance: float = 1, width: float = 0
) -> tuple[IntArray, Properties]:
    """Find peaks exactly as `scipy.signal.find_peaks(x, prominence=, distance=, width=)` does, but faster.

    `x` is one waveform. The answer is scipy's: positions, ascending, and the properties prominences,
    left_bases, right_bases, widths, width_heights, left_ips and right_ips. For many waveforms
    `find_peaks_rows` is faster still.
    """
    samples = np.asarray(x)
    if samples.ndim != 1:
        raise ValueError(f"finding peaks: the waveform has {samples.ndim} dimensions; give one of them")
    lowest = float(samples.min()) if samples.size else math.nan
    conditions = {"prominence": prominence, "distance": distance, "width": width}
    if prominence > 0 and math.isfinite(lowest):
        if float(samples.max()) - lowest < prominence:
            return find_peaks_rows(_NOTHING, 1.0).of(0)
        if samples.size < _SHORT:
            return _scipy.find_peaks(samples, **conditions)
        wave = np.ascontiguousarray(samples, dtype=np.float64)
        floor = float(pulse_floor(np.asarray(lowest), prominence))
        reaching = np.sort(wave[wave >= floor])
        if np.all(reaching[1:] > reaching[:-1]):  # equally high peaks: scipy's choice depends on the peaks left out
            peaks, found = _scipy.find_peaks(wave, height=floor, **conditions)
            del found["peak_heights"]
            return peaks, found
        samples = wave
    return _scipy.find_peaks(samples, **conditions)


def _find_joined(
    waveforms: npt.NDArray[Any], lowest: FloatArray, prominence: float, distance: float, width: float
) -> tuple[RowPeaks, IntArray]:
    """Find the peaks of finite rows spanning the prominence; also name the rows only scipy can answer."""
    rows, samples = waveforms.shape
    stride = samples + math.ceil(distance)  # the gap keeps peaks of different rows out of each other's distance
    wave = np.full((rows, stride), np.inf)
    wave[:, :samples] = waveforms
    below = np.nextafter(pulse_floor(lowest, prominence), -np.inf)
    outline = np.maximum(wave, below[:, np.newaxis]).reshape(-1)
    wave = wave.reshape(-1)

    high, _ = _scipy.find_peaks(outline)
    high = high[high % stride < samples]
    prominent = _select_prominent(wave, np.arange(rows) * stride, high, prominence)
    doubtful = high[prominent[_has_rival(high, wave[high], prominent, distance)]] // stride
    peaks = high[prominent]
    if len(doubtful):
        peaks = peaks[~np.isin(peaks // stride, doubtful)]

    prominences, left_bases, right_bases = basis = _scipy.peak_prominences(wave, peaks)
    widths = _scipy.peak_widths(wave, peaks, 0.5, basis)
    row = peaks // stride
    start = row * stride
    left = _crossing(wave, widths[1], np.floor(widths[2]).astype(np.intp), start, +1)
    right = _crossing(wave, widths[1], np.ceil(widths[3]).astype(np.intp), start, -1)
    found = RowPeaks(
        row,
        peaks - start,
        prominences,
        left_bases - start,
        right_bases - start,
        right - left,
        widths[1],
        left,
        right,
    )
    wide = found.widths >= width
    return (found if wide.all() else found.chosen(wide)), np.unique(doubtful)


def _select_prominent(wave: FloatArray, starts: IntArray, high: IntArray, prominence: float) -> IntArray:
    """Give the indices (into `high`) of the maxima that have at least this prominence.

    Only the heights of the maxima and the lowest samples between them matter for a prominence, and a walk
    over these few is short, whereas scipy's walk from each maximum on a falling edge goes to the end of its
    waveform.
    """
    bounds = np.concatenate((starts, high))
    order = np.argsort(bounds, kind="stable")
    bounds = bounds[order]
    profile = np.empty(2 * len(bounds))
    profile[0::2] = np.where(order < len(starts), np.inf, wave[bounds])
    profile[1::2] = np.minimum.reduceat(wave, bounds)
    tops = 2 * np.flatnonzero(order >= len(starts))
    return np.flatnonzero(_scipy.peak_prominences(profile, tops)[0] >= prominence)


def _has_rival(high: IntArray, heights: FloatArray, prominent: IntArray, distance: float) -> npt.NDArray[np.bool_]:
    """Say which prominent peaks have an equal or higher maximum nearer than `distance`."""
    reach = math.ceil(distance)
    rival = np.zeros(len(prominent), dtype=np.bool_)
    for side in (-1, +1):
        neighbour, searching = prominent + side, np.ones(len(prominent), dtype=np.bool_)
        while True:
            searching &= (neighbour >= 0) & (neighbour < len(high))
            searching[searching] = np.abs(high[neighbour[searching]] - high[prominent[searching]]) < reach
            if not searching.any():
                break
            rival[searching] |= heights[neighbour[searching]] >= heights[prominent[searching]]
            neighbour += side
    return rival


def _crossing(wave: FloatArray, level: FloatArray, inside: IntArray, start: IntArray, side: int) -> FloatArray:
    """Place the crossing of `level` between a sample not above it and the next one towards the peak (`side`).

    `inside` is that sample's index up to rounding: scipy's fraction of a sample can round up to the next,
    higher one. The arithmetic is scipy's, so that the same waveform gives the same bits wherever it is joined
    in.
    """
    sample = np.where(wave[inside] > level, inside - side, inside)
    value, towards = wave[sample], wave[sample + side]
    at = (sample - start).astype(np.float64)
    under = value < level
    at[under] += side * ((level[under] - value[under]) / (towards[under] - value[under]))
    return at


def _ask_scipy(waveform: npt.NDArray[Any], row: int, prominence: float, distance: float, width: float) -> RowPeaks:
    peaks, found = _scipy.find_peaks(waveform, prominence=prominence, distance=distance, width=width)
    return RowPeaks(
        np.full(len(peaks), row, dtype=np.intp),
        peaks,
        *(found[name] for name in RowPeaks._fields[2:]),
    )


def _joined(found: list[RowPeaks]) -> RowPeaks:
    """Put peaks of several groups of rows into the order of rows."""
    if not found:
        none, nowhere = np.zeros(0), np.zeros(0, dtype=np.intp)
        return RowPeaks(nowhere, nowhere, none, nowhere, nowhere, none, none, none, none)
    if len(found) == 1:
        return found[0]
    columns: list[Any] = [np.concatenate(values) for values in zip(*found, strict=True)]
    return RowPeaks(*columns).chosen(np.argsort(columns[0], kind="stable"))
