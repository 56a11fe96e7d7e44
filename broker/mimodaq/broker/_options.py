"""What a broker is told when it is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mimodaq.keys import Endpoints, endpoints_of, state_folder
from mimodaq.protocol.membership import LOST_S
from mimodaq.protocol.messages import Cluster, LogLine, Report
from mimodaq.protocol.situation import Limits


class BrokerError(Exception):
    """A broker cannot be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Where a broker listens and remembers.

    Addresses that other hosts can reach need keys, unless `is_insecure` was asked for by name.
    """

    endpoints: Endpoints = field(default_factory=lambda: endpoints_of("127.0.0.1"))
    """Any of ZeroMQ's; port 0 takes two free ports in a row, `Broker.endpoints` tells which."""
    state: Path = field(default_factory=state_folder)
    is_insecure: bool = False
    limits: Limits = field(default_factory=Limits)
    lost_s: float = LOST_S
    """Silence after which a node counts as lost."""
    on_log: Callable[[LogLine], None] | None = None
    """Also gets every line of the log."""
    on_news: Callable[[Cluster | Report], None] | None = None
    """Also gets the snapshots of the feed."""
    next_number: Callable[[], int] | None = None
    """Where run numbers come from, if not from the database; raises BrokerError with what to do."""
    windows: Mapping[str, str] = field(default_factory=dict)
    """Where clients may look at events of nodes of which setups do not say it."""

    @property
    def needs_keys(self) -> bool:
        """Whether only those may connect whose key is on the list."""
        return not (self.is_insecure or self.endpoints.is_local)
