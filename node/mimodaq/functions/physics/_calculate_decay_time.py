"""The built-in filter `calculate_decay_time`: muons that stopped and decayed, with their decay times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from mimodaq.functions._requires import requires
from mimodaq.functions.physics._decay import Decay, DecayConfig, DecayFinder, delivered_fields
from mimodaq.functions.physics._io import (
    Events,
    FunctionIO,
    channels_of,
    check_fields,
    check_samples,
    polarity_sign,
    write_events,
)
from mimodaq.functions.physics._peaks import CUT_MV
from mimodaq.functions.physics._scipy import FloatArray

_DOING: Final = "calculate_decay_time"
_EVENTS_AT_ONCE: Final = 32


@requires("scipy.signal")
def calculate_decay_time(
    io: FunctionIO,
    *,
    sample_time_ns: float = 4.0,
    analogue_offset: float = 0.0,
    peak_minimal_prominence_initial: float = 90.0,
    peak_minimal_prominence_secondary: float = 35.0,
    peak_minimal_distance: float = 10,
    peak_minimal_width: float = 10,
    trigger_position_tolerance: float = 20,
    signatures: Sequence[Sequence[Sequence[str]]] = (),
    chA_scaling: float = 1.0,
    chB_scaling: float = 1.0,
    chC_scaling: float = 1.0,
    chD_scaling: float = 1.0,
    scaling: Mapping[str, float] | None = None,
    polarity: Literal["positive", "negative"] = "positive",
    cut_level: float = CUT_MV,
    reference_pulse_file: str = "",
    signature_sinks: Sequence[int] = (),
    number_of_samples: int = 0,
    pre_trigger_samples: int = 0,
) -> None:
    """Pass events with a double pulse that matches a signature; write their decay times.

    Sinks: one gets the waveforms, or the parameters if it has a field `decay_time`; two get waveforms and
    parameters; more get waveforms, then the parameters split by signature: those of the first signature
    (electron upwards) go to the second sink, those of the second (downwards) to the third, and so on.
    Signatures beyond the last sink go to the second one, as mimoCoRB's third signature (electron upwards,
    too) is meant; `signature_sinks` gives the sink of each signature explicitly (1 = second sink).

    Waveforms and prominences are in mV, `analogue_offset` in V; distance, width and tolerance in samples.
    `scaling` (by channel; or `chA_scaling` ...) multiplies a prominence before it is compared. Parameters are
    those of `Decay`; a sink may have any of them. Numbers are cut to whole ones in fields of integer type, as
    in mimoCoRB. `reference_pulse_file` (raw float64, relative to the setup) gives a pulse shape to correlate
    with for the positions. `pre_trigger_samples` is accepted for mimoCoRB's setups and not needed. Raises
    ValueError for options, buffers and signatures that do not fit each other.
    """
    if len(io.readers) != 1 or not io.writers:
        raise ValueError(
            f"{_DOING}: {len(io.readers)} sources and {len(io.writers)} sinks are assigned; "
            "it needs one source and at least one sink"
        )
    reader = io.readers[0]
    named = {"chA": chA_scaling, "chB": chB_scaling, "chC": chC_scaling, "chD": chD_scaling}
    config = DecayConfig(
        sample_time_ns=sample_time_ns,
        analogue_offset_mv=1000 * analogue_offset,
        prominence_initial=peak_minimal_prominence_initial,
        prominence_secondary=peak_minimal_prominence_secondary,
        distance=peak_minimal_distance,
        width=peak_minimal_width,
        tolerance=trigger_position_tolerance,
        signatures=tuple(signatures),
        scaling={**named, **(scaling or {})},
        sign=polarity_sign(polarity, _DOING),
        cut_mv=cut_level,
        reference_pulse=_read_reference(io.setup_dir, reference_pulse_file),
    )
    finder = DecayFinder(config, reader.dtype)
    check_samples(number_of_samples, finder.samples, _DOING)
    split = _Split(io, finder, signature_sinks)
    while (batch := reader.take(_EVENTS_AT_ONCE)) is not None:
        decays = finder.find(batch.events)
        if decays:
            rows = np.array([decay.event for decay in decays], dtype=np.intp)
            if split.waveforms is not None:
                write_events(split.waveforms, batch.events[rows], batch, rows)
            for sink, which in split.by_sink(decays):
                some = [decays[k] for k in which]
                write_events(sink, parameter_events(some, sink.dtype), batch, rows[which])
        reader.release()


class _Split:
    """Which sink gets what."""

    def __init__(self, io: FunctionIO, finder: DecayFinder, signature_sinks: Sequence[int]) -> None:
        writers = list(io.writers)
        alone = len(writers) == 1 and "decay_time" in (writers[0].dtype.names or ())
        self.waveforms = None if alone else writers[0]
        self._parameters = writers if alone else writers[1:]
        if self.waveforms is not None:
            check_fields(self.waveforms.dtype, finder.channels, _DOING)
            check_samples(channels_of(self.waveforms.dtype, _DOING)[1], finder.samples, f"{_DOING}, first sink")
        for sink in self._parameters:
            check_fields(sink.dtype, delivered_fields(finder.channels), _DOING)
        self._sink_of = self._assign(len(finder.signatures), signature_sinks)

    def _assign(self, signatures: int, asked: Sequence[int]) -> list[int]:
        sinks = len(self._parameters)
        if not asked:
            return [k if k < sinks else 0 for k in range(signatures)]
        first = 0 if self.waveforms is None else 1
        if len(asked) != signatures or not all(first <= sink < first + sinks for sink in asked):
            raise ValueError(
                f"{_DOING}: signature_sinks is {list(asked)}; give one number for each of the {signatures} signatures, "
                f"from {first} to {first + sinks - 1} (0 is the first sink)"
            )
        return [sink - first for sink in asked]

    def by_sink(self, decays: list[Decay]) -> list[tuple[Any, list[int]]]:
        """Give each parameter sink that gets some of the decays, with their indices."""
        wanted = [self._sink_of[decay.signature] for decay in decays]
        return [
            (sink, which)
            for number, sink in enumerate(self._parameters)
            if (which := [k for k, sink_number in enumerate(wanted) if sink_number == number])
        ]


def parameter_events(decays: list[Decay], dtype: np.dtype[Any]) -> Events:
    """Put the parameters of decays into events of a sink's dtype, which names the parameters it wants."""
    events = np.zeros(len(decays), dtype=dtype)
    for name in dtype.names or ():
        values = np.array([decay.parameters[name] for decay in decays])
        events[name] = values.reshape((-1,) + (1,) * (events[name].ndim - 1))
    return events


def _read_reference(setup_dir: Path, name: str) -> FloatArray | None:
    if not name:
        return None
    path = setup_dir / name
    try:
        pulse = np.fromfile(path, dtype=np.float64)
    except OSError as error:
        raise ValueError(f"{_DOING}: reading the reference pulse {path}: {error.strerror}") from error
    if not len(pulse) or not np.isfinite(pulse).all():
        raise ValueError(f"{_DOING}: the reference pulse {path} is empty or not of finite float64 numbers")
    return pulse
