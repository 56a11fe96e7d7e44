"""The built-in filter `double_pulses`: decay times from recorded pulses of one or more detectors."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from mimodaq.functions.physics._double import DoublePulseConfig, DoublePulseFinder, delivered_fields
from mimodaq.functions.physics._io import FunctionIO, check_fields, check_samples, polarity_sign, write_events

_DOING: Final = "double_pulses"
_EVENTS_AT_ONCE: Final = 32


def double_pulses(
    io: FunctionIO,
    *,
    sample_time_ns: float = 4.0,
    polarity: Literal["positive", "negative"] = "negative",
    pre_trigger_samples: float | None = None,
    min_height_V: float = 0.0,
    sigmas: float = 10.0,
    fraction: float = 0.25,
    coincidence_samples: float = 5.0,
    only_double: bool = False,
    number_of_samples: int = 0,
) -> None:
    """Write the time between the trigger pulse and a later pulse for every event, per channel and combined.

    Waveforms are in V. The sink may have the fields `decay_time_us` and, for every channel of the source,
    `<channel>_dt_us`, `<channel>_height_V` (height of the later pulse, positive) and `<channel>_trigger_V`
    (height of the trigger pulse); a value is 0 where a channel saw no such pulse. Every event is written;
    with `only_double` those without a later pulse are dropped.

    How pulses are found, timed and combined is described in `mimodaq.functions.physics._double`.
    `pre_trigger_samples` says where the trigger pulse is (default: the first pulse); `min_height` (V) is the
    lowest pulse, at least `sigmas` times the noise; `fraction` the part of its height at which a pulse is
    timed; `coincidence_samples` how far apart pulses of different channels may be. The answer depends on the
    event alone: neither on batches nor on the number of processes. Raises ValueError for options and buffers
    that do not fit each other.
    """
    if len(io.readers) != 1 or len(io.writers) != 1:
        raise ValueError(
            f"{_DOING}: {len(io.readers)} sources and {len(io.writers)} sinks are assigned; it needs one of each"
        )
    reader, sink = io.readers[0], io.writers[0]
    config = DoublePulseConfig(
        sample_time_ns=sample_time_ns,
        sign=polarity_sign(polarity, _DOING),
        pre_trigger_samples=pre_trigger_samples,
        sigmas=sigmas,
        min_height=min_height_V,
        fraction=fraction,
        coincidence_samples=coincidence_samples,
    )
    finder = DoublePulseFinder(config, reader.dtype)
    check_samples(number_of_samples, finder.samples, _DOING)
    check_fields(sink.dtype, delivered_fields(finder.channels), _DOING)
    seen = with_second = 0
    while (batch := reader.take(_EVENTS_AT_ONCE)) is not None:
        fields = finder.fields(finder.find(batch.events))
        second = fields["decay_time_us"] > 0
        seen, with_second = seen + len(second), with_second + int(second.sum())
        rows = np.flatnonzero(second) if only_double else np.arange(len(second))
        events = np.zeros(len(rows), dtype=sink.dtype)
        for name in sink.dtype.names or ():
            events[name] = fields[name][rows].reshape((-1,) + (1,) * (events[name].ndim - 1))
        write_events(sink, events, batch, rows)
        reader.release()
    io.note(events_seen=seen, events_with_second_pulse=with_second)
