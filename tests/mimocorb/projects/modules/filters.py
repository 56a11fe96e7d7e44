"""Finding pulses in waveforms, and grouping the pulses of several channels."""

import numpy as np
from scipy import signal

CUT_MV = 10.0  # a pulse ends where it falls below this height


def tag_peaks(input_data, prominence, distance, width):
    """positions and properties of the peaks of every channel, two dictionaries by channel name"""
    peaks = {}
    properties = {}
    for name in input_data.dtype.names:
        peaks[name], properties[name] = signal.find_peaks(
            input_data[name], prominence=prominence, distance=distance, width=width
        )
    return peaks, properties


def pulse_integral(channel, position, offset_mv):
    """sum of the samples of the pulse around a position, above the offset, in mV * samples"""
    low = np.flatnonzero(channel <= offset_mv + CUT_MV)
    k = np.searchsorted(low, position)
    left = low[k - 1] + 1 if k > 0 else 0
    right = low[k] if k < len(low) else len(channel)
    return float(np.sum(channel[left:right] - offset_mv, dtype=np.float64))


def correlate_peaks(peaks, tolerance):
    """
    Group peaks that are closer than the tolerance (samples)

    :return: structured array, one row a group, one field a channel: index of the peak in its channel, or -1
    """
    names = list(peaks)
    following = {name: 0 for name in names}
    rows = []
    while True:
        waiting = {n: peaks[n][i] for n, i in following.items() if i < len(peaks[n])}
        if not waiting:
            break
        first = min(waiting.values())
        row = [-1] * len(names)
        for k, name in enumerate(names):
            if name in waiting and waiting[name] - first < tolerance:
                row[k] = following[name]
                following[name] += 1
        rows.append(tuple(row))
    return np.array(rows, dtype=[(name, np.int32) for name in names])


def match_signature(groups, signature):
    """whether the first groups of peaks fit a pattern: '+' peak needed, '-' peak forbidden, '0' either"""
    if len(signature) > len(groups):
        return False
    for group, pattern in zip(groups, signature):
        for index, sign in zip(group.tolist(), pattern):
            if (sign == "+" and index < 0) or (sign == "-" and index >= 0):
                return False
    return True
