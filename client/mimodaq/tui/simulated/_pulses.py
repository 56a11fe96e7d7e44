"""Events that look like those of the experiment: waveforms with pulses, and their heights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mimodaq.config import BufferSpec

_TRIGGER = 200
_RISE, _DECAY = 3.0, 25.0  # samples


def events_of(spec: BufferSpec, number: int, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Some events of a buffer; fields with samples get a waveform, `delay` a delay, everything else a pulse height."""
    events = np.zeros(number, spec.event_dtype)
    for field in spec.fields:
        values = events[field.name]
        if field.samples >= 100:
            values[...] = _waveforms(number, field.samples, generator)
        elif "delay" in field.name:
            values[..., 0] = generator.normal(24.0, 6.0, number)
        else:
            values[..., 0] = _heights(number, generator)
    return events


def _heights(number: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """A peak of muons over a falling background, mV."""
    is_muon = generator.random(number) < 0.7
    muons = 150 + 30 * generator.standard_normal(number) + generator.exponential(25, number)
    return np.where(is_muon, muons, generator.exponential(60, number) + 30)


def _waveforms(number: int, samples: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    t = np.arange(samples)
    waves = generator.normal(0, 1.5, (number, samples))
    heights = np.minimum(_heights(number, generator), 400)
    waves -= heights[:, None] * _shape(t - _TRIGGER + generator.normal(0, 1, (number, 1)))
    late = generator.random(number) < 0.15
    where = generator.uniform(_TRIGGER + 60, samples - 60, number)
    waves -= (late * heights * 0.6)[:, None] * _shape(t - where[:, None])
    return waves


def _shape(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    after = np.maximum(t, 0.0)
    shape: npt.NDArray[np.float64] = (1 - np.exp(-after / _RISE)) * np.exp(-after / _DECAY) * 1.5
    return shape
