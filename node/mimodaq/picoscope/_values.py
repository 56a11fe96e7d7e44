"""From physical units to what the drivers take, and back. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mimodaq.picoscope._families import EXTERNAL_FULL_SCALE, EXTERNAL_RANGE_V
from mimodaq.picoscope._settings import EDGES, LONGEST_AUTO_S, WAVES, Channel, Generator, Trigger
from mimodaq.picoscope._status import ScopeError

DIRECTIONS: Final = {"above": 0, "below": 1, "rising": 2, "falling": 3, "either": 4}
assert set(DIRECTIONS) == set(EDGES)
WAVE_CODES: Final = dict(zip(WAVES, range(len(WAVES)), strict=True))
_HIGHEST_TIMEBASE: Final = 2**32 - 1


def threshold_counts(level_v: float, range_v: float, offset_v: float, full_scale: int) -> int:
    """A trigger level in counts, clipped to what the converter can give."""
    counts = round(full_scale * (level_v + offset_v) / range_v)
    return max(-full_scale, min(full_scale, counts))


def trigger_counts(trigger: Trigger, channels: dict[str, Channel], full_scale: int) -> int:
    """The level of `trigger` in counts; the external input has a scale of its own."""
    channel = channels.get(trigger.source)
    if channel is None:
        return threshold_counts(trigger.level_v, EXTERNAL_RANGE_V, 0.0, EXTERNAL_FULL_SCALE)
    return threshold_counts(trigger.level_v, channel.range_v, channel.offset_v, full_scale)


def auto_ms(auto_s: float) -> int:
    """The automatic trigger in ms, 0 = never. Never 0 for a short time, never more than 16 bits hold."""
    if not 0 <= auto_s <= LONGEST_AUTO_S:
        raise ValueError(f"automatic trigger after {auto_s} s: 0 to {LONGEST_AUTO_S} s are possible")
    return max(1, round(auto_s * 1000)) if auto_s else 0


def delay_samples(delay_s: float, interval_ns: float) -> int:
    """A trigger delay in samples."""
    return round(delay_s * 1e9 / interval_ns)


def gain_and_offset(channel: Channel, full_scale: int) -> tuple[float, float]:
    """Give both for volts = counts * gain + offset."""
    return channel.range_v / full_scale, 0.0 - channel.offset_v


@dataclass(frozen=True, slots=True)
class GeneratorValues:
    """The signal generator in the driver's units."""

    wave: int
    offset_uv: int
    amplitude_uv: int
    frequency_hz: float


def generator_values(generator: Generator) -> GeneratorValues:
    """The settings of the signal generator in the driver's units."""
    return GeneratorValues(
        WAVE_CODES[generator.wave],
        round(generator.offset_v * 1e6),
        round(generator.amplitude_v * 1e6),
        generator.frequency_hz,
    )


@dataclass(frozen=True, slots=True)
class Timebase:
    """A sampling that the device offers."""

    number: int
    interval_ns: float
    most_samples: int


Ask = Callable[[int], Timebase | None]
"""What the device says about a timebase number; None: not available with these channels."""


def find_timebase(ask: Ask, wanted_ns: float, tolerance: float) -> Timebase:
    """The timebase nearest to a sample interval; ScopeError if it is off by more than `tolerance` (a part of it).

    Needs nothing but that intervals grow with the number and that only the fastest may be missing: how they grow
    differs from model to model.
    """
    low, high = -1, 1
    while (found := ask(high)) is None or found.interval_ns < wanted_ns:
        if high == _HIGHEST_TIMEBASE:
            break
        low, high = high, min(2 * high, _HIGHEST_TIMEBASE)
    while high - low > 1:  # at `low` it is too fast or not available, at `high` slow enough
        middle = (low + high) // 2
        found = ask(middle)
        low, high = (middle, high) if found is None or found.interval_ns < wanted_ns else (low, middle)
    offered = [timebase for number in (low, high) if number >= 0 and (timebase := ask(number)) is not None]
    if not offered:
        raise ScopeError(f"sampling at {wanted_ns:g} ns: the scope offers no timebase; switch channels off")
    best = min(offered, key=lambda timebase: abs(timebase.interval_ns - wanted_ns))
    if abs(best.interval_ns - wanted_ns) > tolerance * wanted_ns:
        near = " and ".join(f"{timebase.interval_ns:g} ns" for timebase in offered)
        raise ScopeError(
            f"sampling at {wanted_ns:g} ns: the scope offers {near} with these channels. "
            "Correct `sample_interval`, switch channels off, or allow more with `tolerance: 5 %`."
        )
    return best
