"""Looking at events: which buffers can be looked at, what their samples mean, and the tap that brings some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mimodaq.config import FunctionSpec, QuantityError, Setup, parse_quantity, upstream
from mimodaq.tui.render import WAVEFORM, Axis
from mimodaq.watch import Graph


@dataclass(frozen=True, slots=True)
class Place:
    """A buffer on the node where it lives."""

    node: str
    buffer: str

    def __str__(self) -> str:
        return f"{self.node} {self.buffer}"


def places(setup: Setup, graph: Graph) -> list[Place]:
    """The buffers of a setup, each once and where it lives, those with curves first."""
    homes: dict[str, Place] = {}
    for ring in graph.buffers:  # sources come first, so a buffer is found at home before its mirrors
        if ring.name in setup.buffers:
            homes.setdefault(ring.name, Place(ring.node, ring.name))
    found = [homes[name] for name in setup.buffers if name in homes]
    return sorted(found, key=lambda place: not has_curves(setup, place.buffer))


def has_curves(setup: Setup, buffer: str) -> bool:
    """Whether its events are waveforms."""
    return any(field.samples >= WAVEFORM for field in setup.buffers[buffer].fields)


def axis_of(setup: Setup, buffer: str) -> Axis:
    """What the samples of a buffer mean, from the options of the functions around it."""
    options: dict[str, float] = {}
    for function in _around(setup, buffer):
        for name in ("sample_time_ns", "pre_trigger_samples", "trigger_level"):
            value = _number(function.config.get(name), "mV" if name == "trigger_level" else "ns")
            if value is not None:
                options.setdefault(name, value)
    before = options.get("pre_trigger_samples")
    level = options.get("trigger_level")
    return Axis(options.get("sample_time_ns"), int(before) if before is not None else None, level, "mV")


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
