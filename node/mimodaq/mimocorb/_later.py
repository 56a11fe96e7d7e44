"""Put off what takes the lock of a ring while garbage is being collected.

A collection may begin at any allocation, also while this thread holds the lock of a ring. What it drops may be an end
of that same ring, which has to take the lock to leave. So that waits until the next call to this package.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Mapping

_waiting: deque[Callable[[], object]] = deque()
_is_collecting = False


def _note(phase: str, _info: Mapping[str, int]) -> None:
    global _is_collecting  # noqa: PLW0603 - there is one collector in a process
    _is_collecting = phase == "start"


gc.callbacks.append(_note)


def soon(action: Callable[[], object]) -> None:
    """Call `action` now, or with the next `catch_up` if garbage is being collected."""
    if _is_collecting:
        _waiting.append(action)
    else:
        action()


def catch_up() -> None:
    """Call what was put off."""
    while _waiting:
        _waiting.popleft()()
