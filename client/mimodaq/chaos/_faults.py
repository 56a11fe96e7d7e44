"""What can be done to a cluster, and what there is of a cluster to do it to. Values only."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """Kinds of faults."""

    KILL_WORKER = "kill-worker"
    STALL_WORKER = "stall-worker"
    KILL_LINK = "kill-link"
    STALL_LINK = "stall-link"
    KILL_NODE = "kill-node"
    """The daemon; what it has started goes on."""
    STALL_NODE = "stall-node"
    KILL_BROKER = "kill-broker"
    STALL_BROKER = "stall-broker"
    CUT = "cut"
    """The cable of a host."""
    DISK = "fill-disk"
    SHM = "fill-shm"
    CLOCK = "step-clock"
    GARBAGE = "garbage"
    """Senseless bytes and frames to every socket that listens."""


BROKER = "broker"
"""What the broker is called where a node is expected."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is done to the cluster."""

    number: int
    at_s: float
    """After the first moment of the schedule."""
    kind: Kind
    node: str
    """Whose; `broker` is the broker."""
    target: str = ""
    """The process of a run, such as `Fkt_2[0]`; empty if the daemon or the host is meant."""
    lasts_s: float = 0.0
    """After this time it is undone; 0 if there is nothing to undo."""
    step_s: float = 0.0
    """By how much the clock is set."""

    @property
    def ends_s(self) -> float:
        """When it has been undone."""
        return self.at_s + self.lasts_s

    @property
    def victim(self) -> tuple[str, str]:
        """What it is done to, see `victim_of`."""
        return victim_of(self.kind, self.node, self.target)

    def words(self) -> str:
        """The fault as a phrase."""
        for_s = f" for {self.lasts_s:.1f} s"
        match self.kind:
            case Kind.KILL_WORKER | Kind.KILL_LINK:
                return f"kill {self.target} on {self.node}"
            case Kind.STALL_WORKER | Kind.STALL_LINK:
                return f"stall {self.target} on {self.node}{for_s}"
            case Kind.KILL_NODE | Kind.KILL_BROKER:
                return f"kill the daemon {self.node}, back after {self.lasts_s:.1f} s"
            case Kind.STALL_NODE | Kind.STALL_BROKER:
                return f"stall the daemon {self.node}{for_s}"
            case Kind.CUT:
                return f"cut the cable of {self.node}{for_s}"
            case Kind.DISK:
                return f"fill the disk of {self.node}{for_s}"
            case Kind.SHM:
                return f"fill the /dev/shm that all hosts share here{for_s}"
            case Kind.CLOCK:
                return f"set the clock of {self.node} by {self.step_s:+.1f} s{for_s}"
            case Kind.GARBAGE:
                return f"send garbage to {self.node}"


@dataclass(frozen=True, slots=True)
class Place:
    """A node, or the broker, that can be got at from here."""

    node: str
    workers: tuple[str, ...] = ()
    """Labels of the processes of functions, such as `Fkt_2[0]`."""
    links: tuple[str, ...] = ()
    """Labels of the ends of links."""
    can_cut: bool = False
    can_fill_disk: bool = False
    can_fill_shm: bool = False
    can_step_clock: bool = False

    def targets(self, kind: Kind) -> tuple[str, ...]:
        """What a fault of this kind can be done to here; an empty text is the daemon or the host."""
        itself = ("",)
        is_broker = self.node == BROKER
        match kind:
            case Kind.KILL_WORKER | Kind.STALL_WORKER:
                return self.workers
            case Kind.KILL_LINK | Kind.STALL_LINK:
                return self.links
            case Kind.KILL_NODE | Kind.STALL_NODE:
                return () if is_broker else itself
            case Kind.KILL_BROKER | Kind.STALL_BROKER:
                return itself if is_broker else ()
            case Kind.CUT:
                return itself if self.can_cut else ()
            case Kind.DISK:
                return itself if self.can_fill_disk else ()
            case Kind.SHM:
                return itself if self.can_fill_shm else ()
            case Kind.CLOCK:
                return itself if self.can_step_clock else ()
            case Kind.GARBAGE:
                return itself


def victim_of(kind: Kind, node: str, target: str) -> tuple[str, str]:
    """What must not be hit twice at once: a process, the daemon (killed or stalled), or one thing of a host."""
    if kind in (Kind.KILL_NODE, Kind.STALL_NODE, Kind.KILL_BROKER, Kind.STALL_BROKER):
        return node, "daemon"
    return node, target or kind.value
