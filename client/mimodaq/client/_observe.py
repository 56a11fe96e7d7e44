"""`mimodaq observe BUFFER`: events as they come, one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mimodaq.client._cluster_commands import Where, guarded
from mimodaq.client._exit import EXIT_GOOD
from mimodaq.client._streams import tell

if TYPE_CHECKING:
    from mimodaq.client._observation import ObservedEvent


def observe(where: Where, buffer: str, node: str | None, events: int, as_json: bool) -> int:
    """Show events until there are so many (0 = until the run ends); returns the exit code."""

    def work() -> int:
        with where.session() as session, session.observe(buffer, node) as observed:
            for shown, event in enumerate(observed, 1):
                tell(_as_json(event) if as_json else _as_line(event))
                if shown == events:
                    break
        return EXIT_GOOD

    try:
        return guarded(as_json, work)
    except KeyboardInterrupt:
        return EXIT_GOOD


def _as_json(event: ObservedEvent) -> str:
    fields = {name: event[name].tolist() for name in event.fields}
    meta = {"counter": event.counter, "timestamp": event.timestamp}
    return json.dumps({**meta, "skipped": event.skipped, "event": fields})


def _as_line(event: ObservedEvent) -> str:
    """Counter, and each field: its value, or of a waveform least, mean and greatest."""
    parts = []
    for name in event.fields:
        values = event[name]
        if values.size == 1:
            parts.append(f"{name} {values.flat[0]:.6g}")
        else:
            parts.append(f"{name} {values.min():.4g} … {values.mean():.4g} … {values.max():.4g}")
    skipped = f"  ({event.skipped} skipped)" if event.skipped else ""
    return f"{event.counter:>10}  {'  '.join(parts)}{skipped}"
