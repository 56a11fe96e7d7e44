"""Who may send what: the first thing that happens to every message.

What does not get through changes nothing. The peer is told why; the log is told at most once in `QUIET_S` for each
peer, with the number of messages that were left out meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from mimodaq.keys import Authorized, Grant
from mimodaq.protocol.messages import (
    Ask,
    Beat,
    Chunk,
    ClockAsk,
    Done,
    Fetch,
    Inquire,
    LogAsk,
    LogLine,
    Message,
    PeersAsk,
    Report,
    Role,
)
from mimodaq.protocol.parts import MANY

QUIET_S: Final = 10.0
_PEERS_KEPT: Final = 1024
LOCAL: Final = Grant("local", Role.OPERATOR, "")
"""Whoever connects where no keys are needed."""

_OF_NODES: Final = Beat | Report | Done | ClockAsk | PeersAsk | LogLine
_OF_CLIENTS: Final = Ask | Chunk | LogAsk | Inquire


def node_of(message: Beat | Report | Done | ClockAsk | PeersAsk | LogLine) -> str:
    """The node a message says it is from."""
    return message.report.node if isinstance(message, Done) else message.node


def objection(grant: Grant, message: Message) -> str:
    """Why the owner of a key may not send a message, in words; empty if it may."""
    kind = type(message).__name__.lower()
    if isinstance(message, Fetch):
        return ""
    if isinstance(message, _OF_NODES):
        name = node_of(message)
        if grant is LOCAL or (grant.role is Role.HOST and grant.name == name):
            return ""
        if grant.role is not Role.HOST:
            return f"the key of {grant.name} is that of an {grant.role.value}: a node daemon needs a key of role host"
        return f"the key is that of host {grant.name}, and may not speak as {name!r}: give every host its own key"
    if not isinstance(message, _OF_CLIENTS):
        return f"{kind}: a broker is not sent this"
    if grant.role is Role.HOST:
        return f"{kind}: {grant.name} is the key of a host; for commands use an operator's key"
    if isinstance(message, Chunk) and grant.role is not Role.OPERATOR:
        return f"{grant.name} is an observer and may watch, not send a setup; ask for an operator's key"
    return ""


@dataclass(slots=True)
class _Quiet:
    until: float
    count: int = 0


@dataclass(slots=True)
class Gate:
    """Knows which keys are valid, who is where, and who has been told off lately."""

    authorized: Authorized | None
    """None where no keys are needed."""
    refused: int = 0
    """Messages so far that were not accepted."""
    _routes: dict[str, bytes] = field(default_factory=dict)
    _quiet: OrderedDict[str, _Quiet] = field(default_factory=OrderedDict)

    def grant(self, user: str) -> Grant | None:
        """Whose message it is, by the public key of the connection; None if the key is not valid any more."""
        return LOCAL if self.authorized is None else self.authorized.by_public(user)

    def note_route(self, node: str, route: bytes) -> bool:
        """A node was heard there; False if there are too many nodes."""
        if node not in self._routes and len(self._routes) >= MANY:
            return False
        self._routes[node] = route
        return True

    def route(self, node: str) -> bytes | None:
        """Where a node was heard last."""
        return self._routes.get(node)

    def routes(self) -> list[bytes]:
        """Where all nodes were heard last."""
        return list(self._routes.values())

    def use(self, authorized: Authorized) -> bool:
        """These keys are valid now; whether any is not any more."""
        before = self.authorized.grants if self.authorized is not None else ()
        self.authorized = authorized
        gone = set(before) - set(authorized.grants)
        for grant in gone:
            self._routes.pop(grant.name, None)
        return bool(gone)

    def refuse(self, peer: str, reason: str, now: float) -> str:
        """Count a message that is not accepted; answers what to tell, or nothing if that was done just now."""
        self.refused += 1
        quiet = self._quiet.get(peer)
        if quiet is not None and now < quiet.until:
            quiet.count += 1
            return ""
        more = f" (and {quiet.count} more since)" if quiet is not None and quiet.count else ""
        self._quiet[peer] = _Quiet(now + QUIET_S)
        self._quiet.move_to_end(peer)
        if len(self._quiet) > _PEERS_KEPT:
            self._quiet.popitem(last=False)
        return f"{reason}{more}"
