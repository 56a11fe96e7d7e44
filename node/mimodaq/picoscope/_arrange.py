"""Open a scope and set it up as the setup wants; what it has really set is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mimodaq.picoscope._absent import OR_NONE, nobody, refuse_to_guess
from mimodaq.picoscope._driver import ScopeDriver, Unit
from mimodaq.picoscope._families import AUTO_ORDER, FAMILIES
from mimodaq.picoscope._fields import Fields
from mimodaq.picoscope._load import LibraryMissingError
from mimodaq.picoscope._sdk6000 import open_driver
from mimodaq.picoscope._settings import Settings, SettingsError, check_settings
from mimodaq.picoscope._status import NO_SEGMENTS, NoScopeError, ScopeError, StatusError
from mimodaq.picoscope._values import (
    DIRECTIONS,
    Timebase,
    auto_ms,
    delay_samples,
    find_timebase,
    gain_and_offset,
    generator_values,
    trigger_counts,
)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A scope that is set up."""

    unit: Unit
    timebase: Timebase
    pre: int
    post: int
    captures: int
    """Most captures of a batch."""
    full_scale: int
    record: dict[str, Any]
    """What was really set, in physical units, for the record of the run."""

    @property
    def samples(self) -> int:
        """Samples of a capture and channel."""
        return self.pre + self.post

    @property
    def window_ns(self) -> float:
        """Length of a capture."""
        return self.samples * self.timebase.interval_ns


def find_driver(settings: Settings) -> ScopeDriver:
    """The driver of the family; for `auto` that of the first family with a scope, or with the one asked for."""
    if settings.known_family is not None:
        return open_driver(settings.known_family, settings.library)
    seen = []
    missing: list[LibraryMissingError] = []
    for name in AUTO_ORDER:
        try:
            driver = open_driver(FAMILIES[name], settings.library)
        except LibraryMissingError as error:
            missing.append(error)
            seen.append(f"{name}: no library")
            continue
        units = driver.units()
        if settings.serial in units or (units and settings.serial is None):
            return driver
        seen.append(f"{name}: {', '.join(units) or 'no scope'}")
    if len(missing) == len(AUTO_ORDER):
        raise LibraryMissingError(f"looking for a scope of any family: no library was found. For example {missing[0]}")
    raise NoScopeError(
        f"looking for a scope of any family: {'; '.join(seen)}. Plug it in, close PicoScope 7 and other programs that "
        f"may hold it; `mimodaq doctor` looks at libraries and permissions. {OR_NONE}"
    )


def look_for(settings: Settings) -> None:
    """See that library and scope are there, without opening it. Raises ScopeError with the remedy, ScopeLostError."""
    driver = find_driver(settings)
    free = driver.units()
    if settings.serial is None:
        refuse_to_guess(driver.family, free)
    if not free or (settings.serial is not None and settings.serial not in free):
        raise NoScopeError(nobody(driver.family, settings.serial, free))


def arrange(driver: ScopeDriver, settings: Settings, fields: Fields) -> Arrangement:
    """Open the scope and set everything. Raises ScopeError with what cannot be had, ScopeLostError."""
    family = driver.family
    faults = check_settings(_with_family(settings, family.name))
    if faults:
        raise SettingsError(faults)
    bits = settings.resolution_bits or family.default_bits
    unit = driver.open(settings.serial, bits)
    try:
        return _set_up(driver, settings, fields, unit, bits)
    except BaseException:
        driver.close()
        raise


def _with_family(settings: Settings, name: str) -> Settings:
    return settings if settings.family == name else replace(settings, family=name)


def _set_up(driver: ScopeDriver, settings: Settings, fields: Fields, unit: Unit, bits: int) -> Arrangement:
    family = driver.family
    full_scale = driver.full_scale()
    _check_full_scale(full_scale, settings, fields, driver, bits)
    on = {channel.letter: channel for channel in fields.channels}
    for index, letter in enumerate(family.channels):
        channel = on.get(letter)
        if channel is None:
            driver.switch_off(index)
            continue
        code, coupling = family.ranges[channel.range_v], family.couplings[channel.coupling]
        low, high = driver.offset_limits(code, coupling)
        if not low <= channel.offset_v <= high:
            raise ScopeError(
                f"channel {letter}: an offset of {channel.offset_v:g} V is not possible in the range of "
                f"{channel.range_v:g} V with this model ({low:g} to {high:g} V). Correct `offset` or `range`."
            )
        bandwidth = family.bandwidths.get(channel.bandwidth_hz, 0)
        driver.set_channel(index, code, coupling, channel.offset_v, bandwidth)
    captures, memory = _segment(driver, settings)
    samples = fields.samples
    if samples * len(on) > memory:
        fit = captures * memory // (samples * len(on))
        raise ScopeError(
            f"{captures} captures of {len(on)} x {samples} samples do not fit into the scope's memory. "
            + (f"Lower `captures` to {fit} at most." if fit else "Lower `samples`, or switch channels off.")
        )
    timebase = find_timebase(lambda n: driver.timebase(n, samples), settings.interval_ns, settings.tolerance)
    trigger = settings.trigger
    threshold = delay = 0
    if trigger.source == "none":
        driver.set_trigger(None, 0, DIRECTIONS["rising"], 0, 0)
    else:
        source = family.external.get(trigger.source, ord(trigger.source[0]) - ord("A"))
        threshold = trigger_counts(trigger, on, full_scale)
        delay = delay_samples(trigger.delay_s, timebase.interval_ns)
        driver.set_trigger(source, threshold, DIRECTIONS[trigger.edge], delay, auto_ms(trigger.auto_s))
    if settings.generator is not None:
        driver.set_generator(generator_values(settings.generator))
    pre = settings.pre_samples(samples)
    record = {
        "scope": {"family": family.name, **unit.as_dict()},
        "sample_interval_ns": timebase.interval_ns,
        "samples": samples,
        "pre_trigger_samples": pre,
        "resolution_bits": bits,
        "full_scale_counts": full_scale,
        "captures": captures,
        "mode": "rapid" if captures > 1 else "block",
        "channels": {
            channel.name: {
                "channel": channel.letter,
                "range_V": channel.range_v,
                "coupling": channel.coupling,
                "offset_V": channel.offset_v,
                "bandwidth_Hz": channel.bandwidth_hz or "full",
                **dict(zip(("gain_V", "zero_V"), gain_and_offset(channel, full_scale), strict=True)),
            }
            for channel in fields.channels
        },
        "trigger": {
            "source": trigger.source,
            "level_V": trigger.level_v,
            "level_counts": threshold,
            "edge": trigger.edge,
            "delay_ns": delay * timebase.interval_ns,
            "auto_s": trigger.auto_s or "never",
        },
    }
    return Arrangement(unit, timebase, pre, samples - pre, captures, full_scale, record)


def _check_full_scale(found: int, settings: Settings, fields: Fields, driver: ScopeDriver, bits: int) -> None:
    """Refuse counts whose meaning is not the one that was told to the readers."""
    expected = settings.full_scale or driver.family.full_scales[bits]
    if fields.is_counts and found != expected:
        raise ScopeError(
            f"the range of this scope ends at {found} counts, readers of the buffer were told {expected}. "
            f"Write `full_scale: {found}`."
        )


def _segment(driver: ScopeDriver, settings: Settings) -> tuple[int, int]:
    """Divide the memory; gives captures of a batch and samples of one. A model without segments is left with one."""
    wanted = 1 if settings.mode == "block" else settings.captures
    most = driver.most_segments()
    captures = min(wanted, most)
    try:
        memory = driver.segment(captures)
    except StatusError as error:
        if captures == 1 or error.status not in NO_SEGMENTS:
            raise
        captures, memory = 1, driver.segment(1)
    driver.set_captures(captures)
    return captures, memory
