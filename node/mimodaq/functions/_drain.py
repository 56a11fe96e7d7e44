"""The simplest sink."""

from __future__ import annotations

from mimodaq.functions._io import FunctionIO


def drain(io: FunctionIO, *, batch: int = 1024) -> None:
    """Read every event and throw it away: frees a buffer that nothing else needs to read."""
    events = 0
    while (taken := io.reader.take(batch)) is not None:
        events += len(taken.events)
        io.reader.release()
    io.note(events=events)
