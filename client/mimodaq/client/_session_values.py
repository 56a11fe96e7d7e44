"""What a session with a broker gives back, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mimodaq.protocol.messages import Cluster, LogLine, Report, Role

News = Cluster | Report | LogLine
"""What comes over the feed."""


class SessionError(Exception):
    """Something about the broker; the message says what was found and what to do."""


class UnreachableError(SessionError):
    """The broker cannot be reached, or is not heard any more."""


class KeyRefusedError(SessionError):
    """The broker does not accept the key, or wants one."""


class RefusedError(SessionError):
    """The broker does not want to answer, and says why."""


class RestartedError(SessionError):
    """Another broker has taken over while a command was going on; how the command ended must be looked up."""


class ObservationLostError(SessionError):
    """A buffer is not shown any more, although its run may go on."""


@dataclass(frozen=True, slots=True)
class Me:
    """Who the broker takes this client for, and how it works."""

    name: str
    role: Role
    is_secure: bool
    """False if the broker was told to let everybody in who can reach it, or is on another host and there is no key."""
    has_keys: bool
    epoch: int
    """Of this life of the broker."""

    @property
    def may_command(self) -> bool:
        """Whether commands are accepted at all."""
        return self.role is Role.OPERATOR

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Me:
        """From the broker's answer."""
        return cls(table["name"], Role(table["role"]), table["is_secure"], table["has_keys"], table["epoch"])


@dataclass(frozen=True, slots=True)
class Status:
    """The cluster, and what each of its nodes has reported last."""

    cluster: Cluster
    reports: Mapping[str, Report] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What one node said of its part of a run."""

    node: str
    verdict: str
    ending: str
    reasons: tuple[str, ...]
    is_ledger_known: bool
    is_late: bool
    """It came after the run was closed."""


@dataclass(frozen=True, slots=True)
class CountInfo:
    """Where the events of one buffer on one node went, for one group of readers."""

    node: str
    buffer: str
    readers: str
    committed: int
    released: int
    quarantined: int
    left_over: int


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """Events of one end of a link."""

    node: str
    link: str
    is_sender: bool
    events: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run in the broker's database; times are UTC seconds."""

    run: int
    setup_id: str
    operator: str
    comment: str
    optional: tuple[str, ...]
    on_loss: str
    verdict: str | None
    """None while the run goes on."""
    reasons: tuple[str, ...]
    end_reason: str
    running_s: float
    events: int
    asked_utc_s: float
    started_utc_s: float | None
    stopping_utc_s: float | None
    ended_utc_s: float | None
    accounts: tuple[AccountInfo, ...] = ()
    """This and what follows only if one run was asked for."""
    counts: tuple[CountInfo, ...] = ()
    links: tuple[LinkInfo, ...] = ()
    is_cut: bool = False
    """There are more counts than fit into a message."""

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> RunInfo:
        """From the broker's answer."""
        lists = {
            "optional": tuple(table["optional"]),
            "reasons": tuple(table["reasons"]),
            "accounts": tuple(AccountInfo(**{**a, "reasons": tuple(a["reasons"])}) for a in table.get("accounts", ())),
            "counts": tuple(CountInfo(**count) for count in table.get("counts", ())),
            "links": tuple(LinkInfo(**link) for link in table.get("links", ())),
        }
        return cls(**{**table, **lists})
