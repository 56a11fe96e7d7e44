"""Height, position and charge of the pulse at the trigger in every channel (mimoCoRB's spectrum filter)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mimodaq.functions._requires import requires
from mimodaq.functions.physics._decay import upwards
from mimodaq.functions.physics._io import (
    Events,
    FunctionIO,
    channels_of,
    check_fields,
    check_samples,
    polarity_sign,
    write_events,
)
from mimodaq.functions.physics._rows import RowPeaks, find_peaks_rows
from mimodaq.functions.physics._scipy import FloatArray, IntArray

_DOING: Final = "find_peaks"
_EVENTS_AT_ONCE: Final = 32

RESISTANCE_OHM: Final = 50.0
"""Termination of the oscilloscope's input."""
GAIN: Final = 5.0
"""Amplification before it; both as in mimoCoRB."""


@dataclass(frozen=True, slots=True)
class SpectrumConfig:
    """What counts as the pulse of a trigger. Lengths are in samples, heights in the unit of the samples (mV)."""

    sample_time_ns: float
    analogue_offset_mv: float = 0.0
    prominence: float = 50.0
    distance: float = 10
    width: float = 7
    pre_trigger_samples: int = 0
    trigger_channel: str | None = None
    """Channel (field name) that must have a peak; None: any event passes."""
    tolerance: float = 7
    """Peaks count if they are less than this away from the trigger pulse."""
    sign: int = 1
    """-1 for negative pulses."""


class SpectrumFinder:
    """Measure the pulse at the trigger in events of one dtype (one field of shape (samples,) per channel).

    Raises ValueError if the trigger channel is none of the channels.
    """

    def __init__(self, config: SpectrumConfig, dtype: np.dtype[Any]) -> None:
        self.config = config
        self.channels, self.samples = channels_of(dtype, _DOING)
        if config.trigger_channel is not None and config.trigger_channel not in self.channels:
            raise ValueError(
                f"{_DOING}: the trigger channel {config.trigger_channel} is none of {', '.join(self.channels)}; "
                "give one of them as 'trigger_channel', or 'none'"
            )

    def find(self, events: Events | np.void) -> tuple[IntArray, dict[str, FloatArray]]:
        """Give the accepted ones of `events` (shape (n,), or one record) and their parameters by name.

        An event passes if the trigger channel has a peak. The peak nearest to `pre_trigger_samples` is the
        trigger's; in each channel the last peak near it gives `<channel>_position` (sample), `_height` (above
        the offset) and `_integral` (charge in pC if the samples are in mV: mimoCoRB's number times 1e9). 0
        where a channel has no such peak.
        """
        config, events = self.config, np.atleast_1d(events)
        waveforms = np.stack([upwards(events[name], config.sign) for name in self.channels])
        rows = waveforms.reshape(-1, self.samples)
        peaks = find_peaks_rows(rows, config.prominence, config.distance, config.width)
        reference = np.full(len(events), float(config.pre_trigger_samples))
        accepted = np.ones(len(events), dtype=np.bool_)
        if config.trigger_channel is not None:
            reference, accepted = self._trigger(peaks, len(events))
        near = np.abs(reference[peaks.row % len(events)] - peaks.position) < config.tolerance
        at_trigger = peaks.chosen(near & accepted[peaks.row % len(events)])
        table = self._measure(rows, at_trigger)
        passed = np.flatnonzero(accepted)
        return passed, {
            f"{name}_{what}": values[channel, passed]
            for what, column in table.items()
            for values in (column.reshape(len(self.channels), len(events)),)
            for channel, name in enumerate(self.channels)
        }

    def _trigger(self, peaks: RowPeaks, events: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Give the position of the trigger pulse of each event and whether there is one."""
        channel = self.channels.index(str(self.config.trigger_channel))
        own = peaks.chosen(peaks.row // events == channel)
        event, far = own.row - channel * events, np.abs(own.position - self.config.pre_trigger_samples)
        order = np.lexsort((own.position, far, event))[::-1]  # nearest last, so that it stays; of two, the earlier
        position = np.full(events, np.nan)
        position[event[order]] = own.position[order]
        return position, ~np.isnan(position)

    def _measure(self, rows: npt.NDArray[Any], peaks: RowPeaks) -> dict[str, FloatArray]:
        """Give position, height and integral for every waveform; of several peaks the last counts."""
        config = self.config
        table = {what: np.zeros(len(rows)) for what in ("height", "position", "integral")}
        table["position"][peaks.row] = peaks.position
        offset = config.sign * config.analogue_offset_mv
        table["height"][peaks.row] = rows[peaks.row, peaks.position].astype(np.float64) - offset
        left = np.floor(peaks.left_ips).astype(np.intp)
        right = np.ceil(peaks.right_ips).astype(np.intp)
        to_charge = config.sample_time_ns / RESISTANCE_OHM / GAIN
        table["integral"][peaks.row] = [
            (float(rows[row, begin:end].sum(dtype=np.float64)) - (end - begin) * offset) * to_charge
            for row, begin, end in zip(peaks.row.tolist(), left.tolist(), right.tolist(), strict=True)
        ]
        return table


@requires("scipy.signal")
def find_peaks(
    io: FunctionIO,
    *,
    sample_time_ns: float = 4.0,
    analogue_offset: float = 0.0,
    peak_minimal_prominence: float = 50.0,
    peak_minimal_distance: float = 10,
    peak_minimal_width: float = 7,
    pre_trigger_samples: int = 0,
    trigger_channel: str | None = None,
    trigger_position_tolerance: float = 7,
    polarity: Literal["positive", "negative"] = "positive",
    number_of_samples: int = 0,
) -> None:
    """Write height, position and charge of the pulse at the trigger, for every channel.

    The last sink gets the parameters (any of `<channel>_height` in mV, `_position` in samples, `_integral` in
    pC); if there is another one before it, that gets the waveforms of the same events. `trigger_channel` is A
    to D (for chA to chD) or the name of a channel; without one (external trigger) every event passes, with
    peaks at `pre_trigger_samples`. Waveforms and prominence are in mV, `analogue_offset` in V; distance,
    width and tolerance in samples. Raises ValueError for options and buffers that do not fit each other.
    """
    if len(io.readers) != 1 or len(io.writers) not in (1, 2):
        raise ValueError(
            f"{_DOING}: {len(io.readers)} sources and {len(io.writers)} sinks are assigned; it needs one source and "
            "one sink (parameters) or two (waveforms, parameters)"
        )
    reader, *_ = io.readers
    *copies, sink = io.writers
    config = SpectrumConfig(
        sample_time_ns=sample_time_ns,
        analogue_offset_mv=1000 * analogue_offset,
        prominence=peak_minimal_prominence,
        distance=peak_minimal_distance,
        width=peak_minimal_width,
        pre_trigger_samples=pre_trigger_samples,
        trigger_channel=channel_name(trigger_channel, reader.dtype.names or ()),
        tolerance=trigger_position_tolerance,
        sign=polarity_sign(polarity, _DOING),
    )
    finder = SpectrumFinder(config, reader.dtype)
    check_samples(number_of_samples, finder.samples, _DOING)
    parts = ("height", "position", "integral")
    check_fields(sink.dtype, [f"{name}_{part}" for name in finder.channels for part in parts], _DOING)
    for copy in copies:
        check_fields(copy.dtype, finder.channels, _DOING)
        check_samples(channels_of(copy.dtype, _DOING)[1], finder.samples, f"{_DOING}, first sink")
    while (batch := reader.take(_EVENTS_AT_ONCE)) is not None:
        passed, parameters = finder.find(batch.events)
        for copy in copies:
            write_events(copy, batch.events[passed], batch, passed)
        events = np.zeros(len(passed), dtype=sink.dtype)
        for name in sink.dtype.names or ():
            events[name] = parameters[name].reshape((-1,) + (1,) * (events[name].ndim - 1))
        write_events(sink, events, batch, passed)
        reader.release()


def channel_name(asked: str | None, channels: Sequence[str]) -> str | None:
    """Translate an oscilloscope's channel (A to D) into a field name; None or a word like "none" means no channel."""
    if asked is None or asked.lower() in ("", "none", "ext", "external"):
        return None
    return f"ch{asked}" if asked in ("A", "B", "C", "D") and f"ch{asked}" in channels else asked
