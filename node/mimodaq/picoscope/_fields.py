"""Which field of the buffer takes what: waveforms of channels, and numbers about each event. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mimodaq.picoscope._settings import Channel, Settings

NUMBERS: Final[Mapping[str, str]] = {
    "overflow": "channels that have left their range, bit 0 = A",
    "quality": "how well the time stamp is known: 1 hardware counter, 2 interpolated, 3 host",
    "trigger_count": "the scope's own clock at the trigger, in samples since the first capture of the batch",
    "trigger_offset_ns": "where the trigger was between two samples",
    "batch": "number of the batch",
    "live_ns": "live time from the beginning of the readout to the end of the batch",
    "dead_ns": "dead time from the beginning of the readout to the end of the batch",
}
"""Fields of the buffer that are no channels, and what is put there."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The buffer as the readout sees it."""

    channels: tuple[Channel, ...]
    samples: int
    is_counts: bool
    """Counts straight from the driver; otherwise floats in volts."""
    numbers: tuple[str, ...]


def match_fields(settings: Settings, dtype: np.dtype[Any]) -> tuple[Fields | None, list[str]]:
    """How channels and fields go together; or what does not fit."""
    names = dtype.names or ()
    channels = settings.channels
    if settings.channels_from_buffer:
        channels = tuple(channel for channel in channels if channel.name in names)
    by_name = {channel.name: channel for channel in channels}
    faults = [
        f"the buffer has no field {channel.name!r} for channel {channel.letter}; it has {', '.join(names)}"
        for channel in channels
        if channel.name not in names
    ]
    numbers = tuple(name for name in names if name not in by_name)
    faults += [
        f"nothing goes into the field {name!r}: it is no channel, and known numbers are {', '.join(NUMBERS)}"
        for name in numbers
        if name not in NUMBERS
    ]
    faults += [
        f"the field {name!r} is one number: write [{name}, int64, 1]" for name in numbers if dtype[name].shape != (1,)
    ]
    waveforms = [dtype[name] for name in names if name in by_name]
    if not waveforms:
        return None, faults or ["the buffer has no field for a channel"]
    kinds = {field.base for field in waveforms}
    lengths = {field.shape[0] for field in waveforms}
    kind = kinds.pop()
    if kinds or (kind != np.int16 and kind.kind != "f"):
        faults.append("channels are counts (int16) or volts (float32), all alike")
    if len(lengths) > 1:
        faults.append("channels have the same number of samples")
    samples = lengths.pop()
    if settings.samples and settings.samples != samples:
        faults.append(f"samples: {settings.samples}, but the buffer has {samples} in a channel (channel_per_slot)")
    if settings.pre_samples(samples) >= samples:
        faults.append("pre_trigger: no sample is left behind the trigger")
    places = [dtype.itemsize, *(dtype.fields[name][1] for name in by_name if dtype.fields and name in names)]
    if kind == np.int16 and any(place % 2 for place in places):
        faults.append("numbers of an odd size move the waveforms to odd addresses: make them int16 or longer")
    if faults:
        return None, faults
    return Fields(channels, samples, kind == np.int16, numbers), []
