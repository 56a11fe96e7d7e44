"""Find stopped and decayed muons: double pulses that match start and stop signatures (mimoCoRB's lifetime filter).

An event passes if its peaks form at least two groups in time (the muon, then the electron) and the first
groups match one of the signatures, which say in which layers there must be a pulse ("+"), must not be one
("-"), or may ("0"). The rules, and the events accepted, are those of mimoCoRB's `calculate_decay_time`; how
single pulses are discarded in batches is explained in `_singles`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._io import Events, channels_of
from mimodaq.functions.physics._peaks import (
    CUT_MV,
    Signature,
    correlate_pulses,
    group_peaks,
    match_signature,
    normed_pulse,
)
from mimodaq.functions.physics._rows import find_peaks_rows
from mimodaq.functions.physics._scipy import FloatArray
from mimodaq.functions.physics._singles import may_have_two_groups

_DOING: Final = "calculate_decay_time"

FOUR_LAYERS: Final[tuple[Signature, ...]] = (
    (("+", "+", "-", "-"), ("0", "+", "-", "-")),  # stopped under layer 2, electron upwards
    (("+", "+", "-", "-"), ("-", "-", "+", "0")),  # stopped under layer 2, electron downwards
    (("+", "+", "+", "+"), ("0", "0", "0", "+")),  # stopped under the detector, electron upwards
)
"""mimoCoRB's signatures for four layers; each has a row of signs for the muon and one for the electron."""


@dataclass(frozen=True, slots=True)
class DecayConfig:
    """What counts as a double pulse. Lengths are in samples, heights in the unit of the samples (mV)."""

    sample_time_ns: float
    analogue_offset_mv: float = 0.0
    prominence_initial: float = 90.0
    prominence_secondary: float = 35.0
    distance: float = 10
    width: float = 10
    tolerance: float = 20
    """Peaks of different channels less than this apart belong together."""
    signatures: tuple[Signature, ...] = ()
    """Empty: `default_signatures`."""
    scaling: Mapping[str, float] | None = None
    """Factor by channel applied to a prominence before it is compared; 1 where none is given."""
    sign: int = 1
    """-1 for negative pulses."""
    cut_mv: float = CUT_MV
    reference_pulse: FloatArray | None = None
    """Pulse shape to correlate with; the position of a pulse is then its shift against it, not its highest sample."""


@dataclass(frozen=True, slots=True)
class Decay:
    """One accepted event."""

    event: int
    """Index in the batch."""
    signature: int
    """Index of the signature it matches; of several, the last (as in mimoCoRB)."""
    parameters: dict[str, float]
    """`decay_time` in ns and, for each channel with the pulse, `1st_<channel>_h`, `_p` and `_int` (prominence,
    position in samples, sum of samples) and the same for the `2nd` pulse; 0 where a channel has none."""


def default_signatures(channels: int) -> tuple[Signature, ...]:
    """Give mimoCoRB's signatures for four layers; else: first layer hit, later a pulse in any layer."""
    if channels == len(FOUR_LAYERS[0][0]):
        return FOUR_LAYERS
    start = ("+",) + ("0",) * (channels - 1)
    return tuple((start, tuple("+" if k == layer else "0" for k in range(channels))) for layer in range(channels))


def delivered_fields(channels: Sequence[str]) -> list[str]:
    """Give the names of all parameters for these channels, in mimoCoRB's spelling."""
    pulses = product(("1st", "2nd"), ("h", "p", "int"), channels)
    return ["decay_time", *(f"{which}_{channel}_{what}" for which, what, channel in pulses)]


class DecayFinder:
    """Find the double pulses in events of one dtype (one field of shape (samples,) per channel).

    Raises ValueError for a signature that does not fit the channels or cannot give a time.
    """

    def __init__(self, config: DecayConfig, dtype: np.dtype[Any]) -> None:
        self.config = config
        self.channels, self.samples = channels_of(dtype, _DOING)
        self.signatures = config.signatures or default_signatures(len(self.channels))
        for signature in self.signatures:
            _check_signature(signature, self.channels)
        self._rows = max(len(signature) for signature in self.signatures)
        scaling = dict(config.scaling or {})
        self._scaling = np.array([scaling.get(channel, 1.0) for channel in self.channels])
        self._prominence = min(config.prominence_initial, config.prominence_secondary)

    def find(self, events: Events | np.void) -> list[Decay]:
        """Give the accepted ones of `events` (shape (n,), or one record), in order."""
        events = np.atleast_1d(events)
        channels = [upwards(events[name], self.config.sign) for name in self.channels]
        two = np.flatnonzero(may_have_two_groups(channels, self._prominence, self.config.tolerance))
        if len(two) == 0:
            return []
        waveforms = np.stack([channel[two] for channel in channels], axis=1)
        peaks = find_peaks_rows(
            waveforms.reshape(-1, self.samples), self._prominence, self.config.distance, self.config.width
        )
        bounds = np.searchsorted(peaks.row, np.arange(len(two) * len(self.channels) + 1)).tolist()
        decays = []
        for k, event in enumerate(two.tolist()):
            edges = bounds[k * len(self.channels) : (k + 1) * len(self.channels) + 1]
            spans = [slice(*pair) for pair in pairwise(edges)]
            positions = [peaks.position[span] for span in spans]
            prominences = [peaks.prominences[span] for span in spans]
            decay = self._match(event, waveforms[k], positions, prominences)
            if decay is not None:
                decays.append(decay)
        return decays

    def _match(
        self,
        event: int,
        waveforms: npt.NDArray[Any],
        positions: list[npt.NDArray[np.intp]],
        prominences: list[FloatArray],
    ) -> Decay | None:
        table = group_peaks(positions, self.config.tolerance, self._rows)
        if len(table) < 2:
            return None
        for row, least in enumerate((self.config.prominence_initial, self.config.prominence_secondary)):
            for channel, index in enumerate(table[row]):
                if index >= 0 and prominences[channel][index] * self._scaling[channel] < least:
                    table[row, channel] = -1
        matching = [k for k, signature in enumerate(self.signatures) if match_signature(table, signature)]
        if not matching:
            return None
        parameters = dict.fromkeys(delivered_fields(self.channels), 0.0)
        times = []
        for row, which in enumerate(("1st", "2nd")):
            at = []
            for channel, name in enumerate(self.channels):
                index = int(table[row, channel])
                if index < 0:
                    continue
                position, prominence = int(positions[channel][index]), float(prominences[channel][index])
                shifted, total = self._measure(waveforms[channel], position, prominence)
                at.append(shifted)
                parameters[f"{which}_{name}_p"] = position
                parameters[f"{which}_{name}_h"] = prominence
                parameters[f"{which}_{name}_int"] = total
            times.append(float(np.mean(at)))
        parameters["decay_time"] = (times[1] - times[0]) * self.config.sample_time_ns
        return Decay(event, matching[-1], parameters)

    def _measure(self, samples: npt.NDArray[Any], position: int, prominence: float) -> tuple[float, float]:
        """Give the time of a pulse in samples and its sum."""
        offset = self.config.sign * self.config.analogue_offset_mv
        pulse, left, total = normed_pulse(samples, position, prominence, offset, self.config.cut_mv)
        if self.config.reference_pulse is None or not len(pulse):
            return position, total
        return left + correlate_pulses(pulse, self.config.reference_pulse), total


def upwards(waveforms: npt.NDArray[Any], sign: int) -> npt.NDArray[Any]:
    """Give waveforms as floats with pulses upwards (a view where nothing has to change)."""
    if waveforms.dtype.kind != "f" or waveforms.dtype.itemsize < 4:
        waveforms = waveforms.astype(np.float64)
    return waveforms if sign > 0 else -waveforms


def _check_signature(signature: Signature, channels: Sequence[str]) -> None:
    rows = [list(row) for row in signature]
    fits = all(len(row) == len(channels) and set(row) <= {"+", "-", "0"} for row in rows)
    if not fits or len(rows) < 2 or not all("+" in row for row in rows[:2]):
        raise ValueError(
            f"{_DOING}: the signature {rows} does not fit the channels {', '.join(channels)}. Give at least two rows "
            "(first pulse, second pulse) with one of '+', '-', '0' per channel and a '+' in each of these two."
        )
