"""Where configuration, state and sockets of a user are kept (XDG base directories)."""

from __future__ import annotations

import os
from pathlib import Path


def config_home() -> Path:
    """What the user has decided: keys."""
    return _home("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """What daemons remember."""
    return _home("XDG_STATE_HOME", ".local/state")


def runtime_home() -> Path:
    """Sockets; gone with the login. Without a login (a service, a container) they are among the state."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(given) / "mimodaq" if os.path.isabs(given) else state_home() / "run"


def _home(variable: str, usual: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if os.path.isabs(given) else Path.home() / usual  # a relative one is to be ignored, says XDG
    return base / "mimodaq"
