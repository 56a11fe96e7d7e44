"""What the sending end of a link hears (events) and wants done (effects), its states and figures."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mimodaq.protocol.link_common import Cut, Finish, Gap, Garbled, GiveUp, Leave, Say, Tick, Transmit
from mimodaq.protocol.link_messages import Message


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a reader group as the ring keeps it."""

    stream: int
    """Random, made with the place; never 0."""
    released: int
    taken: int


class State(enum.Enum):
    """State of the sender."""

    PAUSING = "pausing"
    """Until it connects (again)."""
    CONNECTING = "connecting"
    """Hello is said, no answer yet."""
    OPEN = "open"
    FINISHED = "finished"


@dataclass(slots=True)
class Figures:
    """What the sender has done so far."""

    acknowledged: int = 0
    """Events known to be committed on the other side."""
    resent: int = 0
    """Events sent more than once."""
    reconnects: int = 0
    doubled: int = 0
    given_back: int = 0
    round_trip_s: float = 0.0
    """Of the last ping."""
    garbage: int = 0


# -- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Start."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the other end."""

    message: Message


@dataclass(frozen=True, slots=True)
class Taken:
    """The place was handed more events."""

    count: int


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """No event will come any more, not even one that another member of the group gives back."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A new place was made, as asked for by `Join`."""

    place: Place


Event = Begin | Heard | Garbled | Taken | SourceEnded | Joined | Leave | GiveUp | Tick


# -- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Throw the connection away with all that is still in it, and make a new one."""


@dataclass(frozen=True, slots=True)
class TransmitBatch:
    """Send events `first` to `first + count - 1`, straight from their slots."""

    nonce: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Release:
    """Release the oldest `count` events."""

    count: int


@dataclass(frozen=True, slots=True)
class Resign:
    """Keep this record, then give up the place: all its events go back to the group.

    Together with the last position the other end knows of this stream it names what is doubled, also when the sender
    dies before it has heard.
    """

    place: Place


@dataclass(frozen=True, slots=True)
class Join:
    """Make a new place and answer with `Joined`."""


@dataclass(frozen=True, slots=True)
class Doubled:
    """Events of a place given up that the other end had committed: they went to other members of the group, too."""

    stream: int
    first: int
    count: int


Effect = Connect | Transmit | TransmitBatch | Release | Resign | Join | Doubled | Gap | Cut | Say | Finish
