"""Looking at events: which buffers can be looked at, what their samples mean, and the tap that brings some."""

from __future__ import annotations

from dataclasses import dataclass

from mimodaq.client._facts import facts_of
from mimodaq.config import Setup
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
    facts = facts_of(setup, buffer)
    if facts.scale:  # events are shown as they are
        return Axis(facts.sample_time_ns, facts.pre_trigger_samples, None, "counts")
    return Axis(facts.sample_time_ns, facts.pre_trigger_samples, facts.trigger_level, facts.unit or "mV")
