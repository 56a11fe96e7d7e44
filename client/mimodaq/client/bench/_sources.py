"""A source that is limited by nothing but the buffer, and the events it writes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mimodaq.functions import FunctionIO

BLOCK_EVENTS: Final = 256
"""Different events that are written again and again; as waveforms 17 MB, more than a compressor looks back."""
PARAMETERS: Final = np.dtype(
    [
        (f"{channel}_{name}", kind, (1,))
        for channel in ("chA", "chB", "chC", "chD")
        for name, kind in (("height", "<f4"), ("position", "<i4"), ("integral", "<f4"), ("width", "<f4"))
    ]
)
"""64 bytes: what a filter finds out about the pulses of four channels."""


def block_of(dtype: np.dtype[Any]) -> np.ndarray:
    """The events, shape (BLOCK_EVENTS,): simulated waveforms, or random numbers in fields of one sample."""
    block = np.zeros(BLOCK_EVENTS, dtype)
    if all(dtype[name].shape == (1,) for name in dtype.names or ()):
        generator = np.random.default_rng(1)
        for name in dtype.names or ():
            values = generator.normal(250, 75, (BLOCK_EVENTS, 1))
            block[name] = values.astype(dtype[name].base)
        return block
    from mimodaq.functions.physics import PulseConfig, PulseSimulator

    PulseSimulator(PulseConfig(pre_trigger_samples=500), dtype, seed=1).fill(block, 0)
    return block


def blocks(io: FunctionIO, *, events: int) -> None:
    """Write so many events as fast as the buffer takes them."""
    writer = io.writer
    block = block_of(writer.dtype)
    raw = f"V{block.dtype.itemsize}"
    source = block.view(raw)
    done = 0
    while done < events:
        at = done % BLOCK_EVENTS
        slots = writer.claim(min(events - done, BLOCK_EVENTS - at))
        n = len(slots.events)
        slots.events.view(raw)[:] = source[at : at + n]
        writer.commit_batch()
        done += n
