"""The few functions of scipy.signal used here, with the types they really have, imported on first use.

One place for it keeps the start of a worker short, and keeps scipy's loosely typed answers out of the other
modules.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Properties = dict[str, npt.NDArray[Any]]


@functools.cache
def _signal() -> Any:
    import scipy.signal

    return scipy.signal


def find_peaks(wave: npt.NDArray[Any], **conditions: float) -> tuple[IntArray, Properties]:
    """Call `scipy.signal.find_peaks`: positions and properties."""
    found: tuple[IntArray, Properties] = _signal().find_peaks(wave, **conditions)
    return found


def peak_prominences(wave: FloatArray, peaks: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Call `scipy.signal.peak_prominences`: prominences, left and right bases."""
    found: tuple[FloatArray, IntArray, IntArray] = _signal().peak_prominences(wave, peaks)
    return found


def peak_widths(
    wave: FloatArray, peaks: IntArray, rel_height: float, basis: tuple[FloatArray, IntArray, IntArray]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Call `scipy.signal.peak_widths`: widths, their heights, left and right positions between samples."""
    found: tuple[FloatArray, FloatArray, FloatArray, FloatArray] = _signal().peak_widths(
        wave, peaks, rel_height=rel_height, prominence_data=basis
    )
    return found


def best_shift(data: FloatArray, model: FloatArray) -> int:
    """Give the lag of the largest correlation of data with model (`scipy.signal.correlate`, mode "same")."""
    signal = _signal()
    lags = signal.correlation_lags(data.size, model.size, mode="same")
    return int(lags[np.argmax(signal.correlate(data, model, mode="same"))])
