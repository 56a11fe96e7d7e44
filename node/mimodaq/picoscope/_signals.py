"""Signals for scopes that do not exist: pulses, recordings, and a pattern whose samples tell where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int16]
"""Shape (captures, channels, samples)."""

_MUON_LIFETIME_NS: Final = 2197.0


@dataclass(frozen=True, slots=True)
class View:
    """How the scope looks at a signal: for each channel that is on, and for all."""

    indices: tuple[int, ...]
    ranges_v: tuple[float, ...]
    offsets_v: tuple[float, ...]
    full_scale: int
    samples: int
    pre: int
    interval_ns: float


class Signal(Protocol):
    """Something to look at."""

    def captures(self, first: int, count: int, view: View) -> Counts:
        """Captures number `first`... as the scope digitises them, not clipped by anything but the scope."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Sample i of channel c in capture k is a number made of k, c and i: a byte that moves is noticed."""

    def captures(self, first: int, count: int, view: View) -> Counts:
        """Captures of the pattern."""
        k = np.arange(first, first + count, dtype=np.int64)[:, np.newaxis, np.newaxis]
        c = np.array(view.indices, dtype=np.int64)[np.newaxis, :, np.newaxis]
        i = np.arange(view.samples, dtype=np.int64)
        return ((k * 7919 + c * 1009 + i * 31) % 32000 - 16000).astype(np.int16)


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded waveforms in V, shape (events, channels, samples), again and again; silence beyond them."""

    volts: npt.NDArray[np.floating[Any]]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read a .npy file of that shape. Raises ValueError for anything else."""
        found = np.load(path, mmap_mode="r")
        if found.ndim != 3 or found.dtype.kind != "f":
            raise ValueError(
                f"{path}: floats of shape (events, channels, samples) expected, {found.dtype} {found.shape}"
            )
        return cls(found)

    def captures(self, first: int, count: int, view: View) -> Counts:
        """Captures of the recording."""
        events = np.arange(first, first + count) % len(self.volts)
        out = np.zeros((count, len(view.indices), view.samples))
        known = [i for i in view.indices if i < self.volts.shape[1]]
        length = min(view.samples, self.volts.shape[2])
        for row, index in enumerate(known):
            out[:, row, :length] = self.volts[events, index, :length]
        return digitise(out, view)


@dataclass(frozen=True, slots=True)
class Pulses:
    """Pulses of a scintillator at the trigger; some are followed by a second one, as when a muon stops and decays."""

    seed: int = 1
    height_v: float = 0.1
    """Mean height of the part above the least one."""
    least_v: float = 0.04
    sign: int = -1
    noise_v: float = 0.001
    decay_ns: float = 40.0
    efficiency: float = 0.95
    """Probability that a channel other than the first sees the pulse."""
    stopped: float = 0.1
    """Part of the events with a second pulse."""
    lifetime_ns: float = _MUON_LIFETIME_NS

    def captures(self, first: int, count: int, view: View) -> Counts:
        """Captures of pulses; the same number gives the same capture."""
        rng = np.random.default_rng((self.seed, first))
        channels = len(view.indices)
        out = rng.normal(0.0, self.noise_v, (count, channels, view.samples))
        times = np.arange(view.samples) - view.pre
        self._add(out, rng, times, np.zeros(count), np.ones(count, np.bool_), view)
        later = rng.exponential(self.lifetime_ns / view.interval_ns, count)
        self._add(out, rng, times, later, rng.random(count) < self.stopped, view)
        return digitise(out, view)

    def _add(
        self,
        out: npt.NDArray[np.float64],
        rng: np.random.Generator,
        times: npt.NDArray[np.int64],
        at: npt.NDArray[np.float64],
        chosen: npt.NDArray[np.bool_],
        view: View,
    ) -> None:
        heights = self.least_v + rng.exponential(self.height_v, out.shape[:2])
        heights[:, 1:] *= rng.random((len(out), out.shape[1] - 1)) < self.efficiency
        for k in np.flatnonzero(chosen):
            since = (times - at[k]) * view.interval_ns / self.decay_ns
            shape = np.where(since >= 0, np.exp(-np.clip(since, 0, 50)), np.exp(np.clip(since, -50, 0) * 10))
            out[k] += self.sign * heights[k][:, np.newaxis] * shape


def digitise(volts: npt.NDArray[np.float64], view: View) -> Counts:
    """Voltages as the converter gives them: offset added, clipped to the range."""
    gain = view.full_scale / np.array(view.ranges_v)[:, np.newaxis]
    counts = np.rint((volts + np.array(view.offsets_v)[:, np.newaxis]) * gain)
    clipped: Counts = np.clip(counts, -view.full_scale, view.full_scale).astype(np.int16)
    return clipped


def overflow_masks(counts: Counts, indices: Sequence[int], full_scale: int) -> npt.NDArray[np.int16]:
    """The channels of each capture that have reached the end of their range."""
    hit = (np.abs(counts.astype(np.int32)) >= full_scale).any(axis=2)
    weights = np.array([1 << index for index in indices])
    masks: npt.NDArray[np.int16] = (hit * weights).sum(axis=1).astype(np.int16)
    return masks
