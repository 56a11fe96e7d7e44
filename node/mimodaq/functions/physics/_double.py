"""Times between the trigger pulse and a later pulse in every channel of an event, for pulses of any shape.

Made for scintillator panels behind an oscilloscope: fast pulses on a quiet base line, often only 8 bits. Per
channel:

1. Base line: the median. Noise: the r.m.s. of the samples on the side of it where pulses never are. 2.
Pulses: maxima whose prominence is at least `sigmas` times the noise, `min_height`, and 5 % of the highest
pulse. 3. Height and time of a pulse: it rises from its *foot* (the base line, or the lowest sample since the
pulse before if
   that is higher) to its maximum. The time is where the rising edge crosses the middle between the two,
   interpolated between samples. This constant fraction makes the time independent of the height, so the same
   error enters the times of both pulses and drops out of their difference.

Per event: the trigger pulse is the pulse nearest to `pre_trigger_samples` or, where that is not given, the
first one of at least a fifth of its channel's highest. The *second pulse* is the highest later one of all
channels; it must reach a tenth of its channel's trigger pulse, so that after-pulses do not count. Each
channel that has a pulse at the same time (within the coincidence window) has seen it. A channel that has
none, but another later pulse at least half as high as the second pulse, reports that one for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._decay import upwards
from mimodaq.functions.physics._io import Events, channels_of
from mimodaq.functions.physics._rows import RowPeaks, find_peaks_rows
from mimodaq.functions.physics._scipy import FloatArray

_DOING: Final = "double_pulses"

LEAST_OF_HIGHEST: Final = 0.05
"""A pulse lower than this part of its channel's highest one is not looked at."""
FIRST_OF_HIGHEST: Final = 0.2
"""Part of its channel's highest pulse that the first pulse must reach to be taken for the trigger pulse."""
SECOND_OF_TRIGGER: Final = 0.1
"""Part of the trigger pulse that a second pulse must reach."""
OTHER_OF_SECOND: Final = 0.5
"""Part of the second pulse that a channel's own later pulse must reach when it is not coincident."""


@dataclass(frozen=True, slots=True)
class DoublePulseConfig:
    """How pulses are found and timed."""

    sample_time_ns: float = 4.0
    sign: int = -1
    """-1 for negative pulses, +1 for positive ones."""
    pre_trigger_samples: float | None = None
    """Sample at which the trigger pulse is expected; None: the first pulse is the trigger pulse."""
    sigmas: float = 10.0
    min_height: float = 0.0
    """Lowest pulse in the unit of the samples; 0: as the noise allows."""
    fraction: float = 0.25
    """Part of its height at which a pulse is timed."""
    coincidence_samples: float = 5.0
    """Pulses of different channels at most this far apart belong together."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1 or self.sample_time_ns <= 0 or self.sigmas <= 0:
            raise ValueError(
                f"{_DOING}: fraction must be between 0 and 1, sample_time_ns and sigmas above 0; found "
                f"{self.fraction}, {self.sample_time_ns} and {self.sigmas}"
            )


class Pulse(NamedTuple):
    """One pulse of one channel."""

    time: float
    """Crossing of the rising edge, in samples."""
    height: float
    """Above its foot, in the unit of the samples."""


class DoublePulse(NamedTuple):
    """What is known of one event; one entry per channel, None where the channel saw no such pulse."""

    trigger: tuple[Pulse | None, ...]
    second: tuple[Pulse | None, ...]
    differences: tuple[float, ...]
    """Time from trigger pulse to second pulse in samples, 0 without second pulse; from the event's trigger pulse
    where the channel has none of its own."""
    combined: float
    """The same for the event: mean of the coincident channels weighted by the height of the second pulse."""


def delivered_fields(channels: Sequence[str]) -> list[str]:
    """Give the names of the fields made of events with these channels."""
    per_channel = [f"{name}_{what}" for what in ("dt_us", "height_V", "trigger_V") for name in channels]
    return ["decay_time_us", *per_channel]


class DoublePulseFinder:
    """Find and time double pulses in events of one dtype (one field of shape (samples,) per channel)."""

    def __init__(self, config: DoublePulseConfig, dtype: np.dtype[Any]) -> None:
        self.config = config
        self.channels, self.samples = channels_of(dtype, _DOING)

    def find(self, events: Events | np.void) -> list[DoublePulse]:
        """Give what was found in each of `events` (shape (n,), or one record)."""
        events = np.atleast_1d(events)
        waveforms = np.stack([upwards(events[name], self.config.sign) for name in self.channels], axis=1)
        rows = waveforms.reshape(-1, self.samples).astype(np.float64)
        rows -= np.median(rows, axis=1, keepdims=True)
        peaks = find_peaks_rows(rows / self._thresholds(rows)[:, np.newaxis], prominence=1.0, distance=3)
        pulses = self._pulses(rows, peaks)
        n = len(self.channels)
        return [self._pair(pulses[begin : begin + n]) for begin in range(0, len(rows), n)]

    def fields(self, found: Sequence[DoublePulse]) -> dict[str, FloatArray]:
        """Give the numbers to write, by field name: times in µs, heights as positive V, 0 where there is none."""
        to_us = self.config.sample_time_ns / 1000
        columns = {"decay_time_us": np.array([event.combined * to_us for event in found])}
        for k, name in enumerate(self.channels):
            columns[f"{name}_dt_us"] = np.array([event.differences[k] * to_us for event in found])
            for what, pulses in (("height_V", "second"), ("trigger_V", "trigger")):
                seen = [getattr(event, pulses)[k] for event in found]
                columns[f"{name}_{what}"] = np.array([pulse.height if pulse else 0.0 for pulse in seen])
        return columns

    def _thresholds(self, rows: FloatArray) -> FloatArray:
        """Give the lowest prominence of a pulse for each waveform (pulses upwards, base line at 0)."""
        below = np.minimum(rows, 0)
        noise = np.sqrt((below**2).sum(axis=1) / np.maximum((rows <= 0).sum(axis=1), 1))
        steps = np.abs(np.diff(rows, axis=1))
        smallest = np.where(steps > 0, steps, np.inf).min(axis=1, initial=np.inf)
        noise = np.maximum(noise, np.where(np.isfinite(smallest), smallest / 2, 0))
        least = np.maximum(self.config.sigmas * noise, LEAST_OF_HIGHEST * rows.max(axis=1))
        return np.asarray(np.maximum(least, max(self.config.min_height, float(np.finfo(np.float32).tiny))))

    def _pulses(self, rows: FloatArray, peaks: RowPeaks) -> list[list[Pulse]]:
        """Measure height and time of all peaks; one list per waveform, in order of time."""
        pulses: list[list[Pulse]] = [[] for _ in rows]
        previous = (-1, 0)
        for row, peak in zip(peaks.row.tolist(), peaks.position.tolist(), strict=True):
            begin = previous[1] if previous[0] == row else 0
            pulses[row].append(_measure(rows[row, begin : peak + 1], begin, self.config.fraction))
            previous = (row, peak)
        return pulses

    def _pair(self, pulses: list[list[Pulse]]) -> DoublePulse:
        """Pick trigger pulse and second pulse of one event."""
        window = self.config.coincidence_samples
        nothing = DoublePulse((None,) * len(pulses), (None,) * len(pulses), (0.0,) * len(pulses), 0.0)
        trigger = self._trigger(pulses)
        if trigger is None:
            return nothing
        own = tuple(_nearest(channel, trigger.time, window) for channel in pulses)
        strongest = max((pulse.height for pulse in own if pulse), default=trigger.height)
        later = []
        for channel, first in zip(pulses, own, strict=True):
            least = SECOND_OF_TRIGGER * (first.height if first else strongest)
            after = (first.time if first else trigger.time) + window
            later.append([pulse for pulse in channel if pulse.time > after and pulse.height >= least])
        main = max((pulse for channel in later for pulse in channel), key=_height, default=None)
        if main is None:
            return nothing._replace(trigger=own)

        second, differences = [], []
        for channel, first in zip(pulses, own, strict=True):
            start = first.time if first else trigger.time
            seen = _nearest([pulse for pulse in channel if pulse.time > start], main.time, window)
            if seen is None:
                others = [
                    pulse
                    for pulse in channel
                    if pulse.time > start + window and pulse.height >= OTHER_OF_SECOND * main.height
                ]
                seen = max(others, key=_height, default=None)
            second.append(seen)
            differences.append(seen.time - start if seen else 0.0)
        coincident = [
            (pulse.height, difference)
            for pulse, difference in zip(second, differences, strict=True)
            if pulse and abs(pulse.time - main.time) <= window
        ]
        weight = sum(height for height, _ in coincident)
        combined = sum(height * difference for height, difference in coincident) / weight
        return DoublePulse(own, tuple(second), tuple(differences), combined)

    def _trigger(self, pulses: list[list[Pulse]]) -> Pulse | None:
        if self.config.pre_trigger_samples is not None:
            expected = self.config.pre_trigger_samples
            every = (pulse for channel in pulses for pulse in channel)
            return min(every, key=lambda pulse: abs(pulse.time - expected), default=None)
        strong = (
            pulse
            for channel in pulses
            for pulse in channel
            if pulse.height >= FIRST_OF_HIGHEST * max(map(_height, channel))
        )
        return min(strong, default=None)


def _height(pulse: Pulse) -> float:
    return pulse.height


def _nearest(pulses: list[Pulse], time: float, window: float) -> Pulse | None:
    near = (pulse for pulse in pulses if abs(pulse.time - time) <= window)
    return min(near, key=lambda pulse: abs(pulse.time - time), default=None)


def _measure(rise: npt.NDArray[np.float64], begin: int, fraction: float) -> Pulse:
    """Time a pulse whose maximum is the last sample of `rise`; `rise` begins at sample `begin`."""
    top = float(rise[-1])
    foot = max(0.0, float(rise.min()))
    level = foot + fraction * (top - foot)
    under = np.flatnonzero(rise <= level)
    if len(under) == 0:  # the pulse was rising before the record began
        return Pulse(float(begin), top - foot)
    at = int(under[-1])
    step = float(rise[at + 1] - rise[at])
    return Pulse(begin + at + (level - float(rise[at])) / step, top - foot)
