"""What the samples of a buffer mean, as far as the setup tells: times, units, trigger, from the functions around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mimodaq.config import FunctionSpec, QuantityError, Setup, parse_quantity, upstream

_SCOPE: Final = "picoscope"
_NUMBERS: Final = {
    "sample_time_ns": "ns",
    "pre_trigger_samples": "",
    "trigger_level": "mV",
    "channel_range": "mV",
    "analogue_offset": "V",
}
"""Options that many functions share with mimoCoRB's, and the unit a number is in."""
_WORDS: Final = ("trigger_channel", "trigger_direction", "unit")


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """Each None or empty where it is not known. Levels are in `unit`."""

    sample_time_ns: float | None = None
    pre_trigger_samples: int | None = None
    trigger_level: float | None = None
    """As the scope has it, with the analogue offset."""
    trigger_channel: str = ""
    trigger_direction: str = ""
    channel_range: float | None = None
    offset: float = 0.0
    """The analogue offset: taken off before something is drawn."""
    unit: str = ""
    scale: Mapping[str, list[float]] = field(default_factory=dict)
    """For fields that hold counts of a converter: volts = counts * gain + offset."""


def facts_of(setup: Setup, buffer: str) -> SampleFacts:
    """What the functions around a buffer tell of its samples: its writers first, then who looks at it, then others."""
    scale: Mapping[str, list[float]] = {}
    if any(function.function == _SCOPE for function in setup.functions.values()):
        from mimodaq.picoscope import buffer_scale  # loads much that is not needed without a scope

        scale = buffer_scale(setup, buffer)
    found: dict[str, Any] = {}
    for function in _around(setup, buffer):
        if function.function == _SCOPE:
            told = _of_scope(function.config, setup.buffers[buffer].samples, is_counts=bool(scale))
        else:
            told = _of_options(function.config)
        found = {**told, **found}
    facts = SampleFacts(**found, scale=scale)
    return facts if facts.unit or facts.sample_time_ns is None else replace(facts, unit="mV")


def _of_scope(config: Mapping[str, Any], samples: int, *, is_counts: bool) -> dict[str, Any]:
    from mimodaq.picoscope import ScopeError, read_settings

    try:
        settings = read_settings(config)
    except ScopeError:
        return {}  # the check of the setup tells
    unit = "V" if is_counts else settings.unit
    trigger = settings.trigger
    has_level = trigger.source.lower() != "none"
    return {
        "sample_time_ns": settings.interval_ns,
        "pre_trigger_samples": settings.pre_samples(samples),
        "trigger_level": trigger.level_v * (1000.0 if unit == "mV" else 1.0) if has_level else None,
        "trigger_channel": trigger.source,
        "trigger_direction": trigger.edge,
        "unit": unit,
    }


def _of_options(config: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {word: str(config[word]) for word in _WORDS if isinstance(config.get(word), str)}
    for name, unit in _NUMBERS.items():
        value = _number(config.get(name), unit)
        if value is not None:
            told[name] = value
    if told.get("unit") not in ("mV", "V"):
        told.pop("unit", None)  # of something else
    if "pre_trigger_samples" in told:
        told["pre_trigger_samples"] = int(told["pre_trigger_samples"])
    if "analogue_offset" in told:
        told["offset"] = told.pop("analogue_offset") * (1.0 if told.get("unit") == "V" else 1000.0)
    return told


def _around(setup: Setup, buffer: str) -> Iterator[FunctionSpec]:
    """Who writes it, who reads it, who is before it."""
    yield from setup.writers(buffer)
    yield from (*setup.readers(buffer), *setup.observers(buffer))
    before = upstream(setup, buffer)
    yield from (function for name, function in setup.functions.items() if name in before)


def _number(value: object, unit: str) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(parse_quantity(value, unit))
    except QuantityError:
        return None
