"""How a node daemon is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from mimodaq.config import Setup
from mimodaq.keys import Key
from mimodaq.node._log import Entry

ORPHANS_S: Final = 120.0
"""Workers go on so long without their daemon, which may be started again."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What whoever starts a node daemon chooses."""

    INSECURE: ClassVar = "INSECURE: works without keys; everybody on the network can read, command, and write events"
    """What is to be said where `is_insecure` was typed."""

    name: str
    broker: str
    """Endpoint of the broker's control socket."""
    state: Path
    """Folder for what must survive the daemon."""
    data: Path
    """Runs are written below it."""
    key: Key | None = None
    is_insecure: bool = False
    """Plain TCP to other hosts was asked for."""
    on_log: Callable[[Entry], None] = lambda entry: None
    here: Mapping[str, Setup] = field(default_factory=dict)
    """Setups by name that need not be fetched."""
    window: str = ""
    """Endpoint where clients may look at events, if setups do not say it."""
    orphans_s: float = ORPHANS_S
    """Workers go on so long without their daemon; 0: nobody will start it again, and nothing is kept for it."""
