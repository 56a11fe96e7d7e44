"""What a readout and its shell tell each other: events that have happened, and actions to be carried out."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Wish(enum.Enum):
    """What the run wants at this moment."""

    GO = 0
    PAUSE = 1
    END = 2


# -- what the shell tells -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """The scope is open and set up."""


@dataclass(frozen=True, slots=True)
class Armed:
    """The batch has begun."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Slots are claimed and registered."""

    slots: int
    """0: none could be had in a short time."""


@dataclass(frozen=True, slots=True)
class Looked:
    """It was asked whether the batch is complete."""

    is_ready: bool


@dataclass(frozen=True, slots=True)
class Halted:
    """The batch was stopped."""

    captures: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Captures are in the slots."""


@dataclass(frozen=True, slots=True)
class Published:
    """Captures are in the buffer."""


@dataclass(frozen=True, slots=True)
class Waited:
    """Some time has passed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The scope is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reopened:
    """The scope is back and set up."""


@dataclass(frozen=True, slots=True)
class NotReopened:
    """It is not."""


Event = Begun | Armed | Prepared | Looked | Halted | Fetched | Published | Waited | Lost | Reopened | NotReopened

# -- what the shell does ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arm:
    """Begin a batch of so many captures."""

    captures: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Claim slots and register them for captures `first`... of the batch."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Look:
    """Wait, then ask whether the batch is complete."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the batch."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Transfer captures `first`... into the slots."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Commit the captures that were fetched last."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close the scope, open the one with the same serial number, set it up."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The readout is at its end."""


Action = Arm | Prepare | Look | Halt | Fetch | Publish | Wait | Reopen | Leave
