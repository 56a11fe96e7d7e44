"""Decide which nodes are there, from the messages the broker hears.

Pure code: the shell feeds what arrived, with the monotonic time it arrived at. A node that falls silent is first
shown as late and then, after its lease, lost; only the loss has consequences, so one delayed packet never touches a
run. Loss does not depend on how many nodes there are, and never on a wall clock.

Every message of a node carries the node's epoch, which grows at each start of its daemon, and a number that grows
with each message. Older ones are left-overs of the network and renew nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

BEAT_S: Final = 0.25
"""A node says at least this often that it is there."""
LATE_S: Final = 0.75
"""Silence after which the operator sees it."""
LOST_S: Final = 2.5
"""Silence after which the node counts as lost."""


class Presence(enum.Enum):
    """Whether a node is heard."""

    HERE = "here"
    LATE = "late"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Joined:
    """A node is new, is back after it was lost, or its daemon was started again."""

    node: str
    is_restarted: bool


@dataclass(frozen=True, slots=True)
class Late:
    """A node has been silent for longer than usual."""

    node: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """A node has been silent for its whole lease."""

    node: str
    silent_s: float


Change = Joined | Late | Lost


@dataclass(slots=True)
class _Member:
    epoch: int
    number: int
    heard: float
    presence: Presence


@dataclass(slots=True)
class Membership:
    """Who is there. Epochs are kept for ever, so a packet of an earlier life never brings a node back."""

    late_s: float = LATE_S
    lost_s: float = LOST_S
    _members: dict[str, _Member] = field(default_factory=dict)
    _due: float = float("inf")
    """Nothing can change before this; spares a look at every member whenever one of them is heard."""

    def hear(self, node: str, epoch: int, number: int, now: float) -> tuple[bool, list[Change]]:
        """A message came; answers whether it is news (else it must be ignored), and what changed."""
        self._due = min(self._due, now + self.late_s)
        member = self._members.get(node)
        if member is None:
            self._members[node] = _Member(epoch, number, now, Presence.HERE)
            return True, [Joined(node, is_restarted=False)]
        if (epoch, number) <= (member.epoch, member.number):
            return False, []
        is_restarted = epoch > member.epoch
        was = member.presence
        member.epoch, member.number, member.heard, member.presence = epoch, number, now, Presence.HERE
        return True, [Joined(node, is_restarted)] if is_restarted or was is Presence.LOST else []

    def tick(self, now: float) -> list[Change]:
        """Time has passed."""
        changes: list[Change] = []
        if now < self._due:
            return changes
        for node, member in self._members.items():
            silent = now - member.heard
            if member.presence is not Presence.LOST and silent >= self.lost_s:
                member.presence = Presence.LOST
                changes.append(Lost(node, silent))
            elif member.presence is Presence.HERE and silent >= self.late_s:
                member.presence = Presence.LATE
                changes.append(Late(node, silent))
        self._due = self._deadline()
        return changes

    def deadline(self) -> float | None:
        """When `tick` is next needed at the latest; None if never."""
        return self._due if self._due < float("inf") else None

    def _deadline(self) -> float:
        limits = {Presence.HERE: self.late_s, Presence.LATE: self.lost_s}
        dues = [m.heard + limits[m.presence] for m in self._members.values() if m.presence in limits]
        return min(dues, default=float("inf"))

    def presence(self, node: str) -> Presence:
        """Whether a node is heard; one that never was is lost."""
        member = self._members.get(node)
        return member.presence if member else Presence.LOST

    def epoch(self, node: str) -> int:
        """The epoch of a node's present life; 0 if it was never heard."""
        member = self._members.get(node)
        return member.epoch if member else 0

    def silent_s(self, node: str, now: float) -> float:
        """How long a node has not been heard; infinite if it never was."""
        member = self._members.get(node)
        return now - member.heard if member else float("inf")


def next_epoch(previous: int, utc_s: float) -> int:
    """The epoch of a daemon that starts now, after `previous` (0 if that is not known any more).

    Larger than the one before even if the wall clock went back, and, because of the wall clock, also if the
    state directory was lost.
    """
    return max(previous + 1, int(utc_s))
