"""What is said where somebody looks at rings of another host: a client at a window, a mirror of copies at its source.

Headers are written as `link_codec` says; `Copies` is followed by two raw frames, events (`count` records, back to back)
and metadata (see `metadata_bytes`), `Counted` by `count` raw frames (see `mimodaq.protocol.counts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mimodaq.protocol.link_codec import Codec, MessageError

METADATA_COLUMNS: Final = 4
"""sequence int64, counter int64, timestamp float64, deadtime float64: 8 bytes each."""


@dataclass(frozen=True, slots=True)
class Ask:
    """I want to see recent events."""

    number: int
    """Of the question; the answer repeats it."""
    ring: str
    """Name of the ring on its node."""
    most: int
    """At most so many events, the newest ones."""
    after: int
    """Only events with larger numbers; -1 = any."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of events, oldest first; two raw frames follow."""

    number: int
    dtype: str
    """The record dtype of the ring as JSON."""
    event_bytes: int
    count: int
    newest: int
    """Number of the newest event of the ring, -1 = none yet."""
    is_ended: bool
    """The stream has ended; no event newer than `newest` will come."""


@dataclass(frozen=True, slots=True)
class AskCounts:
    """I want to see what the functions of the node count."""

    number: int
    function: str
    """Only what this one counts; empty: all."""


@dataclass(frozen=True, slots=True)
class AskSample:
    """I want histograms of a ring: fill them from a sample of its events as long as I go on asking."""

    number: int
    ring: str
    wanted: str
    """Which histograms, see `counts.write_wanted`."""
    beginning: int
    """Who gives another number than before gets histograms that begin anew."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts; `count` raw frames follow."""

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class Later:
    """Too much is asked for: ask again after so many milliseconds."""

    number: int
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Denied:
    """That cannot be seen."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Here:
    """Source of copies: ask me when somebody wants to see something. Repeated at every heartbeat."""

    link: str
    ring: str
    """Who the source ring is: boot id, creator, name."""
    dtype: str
    event_bytes: int
    newest: int
    is_ended: bool


@dataclass(frozen=True, slots=True)
class Over:
    """Either end of a link of copies: I leave."""

    number: int


Question = Ask | AskCounts | AskSample
Message = Question | Copies | Counted | Later | Denied | Here | Over

_CODEC: Final[Codec[Message]] = Codec(
    "window",
    1,
    (Ask, AskCounts, AskSample, Copies, Counted, Later, Denied, Here, Over),
    may_be_missing=frozenset(("after", "newest")),
)
encode = _CODEC.encode
decode = _CODEC.decode


def metadata_bytes(count: int) -> int:
    """Size of the metadata frame of copies: numbers, then counters, then timestamps, then dead times."""
    return count * 8 * METADATA_COLUMNS


def check_copies(copies: Copies, events_size: int, metadata_size: int) -> None:
    """Check the frames behind copies by their sizes in bytes; raises MessageError."""
    if events_size != copies.count * copies.event_bytes:
        raise MessageError(f"copies of {events_size} bytes for {copies.count} events of {copies.event_bytes} bytes")
    if metadata_size != metadata_bytes(copies.count):
        raise MessageError(f"metadata of {metadata_size} bytes for {copies.count} events")
