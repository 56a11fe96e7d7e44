"""What both ends of a link share: settings, and the effects that mean the same on either side."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from mimodaq.protocol.link_messages import METADATA_COLUMNS, Message

SELDOM_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this end is; both ends of a link must agree on everything but the ring."""

    link: str
    """Name of the link, unique in the cluster, e.g. `RB_1:Fkt_2>ana1`."""
    ring: str
    """Boot id, creator and name of the ring at this end."""
    dtype: str
    """The record dtype of the buffer as JSON."""
    event_bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and times of a link; the same text for both ends, times in seconds."""

    batch_bytes: int = 1_000_000
    """Events are sent in batches of about this size; a larger event comes alone."""
    batch_s: float = 0.02
    """A link that carries more than that in so long a time sends larger batches: as much as it carries in this time."""
    largest_batch_bytes: int = 4_000_000
    """... but no larger than this."""
    window_bytes: int = 16_000_000
    """At most so many bytes are on the way."""
    window_batches: int = 64
    heartbeat_s: float = 0.5
    silence_s: float = 2.0
    """An end that says nothing for so long is taken for gone, and the sender connects again."""
    retry_s: float = 0.05
    """First pause before the sender connects again; doubles each time."""
    retry_max_s: float = 1.0
    give_back_s: float | None = None
    """A sender without answer for so long gives its events back to the reader group; None = never."""
    leave_s: float = 2.0
    """Time a sender that was told to leave waits for acknowledgements."""
    linger_s: float = 20.0
    """Time a receiver that has closed its mirror stays to say so."""
    confirm_s: float = 60.0
    """Time a sender without answer waits to be told that the mirror is closed, once every event is acknowledged."""
    copies_hz: float = 50.0
    """Copies for observers: at most so many events per second."""
    copies_bytes_per_s: float = 10e6

    def batch_events(self, event_bytes: int) -> int:
        """How many events make a batch on a link that is not fast."""
        return max(1, self.batch_bytes // (event_bytes + 8 * METADATA_COLUMNS))

    def most_batch_events(self, event_bytes: int) -> int:
        """How many events the largest batch has."""
        return max(1, self.most_batch_bytes // (event_bytes + 8 * METADATA_COLUMNS))

    @property
    def most_batch_bytes(self) -> int:
        """No batch of more than one event is larger."""
        return max(self.batch_bytes, self.largest_batch_bytes)

    def window_events(self, event_bytes: int) -> int:
        """How many events may be on the way."""
        return max(1, self.window_bytes // event_bytes)


class Outcome(enum.Enum):
    """How an end of a link has ended."""

    DONE = "done"
    """The whole stream is on the other side."""
    UNCONFIRMED = "unconfirmed"
    """Every event is acknowledged, but nobody has confirmed that the mirror is closed."""
    LEFT = "left"
    """It was told to leave; a successor goes on."""
    CUT = "cut"
    """The link was given up: what had not been committed on the other side will not come there."""
    FATAL = "fatal"
    """The two ends do not fit; trying again cannot mend that."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody wants this end to leave its place to a successor."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The link is to end although its stream has not: its other end will not come back."""


@dataclass(frozen=True, slots=True)
class Garbled:
    """Something arrived that is no message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the operator and the log."""

    level: str
    """info, warning or error."""
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """One of the rings was made anew: a record of what is certain about the events around it."""

    old_stream: int
    """The stream that has come to its end without an end, 0 = unknown to this end."""
    old_position: int
    """Events of it with smaller numbers were committed (receiver) or acknowledged (sender)."""
    old_sequence: int
    """Number, in the old source ring, of its last event that was committed; -1 = unknown."""
    new_stream: int
    new_position: int
    """The new stream begins with this number."""
    in_doubt: int
    """Sent, never acknowledged: these events may have been in the mirror that is gone; they are sent again."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The link is given up here: a record of what this end is certain of."""

    link: str
    stream: int
    position: int
    """Events with smaller numbers were committed (receiver) or acknowledged (sender)."""
    sequence: int
    """Receiver: number in the source ring of the last event committed; -1 = unknown."""
    sent: int
    """Events with smaller numbers were sent, or handed to the sender, as far as this end knows."""
    final: int
    """Number of events of the whole stream, -1 = not known here."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of this end: leave the ring as the outcome says."""

    outcome: Outcome
    reason: str


@dataclass(slots=True)
class Seldom:
    """What a stranger can make happen any number of times: all is counted, little is said."""

    level: str
    count: int = 0
    _said: float | None = None

    def say(self, text: str, now: float) -> list[Say]:
        """Count one; say so at most every 10 s."""
        self.count += 1
        if self._said is not None and now - self._said < SELDOM_S:
            return []
        self._said = now
        return [Say(self.level, f"{text} ({self.count} so far)")]


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a message to the other end."""

    message: Message
