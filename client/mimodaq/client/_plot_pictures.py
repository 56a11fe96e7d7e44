"""What `mimodaq plot` shows of a source: its newest event as on an oscilloscope, or histograms of its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from mimodaq.client._facts import SampleFacts, facts_of
from mimodaq.client._histogram import has_bins, wanted
from mimodaq.client._session_values import SessionError
from mimodaq.functions.physics import (
    HistogramPicture,
    HistogramStyle,
    Message,
    WaveformStyle,
    event_text,
    histograms_message,
    thin_out,
    waveforms_message,
)
from mimodaq.protocol.counts import Counts, FieldCounts
from mimodaq.protocol.histogram import WAVEFORM

if TYPE_CHECKING:
    from mimodaq.client._plot_sources import Seen, Source

_POINTS: Final = 1000


class Pictures(Protocol):
    """Makes messages for a display."""

    every_s: float
    """A new one is worth while after so long."""

    def next(self) -> Message | None:
        """The next picture; None if nothing has changed. Raises SessionError."""
        ...


class Waveforms:
    """The newest event of a buffer, in physical units where the setup tells them."""

    every_s = 0.25

    def __init__(self, source: Source) -> None:
        self._source = source
        setup = source.setup
        buffer = source.buffer.partition("~")[0]
        facts = facts_of(setup, buffer) if setup and buffer in setup.buffers else SampleFacts()
        self._facts = facts
        self._style = _style(f"{source.buffer}, run {source.run}", facts)
        self._last: Seen | None = None

    def next(self) -> Message | None:
        """The newest event that has not been shown yet."""
        seen = self._source.event()
        if seen is None:
            return None
        text, self._last = event_text(seen, self._last), seen
        names = [name for name in seen.event.dtype.names or () if seen.event[name].size >= WAVEFORM]
        return waveforms_message(
            self._style, {name: thin_out(self._values(seen, name), _POINTS) for name in names}, text
        )

    def _values(self, seen: Seen, name: str) -> np.ndarray:
        values = np.asarray(seen.event[name], dtype=np.float64).reshape(-1)
        if name in self._facts.scale:
            gain, offset = self._facts.scale[name]
            return values * gain + offset
        return values - self._facts.offset


def _style(title: str, facts: SampleFacts) -> WaveformStyle:
    level = None if facts.trigger_level is None else facts.trigger_level - facts.offset
    reach = facts.channel_range
    words = ("Trigger", facts.trigger_channel, f"{level:g}" if level is not None else "", facts.unit)
    return WaveformStyle(
        title=title,
        sample_time_ns=facts.sample_time_ns,
        pre_trigger_samples=facts.pre_trigger_samples or 0,
        offset=facts.offset,
        low=None if reach is None else -reach - facts.offset,
        high=None if reach is None else reach - facts.offset,
        unit=facts.unit,
        trigger_level=level,
        trigger_text=" ".join(word for word in (*words, facts.trigger_direction) if word),
    )


@dataclass(frozen=True, slots=True)
class Binning:
    """The bins that were asked for, if any were."""

    bins: int | None = None
    range: tuple[float, float] | None = None


class Histograms:
    """Histograms of fields of a buffer: of a function of the run where one counts them, else of a sample."""

    every_s = 0.5

    def __init__(self, source: Source, fields: Sequence[str], binning: Binning) -> None:
        """Raises SessionError for a field that is none."""
        known = source.fields()
        unknown = [field for field in fields if field not in known]
        if unknown:
            raise SessionError(f"{source.buffer} has no field {unknown[0]!r}; it has {', '.join(known)}")
        self._source, self._binning = source, binning
        self._fields = tuple(fields)

    def next(self) -> Message | None:
        """The counts as they are now."""
        source, binning = self._source, self._binning
        found: dict[str, tuple[Counts, FieldCounts]] = {}
        for counts in source.counted():
            for field in self._fields:
                counted = counts.of(field)
                if counted and field not in found and has_bins(counted.histogram, binning.bins, binning.range):
                    found[field] = counts, counted
        rest = [field for field in self._fields if field not in found]
        if rest:
            sample = source.sample([wanted(field, binning.bins, binning.range) for field in rest])
            found |= {one.field: (sample, one) for one in sample.fields}
        pictures = [self._picture(*found[field]) for field in self._fields]
        return histograms_message(pictures, f"{source.buffer}, run {source.run}")

    def _picture(self, counts: Counts, counted: FieldCounts) -> HistogramPicture:
        is_free = not counts.function and self._binning == Binning()
        histogram = counted.histogram.coarser() if is_free else counted.histogram
        note = "a sample" if counts.is_sample else f"every event ({counts.function})"
        return HistogramPicture(HistogramStyle.of(replace(counted, histogram=histogram)), histogram, note=note)
