"""What the user wants from the scope, in physical units, read from the options of a setup and checked.

Pure: nothing here knows a device. What only the device can tell (does this model have that range?) is checked
when it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mimodaq.config import QuantityError, nearest, parse_quantity
from mimodaq.picoscope._ancestors import translate
from mimodaq.picoscope._families import EXTERNAL_RANGE_V, FAMILIES, Family
from mimodaq.picoscope._options import Fault, Options
from mimodaq.picoscope._status import ScopeError

EDGES: Final = ("rising", "falling", "either", "above", "below")
WAVES: Final = ("sine", "square", "triangle", "ramp up", "ramp down", "sinc", "gaussian", "half sine", "dc")
MOST_CAPTURES: Final = 100_000
MOST_MEMORY: Final = 2 << 30
"""Samples of the largest model."""
LONGEST_AUTO_S: Final = 32.767
"""The driver's milliseconds have 16 bits; more would be cut silently."""
_SHARED: Final = "directory_prefix"
_LETTER: Final = re.compile(r"[A-H]")
_COUNT: Final = re.compile(r"\s*(\d+)\s*(samples?)?\s*")


class SettingsError(ScopeError):
    """The options do not make a readout; `faults` has all of them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Channel:
    """One input."""

    letter: str
    range_v: float
    """The input goes from minus to plus this, before the offset."""
    coupling: str = "DC"
    offset_v: float = 0.0
    """Added to the signal before it is digitised; subtracted again in volts."""
    name: str = ""
    """Field of the buffer that takes it."""
    bandwidth_hz: float = 0.0
    """0: full bandwidth."""

    @property
    def index(self) -> int:
        """Number of the channel, A = 0."""
        return ord(self.letter) - ord("A")


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a capture."""

    source: str = "A"
    """A channel, EXT, AUX, or `none` (captures follow each other at once)."""
    level_v: float = 0.0
    """At the input, whatever the offset."""
    edge: str = "rising"
    delay_s: float = 0.0
    """From the trigger to the first sample after it."""
    auto_s: float = 0.0
    """Trigger without a signal after this time; 0: never."""


@dataclass(frozen=True, slots=True)
class Generator:
    """The signal generator."""

    wave: str
    frequency_hz: float
    amplitude_v: float
    """Peak to peak."""
    offset_v: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a readout needs to know."""

    channels: tuple[Channel, ...]
    interval_ns: float
    """Time between two samples of a channel."""
    trigger: Trigger = Trigger()
    family: str = "auto"
    serial: str | None = None
    driver: str = "picosdk"
    library: str | None = None
    """File or folder of the vendor's library, if it is not where the system looks."""
    resolution_bits: int = 0
    """0: the family's lowest, which is the fastest."""
    full_scale: int = 0
    """Counts at the upper end of a range; 0: those of the family."""
    samples: int = 0
    """Samples a channel; 0: as many as the buffer holds."""
    pre_trigger: float = 0.0
    """Part of the samples before the trigger."""
    pre_trigger_samples: int | None = None
    captures: int = 500
    """Most captures of a batch."""
    max_latency_s: float = 0.2
    """A batch that is not full after this time is ended and read."""
    channels_from_buffer: bool = False
    """Only the channels are read that the buffer has a field for."""
    mode: str = "rapid"
    generator: Generator | None = None
    on_disconnect: str = "reopen"
    unit: str = "V"
    """Unit of buffers of floats."""
    tolerance: float = 0.01
    """How far the sample interval may be off, as a part of it."""
    rearm_ns: float = 0.0
    """Dead time between two captures of a batch, if known."""
    simulation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known_family(self) -> Family | None:
        """The family; None if it has to be found out."""
        return FAMILIES.get(self.family)

    def pre_samples(self, samples: int) -> int:
        """Samples before the trigger of `samples`."""
        if self.pre_trigger_samples is not None:
            return self.pre_trigger_samples
        return round(self.pre_trigger * samples)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings of a readout from its options; raises SettingsError with everything wrong."""
    faults: list[Fault] = []
    options = Options(translate(config, faults), "", faults)
    options.get(_SHARED)
    settings = _read(options)
    options.finish()
    if not faults:
        faults += check_settings(settings)
    if faults:
        raise SettingsError(faults)
    return settings


def _read(options: Options) -> Settings:
    driver = options.choice("driver", ("picosdk", "simulate"), "picosdk")
    family = options.choice("family", ("auto", *FAMILIES), "ps3000a" if driver == "simulate" else "auto")
    batch = options.mapping("batch") or Options({}, "batch: ", [])
    captures = batch.whole("captures", 500, 1, MOST_CAPTURES)
    latency = batch.quantity("max_latency", "s", 0.2, 1e-3)
    batch.finish()
    fraction, count = _pre_trigger(options)
    simulation = options.get("simulation", {})
    if not isinstance(simulation, Mapping):
        options.fault("simulation", f"options as {{name: value}} are expected, {simulation!r} found")
        simulation = {}
    serial = options.get("serial")
    return Settings(
        channels=_channels(options),
        interval_ns=options.quantity("sample_interval", "s", least=1e-11) * 1e9,
        trigger=_trigger(options),
        family=family,
        serial=None if serial is None else str(serial),
        driver=driver,
        library=options.get("library"),
        resolution_bits=_bits(options),
        full_scale=options.whole("full_scale", 0, 0, 32767),
        samples=options.whole("samples", 0, 0, MOST_MEMORY),
        pre_trigger=fraction,
        pre_trigger_samples=count,
        captures=captures,
        max_latency_s=latency,
        channels_from_buffer=options.flag("channels_from_buffer", False),
        mode=options.choice("mode", ("rapid", "block"), "rapid"),
        generator=_generator(options),
        on_disconnect=options.choice("on_disconnect", ("reopen", "fail"), "reopen"),
        unit=options.choice("unit", ("V", "mV"), "V"),
        tolerance=options.quantity("tolerance", "", 0.01, 0.0),
        rearm_ns=options.quantity("rearm_time", "s", 0.0, 0.0) * 1e9,
        simulation=dict(simulation),
    )


def _bits(options: Options) -> int:
    value = options.get("resolution", 0)
    text = str(value).lower().removesuffix("bit").removesuffix("bits").strip()
    if not text.isdecimal():
        options.fault("resolution", f"a number of bits is expected, {value!r} found; write for example `12 bit`")
        return 0
    return int(text)


def _pre_trigger(options: Options) -> tuple[float, int | None]:
    """Part of the samples, or their number."""
    value = options.get("pre_trigger", 0)
    if (match := _COUNT.fullmatch(str(value))) is not None:
        return 0.0, int(match[1])
    try:
        fraction = parse_quantity(value, "")
    except QuantityError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        options.fault("pre_trigger", f"a part or a number of samples is expected (20 %, 200), {value!r} found")
        return 0.0, None
    return fraction, None


def _channels(options: Options) -> tuple[Channel, ...]:
    given = options.mapping("channels")
    if given is None:
        if "channels" not in options:
            options.fault("channels", "is missing; write for example `channels: {A: {range: 500 mV}}`")
        return ()
    found = []
    for letter in given.keys():  # noqa: SIM118 - not a mapping
        channel = given.mapping(letter)
        if not _LETTER.fullmatch(letter):
            given.fault(letter, "is no channel: they are called A to H")
        elif channel is not None:
            found.append(_channel(letter, channel))
    return tuple(sorted(found, key=lambda channel: channel.letter))


def _channel(letter: str, options: Options) -> Channel:
    bandwidth = options.get("bandwidth", "full")
    channel = Channel(
        letter,
        range_v=options.quantity("range", "V", least=1e-3),
        coupling=options.choice("coupling", ("DC", "AC", "DC50"), "DC"),
        offset_v=options.quantity("offset", "V", 0.0),
        name=str(options.get("name", f"ch{letter}")),
        bandwidth_hz=0.0 if bandwidth == "full" else options.quantity("bandwidth", "Hz", 0.0, 0.0),
    )
    options.finish()
    return channel


def _trigger(options: Options) -> Trigger:
    given = options.mapping("trigger")
    if given is None:
        if "trigger" not in options:
            options.fault(
                "trigger", "is missing; write for example `trigger: {source: A, level: -30 mV, edge: falling}`"
            )
        return Trigger("none")
    source = str(given.get("source", "A"))
    source = source.upper() if source.lower() != "none" else "none"
    auto = given.get("auto", "never")
    trigger = Trigger(
        source,
        level_v=0.0 if source == "none" else given.quantity("level", "V"),
        edge=given.choice("edge", EDGES, "rising"),
        delay_s=given.quantity("delay", "s", 0.0, 0.0),
        auto_s=0.0 if auto == "never" else given.quantity("auto", "s", 0.0, 1e-3),
    )
    given.get("level")
    given.finish()
    return trigger


def _generator(options: Options) -> Generator | None:
    given = options.mapping("signal_generator")
    if given is None:
        return None
    generator = Generator(
        wave=given.choice("wave", WAVES, "sine"),
        frequency_hz=given.quantity("frequency", "Hz", 1000.0, 0.0),
        amplitude_v=given.quantity("amplitude", "V", least=0.0),
        offset_v=given.quantity("offset", "V", 0.0),
    )
    given.finish()
    return generator


# -- what can be known without the device --------------------------------------------------------------------


def check_settings(settings: Settings) -> list[Fault]:
    """What cannot work whatever the device: ranges, trigger level, memory, sampling."""
    faults: list[Fault] = []
    names = [channel.name for channel in settings.channels]
    if len(set(names)) < len(names):
        faults.append(Fault("channels", f"channels: two channels go into one field: {', '.join(names)}"))
    if not settings.channels:
        faults.append(Fault("channels", "channels: at least one is needed"))
    if settings.samples and settings.pre_samples(settings.samples) >= settings.samples:
        faults.append(Fault("pre_trigger", "pre_trigger: no sample is left behind the trigger"))
    memory = settings.samples * len(settings.channels) * settings.captures
    if memory > MOST_MEMORY:
        text = f"{settings.captures} captures of {len(settings.channels)} x {settings.samples} samples fit no model"
        faults.append(Fault("batch", f"batch: {text}; lower captures"))
    if settings.trigger.auto_s > LONGEST_AUTO_S:
        faults.append(Fault("trigger", f"trigger: auto: at most {LONGEST_AUTO_S} s are possible; or write never"))
    if settings.known_family is not None:
        faults += _check_family(settings, settings.known_family)
    faults += _check_trigger(settings)
    return faults


def _check_family(settings: Settings, family: Family) -> list[Fault]:
    faults = []
    bits = settings.resolution_bits
    if bits and bits not in family.resolutions:
        known = ", ".join(map(str, family.resolutions))
        faults.append(Fault("resolution", f"resolution: {family.name} has {known} bit, not {bits}"))
    fastest = family.fastest_ns.get(bits or family.default_bits, 0.0)
    if settings.interval_ns < fastest * (1 - settings.tolerance):
        text = f"{settings.interval_ns:g} ns is faster than {family.name} can sample ({fastest:g} ns at best)"
        faults.append(Fault("sample_interval", f"sample_interval: {text}"))
    for channel in settings.channels:
        where = f"channels: {channel.letter}:"
        if channel.letter not in family.channels:
            faults.append(Fault("channels", f"{where} {family.name} has the channels {family.channels}"))
        if channel.range_v not in family.ranges:
            known_ranges = ", ".join(_volts(r) for r in family.ranges)
            near = min(family.ranges, key=lambda r: abs(r - channel.range_v))
            text = f"{where} there is no range of {_volts(channel.range_v)}; there are {known_ranges}"
            faults.append(Fault("channels", text, _volts(near)))
        if channel.coupling not in family.couplings:
            known = ", ".join(family.couplings)
            faults.append(Fault("channels", f"{where} {family.name} has the couplings {known}, not {channel.coupling}"))
        if channel.bandwidth_hz and channel.bandwidth_hz not in family.bandwidths:
            known = ", ".join(f"{hz / 1e6:g} MHz" for hz in family.bandwidths if hz) or "none"
            faults.append(Fault("channels", f"{where} bandwidth limits of {family.name}: {known}"))
    source = settings.trigger.source
    if len(source) > 1 and source != "none" and source not in family.external:
        known = ", ".join(family.external)
        faults.append(Fault("trigger", f"trigger: {family.name} has the trigger inputs {known}, not {source}"))
    return faults


def _check_trigger(settings: Settings) -> list[Fault]:
    trigger = settings.trigger
    if trigger.source == "none":
        return []
    if trigger.source in ("EXT", "AUX"):
        if abs(trigger.level_v) > EXTERNAL_RANGE_V:
            return [Fault("trigger", f"trigger: level: the external input goes to +-{EXTERNAL_RANGE_V:g} V")]
        return []
    by_letter = {channel.letter: channel for channel in settings.channels}
    channel = by_letter.get(trigger.source)
    if channel is None:
        text = f"trigger: source: {trigger.source} is not among the channels read ({', '.join(by_letter)})"
        return [Fault("trigger", f"{text}, nor EXT, AUX or none", nearest(trigger.source, [*by_letter, "EXT", "AUX"]))]
    low, high = -channel.range_v - channel.offset_v, channel.range_v - channel.offset_v
    if not low < trigger.level_v < high:
        text = f"{_volts(trigger.level_v)} is outside of channel {channel.letter} ({_volts(low)} to {_volts(high)})"
        return [Fault("trigger", f"trigger: level: {text}")]
    return []


def _volts(value: float) -> str:
    return f"{value:g} V" if abs(value) >= 1 else f"{value * 1000:g} mV"
