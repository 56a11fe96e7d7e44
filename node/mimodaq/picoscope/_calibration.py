"""Counts to volts, for everybody who reads a buffer of counts.

The scale of a channel follows from the setup alone: the readout refuses to start if the scope has another one. So it
is known before the run, on every host, and from the setup kept in the run directory and in Parquet files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.picoscope._settings import Settings, read_settings
from mimodaq.picoscope._status import ScopeError
from mimodaq.picoscope._values import gain_and_offset
from mimodaq.ring import attached_rings

if TYPE_CHECKING:
    from mimodaq.config import Setup

VOLTS: Final = "volts"
"""Key in the description of a buffer: {field: [gain, offset]}."""

Scale = Mapping[str, tuple[float, float]]
"""Gain and offset of each field: volts = counts * gain + offset."""


def full_scale_of(settings: Settings) -> int | None:
    """The counts at the upper end of a range that the setup implies; None if the family is left open."""
    if settings.full_scale:
        return settings.full_scale
    family = settings.known_family
    if family is None:
        return None
    return family.full_scales[settings.resolution_bits or family.default_bits]


def scale_of(settings: Settings) -> dict[str, tuple[float, float]]:
    """The scale of every channel; empty if the setup leaves the family open."""
    full_scale = full_scale_of(settings)
    if full_scale is None:
        return {}
    return {channel.name: gain_and_offset(channel, full_scale) for channel in settings.channels}


def buffer_scale(setup: Setup, buffer: str) -> dict[str, list[float]]:
    """The scale of the fields of a buffer that hold counts of a scope: it writes them, or a filter hands them on.

    For the description of the buffer. Empty where there is none, or where the options of the scope are wrong, which
    others say.
    """
    counts = {field.name for field in setup.buffers[buffer].fields if field.dtype.kind == "i"}
    found = _scale_behind(setup, buffer, frozenset())
    return {name: list(pair) for name, pair in found.items() if name in counts}


def _scale_behind(setup: Setup, buffer: str, seen: frozenset[str]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for function in setup.writers(buffer):
        if function.function == "picoscope":
            try:
                found |= scale_of(read_settings(function.config))
            except ScopeError:
                continue
        for source in (*function.reads, *function.observes):
            if source not in seen and source != buffer:
                found = {**_scale_behind(setup, source, seen | {buffer}), **found}
    return found


def volts(event: Any, scale: Mapping[str, Any] | None = None) -> dict[str, npt.NDArray[np.float32]]:
    """The channels of an event (or of a batch of events) in volts, by field.

    Without a `scale` it is that of the buffer the event comes from, which must be attached in this process, as it is
    in every worker. Fields that are floats are taken as volts already.
    """
    fields = event.dtype.names or ()
    known = scale if scale is not None else _scale_here(event.dtype)
    out = {}
    for name in fields:
        values = event[name]
        if name in known:
            gain, offset = known[name]
            out[name] = values * np.float32(gain) + np.float32(offset)
        elif values.dtype.kind == "f" and scale is None:
            out[name] = values.astype(np.float32, copy=False)
    return out


def _scale_here(dtype: np.dtype[Any]) -> dict[str, tuple[float, float]]:
    """The scale of events of this dtype, from the descriptions of the buffers that this process has attached."""
    scales = [ring.description.get(VOLTS) for ring in attached_rings() if ring.dtype == dtype]
    known = [scale for scale in scales if scale]
    if not known:
        if any(dtype[name].base.kind == "f" for name in dtype.names or ()):
            return {}
        raise ScopeError(
            f"volts: no buffer that this process has attached tells the scale of {dtype.names}. Give it: "
            "volts(event, scale), with scale = {field: (gain, offset)}, for example from `figures` in run.json."
        )
    if any(scale != known[0] for scale in known):
        raise ScopeError(
            f"volts: buffers with the fields {dtype.names} have different scales. Say which: volts(event, scale)."
        )
    return {name: (float(gain), float(offset)) for name, (gain, offset) in known[0].items()}
