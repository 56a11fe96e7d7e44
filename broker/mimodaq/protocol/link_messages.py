"""What the two ends of a link say to each other, and how it is written: msgpack headers, raw frames behind a batch.

A message is a msgpack list ``[MAGIC, VERSION, kind, field, ...]``; a batch is followed by two frames, its events
(`count` records, back to back) and their metadata (see `metadata_bytes`). Numbers of events count from 0 what the
sender's place in its reader group was handed, so they are dense and in the order of sending; the numbers of the source
ring travel with a batch for the records only, because in a group that spans hosts one link gets some of them.

Nothing that arrives is trusted: `decode` checks kind, types, ranges and sizes and raises MessageError, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import msgpack

MAGIC: Final = "mimodaq.link"
VERSION: Final = 1
HEADER_LIMIT: Final = 64 * 1024
"""Bytes; a longer header is refused unread. The dtype of a buffer is the longest thing in one."""
TEXT_LIMIT: Final = 48 * 1024
_NUMBER_LIMIT: Final = 1 << 63
METADATA_COLUMNS: Final = 3
"""counter int64, timestamp float64, deadtime float64: 8 bytes each."""
CODECS: Final = ("none", "lz4", "zstd")


class MessageError(ValueError):
    """What arrived is no message of a link."""


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

_KINDS: Final[dict[str, type[Message]]] = {
    kind.__name__: kind for kind in (Hello, Welcome, Refused, Open, Batch, Ping, Ack, Unknown, Bye)
}
_TYPES: Final = {
    kind: tuple((field.name, {"int": int, "str": str, "bool": bool}[str(field.type)]) for field in fields(cls))
    for kind, cls in _KINDS.items()
}


def encode(message: Message) -> bytes:
    """The header frame of a message."""
    kind = type(message).__name__
    body = [MAGIC, VERSION, kind, *(getattr(message, name) for name, _ in _TYPES[kind])]
    return msgpack.packb(body)  # type: ignore[no-any-return]


def decode(raw: bytes) -> Message:
    """The inverse of `encode`; raises MessageError for anything that is no message of this version."""
    if len(raw) > HEADER_LIMIT:
        raise MessageError(f"a header of {len(raw)} bytes, at most {HEADER_LIMIT} are allowed")
    try:
        body: Any = msgpack.unpackb(raw, raw=False, use_list=True)
    except Exception as error:  # msgpack raises a dozen kinds, RecursionError and UnicodeError among them
        raise MessageError(f"a header that is no msgpack ({type(error).__name__})") from error
    if not isinstance(body, list) or len(body) < 3 or body[0] != MAGIC:
        raise MessageError("a header that is none of a link")
    if body[1] != VERSION:
        raise MessageError(f"a message of link version {str(body[1])[:20]}, this mimodaq speaks {VERSION}")
    kind, values = body[2], body[3:]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise MessageError(f"a message of the unknown kind {str(kind)[:40]!r}")
    expected = _TYPES[kind]
    if len(values) != len(expected):
        raise MessageError(f"{kind} with {len(values)} fields, it has {len(expected)}")
    for value, (name, type_) in zip(values, expected, strict=True):
        if type(value) is not type_:
            raise MessageError(f"{kind}.{name} is a {type(value).__name__}, not a {type_.__name__}")
        if isinstance(value, str) and len(value) > TEXT_LIMIT:
            raise MessageError(f"{kind}.{name} has {len(value)} characters, at most {TEXT_LIMIT} are allowed")
        lowest = -1 if name in ("final", "sequence") else 0
        if isinstance(value, int) and not lowest <= value < _NUMBER_LIMIT:
            raise MessageError(f"{kind}.{name} = {str(value)[:25]} is out of range")
    return _KINDS[kind](*values)


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
