"""`mimodaq observe BUFFER`: events as they come, one line each."""

from __future__ import annotations

import json
from typing import Any

from mimodaq.client._cluster_commands import Where, guarded
from mimodaq.client._exit import EXIT_GOOD
from mimodaq.client._observing import Looking
from mimodaq.client._streams import tell


def observe(where: Where, buffer: str, node: str | None, events: int, as_json: bool) -> int:
    """Show events until there are so many (0 = until the run ends); returns the exit code."""

    def work() -> int:
        with where.session() as session, Looking(session, buffer, node) as looking:
            shown = 0
            for view in looking.views():
                for index in range(len(view.events)):
                    tell(_as_json(view, index) if as_json else _as_line(view, index))
                    shown += 1
                    if shown == events:
                        return EXIT_GOOD
        return EXIT_GOOD

    try:
        return guarded(as_json, work)
    except KeyboardInterrupt:
        return EXIT_GOOD


def _as_json(view: Any, index: int) -> str:
    event = view.events[index]
    fields = {name: event[name].tolist() for name in event.dtype.names}
    meta = {"counter": int(view.counter[index]), "timestamp": float(view.timestamp[index])}
    return json.dumps({**meta, "skipped": view.skipped, "event": fields})


def _as_line(view: Any, index: int) -> str:
    """Counter, and each field: its value, or of a waveform least, mean and greatest."""
    event = view.events[index]
    parts = []
    for name in event.dtype.names:
        values = event[name]
        if values.size == 1:
            parts.append(f"{name} {values.flat[0]:.6g}")
        else:
            parts.append(f"{name} {values.min():.4g} … {values.mean():.4g} … {values.max():.4g}")
    skipped = f"  ({view.skipped} skipped)" if view.skipped else ""
    return f"{int(view.counter[index]):>10}  {'  '.join(parts)}{skipped}"
