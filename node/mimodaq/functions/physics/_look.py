"""Looking at recent events with pauses, as observers do: nobody waits for them, and the end of the run is seen soon."""

from __future__ import annotations

import time
from typing import Final

from mimodaq.functions.physics._io import FunctionIO, Observed

_LOOK_S: Final = 0.05


def look(io: FunctionIO) -> Observed | None:
    """Give the newest event, None at the end of the stream."""
    while True:
        try:
            return io.observers[0].get()
        except TimeoutError:  # events pass too fast for a whole copy; the next look may succeed
            rest(io, _LOOK_S)


def rest(io: FunctionIO, seconds: float) -> None:
    """Wait before the next look; only briefly if the run stops."""
    until = time.monotonic() + seconds
    while (remaining := until - time.monotonic()) > 0:
        time.sleep(min(remaining, _LOOK_S))
        if io.stopping():
            return
