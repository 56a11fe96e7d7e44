"""What a user types: the command line; and what programs and notebooks use.

    from mimodaq.client import Session, open_run, take_run

Names are imported when they are asked for: most commands need none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mimodaq.client.async_session import AsyncSession
    from mimodaq.client.runs import RecordedRun, RunError, open_run, take_run
    from mimodaq.client.session import Session, SessionError

_PLACES: Final = {
    "AsyncSession": "async_session",
    "RecordedRun": "runs",
    "RunError": "runs",
    "Session": "session",
    "SessionError": "session",
    "open_run": "runs",
    "take_run": "runs",
}

__all__ = ["AsyncSession", "RecordedRun", "RunError", "Session", "SessionError", "open_run", "take_run"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"mimodaq.client.{_PLACES[name]}"), name)
    raise AttributeError(f"mimodaq.client has no {name!r}")
