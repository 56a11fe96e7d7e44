"""What the two ends of a link say to each other.

Headers are written as `link_codec` says; a batch is followed by two raw frames, its events (`count` records, back to
back) and their metadata (see `metadata_bytes`). Numbers of events count from 0 what the sender's place in its reader
group was handed, so they are dense and in the order of sending; the numbers of the source ring travel with a batch for
the records only, because in a group that spans hosts one link gets some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mimodaq.protocol.link_codec import Codec, MessageError

METADATA_COLUMNS: Final = 3
"""counter int64, timestamp float64, deadtime float64: 8 bytes each."""
CODECS: Final = ("none", "lz4", "zstd")


@dataclass(frozen=True, slots=True)
class Hello:
    """Sender: I want to serve this link."""

    link: str
    ring: str
    """Who the source ring is: boot id, creator, name."""
    session: int
    """Made up anew for every attempt; the answer carries it."""
    dtype: str
    """The record dtype of the buffer as JSON."""
    event_bytes: int
    batch_bytes: int
    """Largest batch it will send."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Receiver: that fits; this is what I have."""

    session: int
    nonce: int
    """Made up anew; every later message of the session carries it, so that nothing older can be taken for one."""
    stream: int
    """The stream of which events were committed last, 0 = none."""
    position: int
    """Events with smaller numbers are committed."""
    limit: int
    """Events with smaller numbers have a free slot."""
    is_ended: bool
    """The stream was complete and the mirror is closed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Receiver: no, and asking again will not help."""

    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class Open:
    """Sender: from now on this session counts."""

    nonce: int
    stream: int
    position: int
    """Number of the first event that will come."""
    replaces: int
    """The stream that the sender was told of; the same as `stream` when it goes on."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sender: events `first` to `first + count - 1`; two raw frames follow."""

    nonce: int
    first: int
    count: int
    sequence: int
    """Number of the last of these events in the source ring."""
    codec: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Sender: I am here, and this is how far I am."""

    nonce: int
    number: int
    sent: int
    """Events with smaller numbers were sent."""
    final: int
    """Number of events of the whole stream once that is known, -1 before."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Receiver: everything before `position` is committed, up to `limit` may be sent."""

    nonce: int
    number: int
    """Of the last ping heard."""
    position: int
    limit: int
    resend: bool
    """Something got lost on the way: begin again at `position`."""
    is_ended: bool
    """The whole stream is committed and the mirror is closed."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Receiver: I know of no such session (any more): say hello again."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Bye:
    """Either: I leave; nothing is expected of the other."""

    nonce: int


Message = Hello | Welcome | Refused | Open | Batch | Ping | Ack | Unknown | Bye

_CODEC: Final[Codec[Message]] = Codec(
    "link",
    1,
    (Hello, Welcome, Refused, Open, Batch, Ping, Ack, Unknown, Bye),
    may_be_missing=frozenset(("final", "sequence")),
)
encode = _CODEC.encode
decode = _CODEC.decode


def metadata_bytes(count: int) -> int:
    """Size of the metadata frame of a batch: counters, then timestamps, then dead times."""
    return count * 8 * METADATA_COLUMNS


def check_batch(batch: Batch, events_size: int, metadata_size: int, event_bytes: int, batch_bytes: int) -> None:
    """Check the frames behind a batch by their sizes in bytes; raises MessageError.

    The events frame of a packed batch cannot be checked before it is unpacked, only bounded.
    """
    whole = batch.count * event_bytes
    if not batch.count or whole > max(batch_bytes, event_bytes):
        raise MessageError(f"a batch of {batch.count} events, at most {max(1, batch_bytes // event_bytes)} are allowed")
    if batch.codec not in CODECS:
        raise MessageError(f"a batch packed with {batch.codec[:20]!r}; known are {', '.join(CODECS)}")
    if batch.codec == "none" and events_size != whole:
        raise MessageError(f"a batch of {events_size} bytes where {batch.count} events have {whole}")
    if metadata_size != metadata_bytes(batch.count):
        raise MessageError(f"metadata of {metadata_size} bytes for {batch.count} events")
