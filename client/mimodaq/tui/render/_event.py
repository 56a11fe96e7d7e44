"""The event display: one event of one buffer, all its channels and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ._line import Line, Span, cell, clean, fit
from ._waveform import Axis, Channel, channel_lines, time_line

WAVEFORM: int = 8
"""A field with so many samples or more is drawn as a curve."""


def event_head(
    place: str, number: int, utc_s: float, position: tuple[int, int], state: Sequence[str], width: int
) -> Line:
    """Which event this is; `position` counts from the newest among those kept."""
    if not position[1]:
        return fit([(clean(place), "title"), *((f"  {text}", "warning") for text in state)], width)
    stamp = datetime.fromtimestamp(utc_s, UTC).strftime("%H:%M:%S.%f")[:-3] if utc_s else ""
    back, kept = position
    where = "newest" if back == 0 else f"{back} before the newest"
    parts: list[Span] = [(f"{clean(place)}  #{number:,}", "title"), (f"  {stamp} UTC  {where} of {kept}", "")]
    parts += [(f"  {text}", "warning") for text in state]
    return fit(parts, width)


def channels_of(events: Sequence[npt.NDArray[Any]], only: str | None = None) -> list[Channel]:
    """The fields that are curves, of records of the same kind, newest last."""
    if not events:
        return []
    names = [n for n in events[-1].dtype.names or () if _samples(events[-1], n) >= WAVEFORM]
    return [Channel(n, tuple(np.ravel(e[n]) for e in events)) for n in names if only in {None, n}]


def event_lines(
    events: Sequence[npt.NDArray[Any]],
    axis: Axis,
    only: str | None,
    fixed: dict[str, tuple[float, float]],
    size: tuple[int, int],
) -> list[Line]:
    """One event, or several over each other, on `size` = width x height cells."""
    width, height = size
    if not events:
        return [fit([("  no event seen yet: are events flowing in this buffer?", "dim")], width)]
    channels = channels_of(events, only)
    newest = events[-1]
    values = [n for n in newest.dtype.names or () if _samples(newest, n) < WAVEFORM]
    table = _value_lines(newest, values, width)
    room = max(3 * len(channels), height - len(table) - (1 if channels else 0))
    lines: list[Line] = []
    for number, channel in enumerate(channels):
        rows = max(3, room // len(channels) + (number < room % len(channels)))
        lines += channel_lines(channel, axis, width, rows, fixed.get(channel.name))
    if channels:
        lines.append(time_line(len(channels[0].waves[-1]), axis, width))
    return [*lines, *table][:height]


def _samples(event: npt.NDArray[Any], name: str) -> int:
    return int(np.prod(event.dtype[name].shape or (1,)))


def _value_lines(event: npt.NDArray[Any], names: Sequence[str], width: int) -> list[Line]:
    lines: list[Line] = []
    for name in names:
        numbers = np.ravel(event[name])
        shown = "  ".join(f"{value:.5g}" if isinstance(value, np.floating) else str(value) for value in numbers)
        lines.append(fit([cell(f" {clean(name)}", 18, "strong"), (clean(shown), "")], width))
    return lines
