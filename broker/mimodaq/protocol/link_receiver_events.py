"""What the receiving end of a link hears (events) and wants done (effects), and its figures."""

from __future__ import annotations

from dataclasses import dataclass

from mimodaq.protocol.link_common import Cut, Finish, Gap, Garbled, GiveUp, Leave, Say, Tick
from mimodaq.protocol.link_messages import Message


@dataclass(frozen=True, slots=True)
class Kept:
    """What the mirror's ring remembers of the link."""

    stream: int
    """0 = nothing yet."""
    position: int
    is_ended: bool
    previous: int
    """The stream before this one, 0 = none."""


# -- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A message; the frames of a batch have been checked."""

    peer: bytes
    """Whom to answer."""
    message: Message


@dataclass(frozen=True, slots=True)
class Stored:
    """The next `count` accepted events are committed; the last has this number in the source ring."""

    count: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Room:
    """So many slots of the mirror are free for this link."""

    slots: int


@dataclass(frozen=True, slots=True)
class MirrorEnding:
    """The mirror's writers are told to stop: nothing more can be stored."""


Event = Heard | Garbled | Stored | Room | MirrorEnding | Leave | GiveUp | Tick


# -- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """Send a message to a peer."""

    peer: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Store:
    """Commit the batch that was just heard without its first `skip` events, after those accepted before it."""

    skip: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Forget accepted batches that are not committed; they will come again."""


@dataclass(frozen=True, slots=True)
class BeginStream:
    """Let the ring remember a new stream, of which event `position` will be the first."""

    stream: int
    position: int


@dataclass(frozen=True, slots=True)
class EndStream:
    """The stream is complete: close the writer."""


Effect = Reply | Store | Discard | BeginStream | EndStream | Gap | Cut | Say | Finish


@dataclass(slots=True)
class Figures:
    """What the receiver has done so far."""

    stored: int = 0
    redelivered: int = 0
    """Events that came although they were there already."""
    sessions: int = 0
    garbage: int = 0
