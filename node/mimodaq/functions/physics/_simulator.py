"""Simulated pulses of a stack of scintillator layers: cosmic muons, some of which stop and decay.

The physics is that of mimoCoRB's simulator. A muon gives a pulse at the trigger position in every layer it
crosses: in all of them, or, when it stops in the absorber under the second layer, in the first two. A stopped
muon decays after an exponential time of mean 2197 ns; the electron goes up (pulses in layers 1 and 2) or down
(layers 3 and 4). The spin of the muon turns in a magnetic field, which makes the probability of "up"
oscillate with that time: 1/2 (1 + A cos(2 pi t / T)), with A = 3 % and T = 0.85 mean lives. Each layer
detects with a given efficiency. Pulses are an exponential edge of a Gaussian height; all channels have
uniform noise. Waveforms are in mV.

Random numbers come in blocks of `BLOCK_EVENTS` events: numpy's SFC64 generator, seeded with (seed, block,
stream). An event therefore depends on the seed and its number only: not on how many are made at once, nor by
which process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._io import Events, channels_of, polarity_sign

MUON_LIFETIME_NS: Final = 2197.0
SPIN_PERIOD: Final = 0.85
"""Period of the spin precession in muon lifetimes."""

BLOCK_EVENTS: Final = 64
"""Events that share a seed. Changing it changes every simulated event."""

_SCRATCH_BYTES: Final = 1 << 18
_PHYSICS, _NOISE = 0, 1  # streams of random numbers of a block

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PulseConfig:
    """What is simulated. Names in the comments are the options of mimoCoRB."""

    analogue_offset_mv: float = 0.0
    """Added to all samples, in mV (`analogue_offset`, there in V)."""
    sample_time_ns: float = 4.0
    pre_trigger_samples: int = 0
    """Sample at which the first pulse begins."""
    trigger_level_mv: float | None = None
    """Lowest height in layer 1, offset included, in mV (`trigger_level`); None: as if 0 above the offset."""
    pulse_samples: int = 100
    """Length of a pulse in samples (`pulseWindow`); its decay time is a quarter of it."""
    heights_mv: tuple[float, ...] = (250.0,)
    """Mean heights, each equally probable (`pulseHeight`)."""
    spreads_mv: tuple[float, ...] | None = None
    """Standard deviation of the height, one for each mean (`pulseSpread`); None: 0.3 of the mean."""
    efficiency: float = 0.95
    """Probability that a layer sees a particle (`prbInteraction`)."""
    stopping_probability: float = 0.10
    """Fraction of muons that stop and decay (`prb2ndPulse`)."""
    asymmetry: float = 0.03
    """Amplitude A of the spin precession; 0 switches it off."""
    noise_mv: float | None = None
    """Full width of the uniform noise; None: a thirtieth of the mean height."""
    polarity: str = "positive"

    def __post_init__(self) -> None:
        for name in ("efficiency", "stopping_probability", "asymmetry"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"simulating pulses: {name} is {getattr(self, name)}; give a value from 0 to 1")
        if not self.heights_mv or (self.spreads_mv and len(self.spreads_mv) != len(self.heights_mv)):
            raise ValueError(
                f"simulating pulses: there are {len(self.heights_mv)} pulse heights and "
                f"{len(self.spreads_mv or ())} spreads; give at least one height, and one spread or one for each"
            )
        if self.pulse_samples < 1 or self.pre_trigger_samples < 0 or self.sample_time_ns <= 0:
            raise ValueError(
                "simulating pulses: the pulse window and the sample time must be above 0 and pre_trigger_samples not "
                f"below; found {self.pulse_samples}, {self.sample_time_ns} and {self.pre_trigger_samples}"
            )
        polarity_sign(self.polarity, "simulating pulses")
        highest = max(mean + 4 * spread for mean, spread in zip(self.heights_mv, self.spreads, strict=True))
        if self.trigger_height_mv > highest:
            raise ValueError(
                f"simulating pulses: a pulse would need {self.trigger_height_mv:g} mV to reach the trigger level, "
                f"but hardly any exceeds {highest:g} mV. Lower 'trigger_level' (in mV, offset included) or raise "
                "'pulseHeight'."
            )

    @property
    def spreads(self) -> tuple[float, ...]:
        """Standard deviation of the height in mV, one for each mean height."""
        return self.spreads_mv or tuple(0.3 * mean for mean in self.heights_mv)

    @property
    def trigger_height_mv(self) -> float:
        """Lowest height of a trigger pulse above the offset, in mV."""
        return 0.0 if self.trigger_level_mv is None else self.trigger_level_mv - self.analogue_offset_mv


@dataclass(frozen=True, slots=True)
class SimulatedTruth:
    """What was simulated in the events of a block; heights are 0 where a layer saw nothing."""

    first_mv: npt.NDArray[np.float32]
    """Heights at the trigger position, shape (events, channels)."""
    second_mv: npt.NDArray[np.float32]
    """Heights of the decay electron, shape (events, channels)."""
    decay_time_ns: FloatArray
    """Time of the decay, shape (events,); nan for muons that crossed."""
    upward: npt.NDArray[np.bool_]
    """Whether the electron went up, shape (events,); meaningless for muons that crossed."""


class PulseSimulator:
    """Fill events with simulated waveforms, any number at a time.

    `dtype` is the buffer's: one field of shape (samples,) per layer. With the same `seed` the event of a
    given number is always the same. Raises ValueError if the channels differ in length or the first pulse
    does not fit.
    """

    def __init__(self, config: PulseConfig, dtype: np.dtype[Any], seed: int) -> None:
        self.config = config
        self.channels, self.samples = channels_of(dtype, "simulating pulses")
        if config.pre_trigger_samples + config.pulse_samples > self.samples:
            raise ValueError(
                f"simulating pulses: a pulse of {config.pulse_samples} samples beginning at "
                f"{config.pre_trigger_samples} does not fit into {self.samples} samples"
            )
        self._seed = seed
        self._block = -1
        self._truth: SimulatedTruth
        self._noise: np.random.Generator
        self._noise_at = 0
        sign = polarity_sign(config.polarity, "simulating pulses")
        decay = np.arange(config.pulse_samples) / (config.pulse_samples / 4)
        self._template = np.float32(sign) * np.exp(-decay).astype(np.float32)
        noise = config.noise_mv if config.noise_mv is not None else float(np.mean(config.heights_mv)) / 30
        self._noise_scale = np.float32(-noise)
        self._base = np.float32(config.analogue_offset_mv + noise / 2)
        step = max(1, _SCRATCH_BYTES // (4 * len(self.channels) * self.samples))
        self._scratch = np.empty((step, len(self.channels), self.samples), dtype=np.float32)

    def fill(self, events: Events, first: int) -> None:
        """Write the events numbered `first`, `first` + 1, ... into the records of `events` (shape (n,))."""
        done = 0
        while done < len(events):
            block, offset = divmod(first + done, BLOCK_EVENTS)
            self._open(block)
            n = min(len(events) - done, BLOCK_EVENTS - offset, len(self._scratch))
            self._write(events[done : done + n], offset)
            done += n

    def truth(self, block: int) -> SimulatedTruth:
        """Give what is simulated in events `block` * `BLOCK_EVENTS` and following."""
        self._open(block)
        return self._truth

    def _open(self, block: int) -> None:
        if block != self._block:
            self._truth = self._draw(self._generator(block, _PHYSICS))
            self._block, self._noise_at = block, -1

    def _generator(self, block: int, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence((self._seed, block, stream))))

    def _draw(self, random: np.random.Generator) -> SimulatedTruth:
        """Draw everything but the noise for one block; the order of the draws is part of what a seed means."""
        config, shape = self.config, (BLOCK_EVENTS, len(self.channels))
        stopped = random.random(BLOCK_EVENTS) < config.stopping_probability
        first = self._heights(random, shape)
        while (low := first[:, 0] < config.trigger_height_mv).any():
            first[low, 0] = self._heights(random, (int(low.sum()), 1))[:, 0]
        first *= random.random(shape) < config.efficiency
        first[stopped, 2:] = 0

        life = random.standard_exponential(BLOCK_EVENTS) * MUON_LIFETIME_NS
        precession = np.cos(2 * math.pi * life / (SPIN_PERIOD * MUON_LIFETIME_NS))
        upward = random.random(BLOCK_EVENTS) < 0.5 + 0.5 * config.asymmetry * precession
        second = self._heights(random, shape) * (random.random(shape) < config.efficiency)
        second[~stopped] = 0
        second[upward, 2:] = 0
        second[~upward, :2] = 0
        second[:, 4:] = 0
        position = self._position(life)
        second[position >= self.samples - config.pulse_samples] = 0
        return SimulatedTruth(
            first.astype(np.float32), second.astype(np.float32), np.where(stopped, life, np.nan), upward
        )

    def _heights(self, random: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
        means, spreads = np.array(self.config.heights_mv), np.array(self.config.spreads)
        which = random.integers(len(means), size=shape) if len(means) > 1 else np.zeros(shape, dtype=np.intp)
        heights: FloatArray = means[which] + spreads[which] * random.standard_normal(shape)
        return heights

    def _position(self, decay_time_ns: FloatArray) -> npt.NDArray[np.intp]:
        """Give the sample at which the second pulse begins: whole samples after the first."""
        return (decay_time_ns / self.config.sample_time_ns).astype(np.intp) + self.config.pre_trigger_samples

    def _write(self, events: Events, offset: int) -> None:
        n = len(events)
        wave = self._scratch[:n]
        self._draw_noise(wave, offset)
        wave *= self._noise_scale
        wave += self._base
        begin, length = self.config.pre_trigger_samples, self.config.pulse_samples
        wave[:, :, begin : begin + length] += self._truth.first_mv[offset : offset + n, :, np.newaxis] * self._template
        second = self._truth.second_mv[offset : offset + n]
        for event in np.flatnonzero(second.any(axis=1)):
            at = int(self._position(self._truth.decay_time_ns[offset + event]))
            wave[event, :, at : at + length] += second[event, :, np.newaxis] * self._template
        for column, name in enumerate(self.channels):
            events[name] = np.rint(wave[:, column]) if events.dtype[name].base.kind in "iu" else wave[:, column]

    def _draw_noise(self, wave: npt.NDArray[np.float32], offset: int) -> None:
        """Continue the block's noise at event `offset`, from the start of the block where it is not the next one."""
        if self._noise_at < 0 or offset < self._noise_at:
            self._noise, self._noise_at = self._generator(self._block, _NOISE), 0
        for _ in range(self._noise_at, offset):
            self._noise.random(out=wave[0], dtype=np.float32)
        self._noise.random(out=wave, dtype=np.float32)
        self._noise_at = offset + len(wave)


def heights_option(value: float | Sequence[float]) -> tuple[float, ...]:
    """Turn the option pulseHeight, a number or a list of numbers, into a tuple."""
    return tuple(float(item) for item in value) if isinstance(value, Sequence) else (float(value),)
