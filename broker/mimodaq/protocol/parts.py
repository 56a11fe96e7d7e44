"""The parts that messages are made of: bounded fields, figures of buffers, links and clocks, ledgers.

Frozen values; a field that is not known, not of its type or out of its bounds is refused by `messages.decode`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from mimodaq.protocol.run import Verdict

TEXT_MAX: Final = 4000
MANY: Final = 1024
_BITS: Final = 10

Name = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Text = Annotated[str, Field(strict=True, max_length=TEXT_MAX)]
Hash = Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{8,64}$")]
"""Names a setup by its content."""
Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
Positive = Annotated[int, Field(strict=True, ge=1, lt=1 << 63)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class Ending(enum.Enum):
    """Why a node's part of a run is over, or about to be."""

    NONE = "none"
    EXHAUSTED = "exhausted"
    """Its sources, or the hosts that feed it, had no more events."""
    COMMANDED = "commanded"
    FAILED = "failed"
    """By itself, because something did not work."""


class OnLoss(enum.Enum):
    """What the loss of an essential host does to a run."""

    PAUSE = "pause"
    """Hold the sources until it is back, or the operator decides otherwise."""
    STOP = "stop"


class DiskWish(enum.Enum):
    """What a setup wants for the run because a disk is low."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"


class Wire:
    """What all parts of messages have in common: a field that is not known is an error."""

    __slots__: tuple[str, ...] = ()
    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, order=True)
class RequestId(Wire):
    """One command of one broker to one node."""

    epoch: Positive
    """Of the broker."""
    number: Positive


@dataclass(frozen=True, slots=True)
class BufferLine(Wire):
    """Figures of one ring on one node; counts since the start of the run."""

    name: Name
    committed: Count
    rate_hz: Number
    bytes_per_s: Number
    fill: Number
    """Fraction of the slots in use."""
    dead_fraction: Number
    blamed: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()
    redelivered: Count = 0
    quarantined: Count = 0
    lag: Count = 0
    """Committed events that the slowest reader group has not finished with."""


@dataclass(frozen=True, slots=True)
class WorkerLine(Wire):
    """One worker or link process."""

    name: Name
    state: Name
    restarts: Count


@dataclass(frozen=True, slots=True)
class LinkLine(Wire):
    """Figures of one end of a link."""

    name: Name
    connected: Flag
    rate_hz: Number
    bytes_per_s: Number
    lag: Count
    """Events of the sending ring that have not been sent."""
    unacknowledged: Count
    reconnects: Count
    redelivered: Count
    round_trip_s: Number


@dataclass(frozen=True, slots=True)
class ClockLine(Wire):
    """The node's wall clock against the broker's."""

    offset_s: Number
    jitter_s: Number
    jumps: Count


@dataclass(frozen=True, slots=True)
class HostLine(Wire):
    """How the computer of a node is; None is what it cannot tell."""

    cpu: Number | None = None
    """Fraction of all cores in use."""
    memory: Number | None = None
    """Fraction in use."""
    temperature_c: Number | None = None
    """Of the hottest sensor of the processor."""
    disk_free_bytes: Count | None = None
    """Where runs are written."""
    shm_free_bytes: Count | None = None
    """Where rings are made."""
    versions: Text = ""
    """Of mimodaq and Python."""
    disk_left_s: Number | None = None
    """How long until the run must end for want of space."""
    disk_wish: DiskWish = DiskWish.NONE
    """What the setup wants for the run now."""


@dataclass(frozen=True, slots=True)
class GroupLedger(Wire):
    """Where the events went that one reader group was to get."""

    name: Name
    committed: Count
    released: Count
    quarantined: Count
    left: Count


@dataclass(frozen=True, slots=True)
class RingLedger(Wire):
    """All groups of one ring."""

    ring: Name
    groups: Annotated[tuple[GroupLedger, ...], Field(max_length=MANY)]


@dataclass(frozen=True, slots=True)
class LinkLedger(Wire):
    """What one end of a link has handed over: acknowledged at the sender, committed at the receiver."""

    link: Name
    is_sender: Flag
    events: Count


@dataclass(frozen=True, slots=True)
class RunEnd(Wire):
    """A node's account of its part of a run; it is kept until the next run."""

    run: Positive
    verdict: Verdict
    reasons: Annotated[tuple[Text, ...], Field(max_length=MANY)]
    ending: Ending
    rings: Annotated[tuple[RingLedger, ...], Field(max_length=MANY)] = ()
    links: Annotated[tuple[LinkLedger, ...], Field(max_length=MANY)] = ()
    is_ledger_known: Flag = True
    """False if the rings were lost before they could be read (the host was restarted)."""


def coarse(value: float) -> float:
    """`value` to 0.1 %: enough for a figure that is shown, and a third of the bytes when packed with many others."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * (1 << _BITS)), exponent - _BITS)


def short(text: str) -> str:
    """`text`, cut to what a message may carry."""
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 2] + " …"
