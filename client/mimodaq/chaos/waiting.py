"""Wait for what other processes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.01


class ChaosError(Exception):
    """The cluster is not as it must be to be broken; the message says what was found."""


def wait_for(what: Callable[[], T], why: str = "", patience_s: float = PATIENCE_S) -> T:
    """Wait until `what` answers something true; that is the answer. Raises ChaosError."""
    deadline = time.monotonic() + patience_s
    pause = threading.Event()
    while not (found := what()):
        if time.monotonic() >= deadline:
            raise ChaosError(f"waited {patience_s:g} s in vain {why}".rstrip())
        pause.wait(_PAUSE_S)
    return found
