"""What the shell of the broker tells its brain, and what the brain asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mimodaq.protocol.messages import Answer, Ask, Beat, Cluster, Do, Done, Report
from mimodaq.protocol.parts import OnLoss, RunEnd
from mimodaq.protocol.plan import ClusterPlan
from mimodaq.protocol.run import Verdict


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the run database keeps of a run; times are the shell's, taken when a field is set for the first time."""

    run: int
    setup_id: str
    operator: str
    comment: str
    optional: frozenset[str]
    on_loss: OnLoss
    is_started: bool = False
    """The start is complete."""
    is_stopping: bool = False
    """The stop has been asked for."""
    held_for: frozenset[str] = frozenset()
    """Lost hosts for which the sources are held, until they are back."""
    verdict: Verdict | None = None
    """Set once, when the run is over."""
    reasons: tuple[str, ...] = ()
    end_reason: str = ""
    running_s: float = 0.0
    events: int = 0
    accounts: Mapping[str, RunEnd] | None = None
    """What the nodes said of it."""


# -- events ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot:
    """The broker has started; always the first event."""

    last_closed: int = 0
    """Largest number of a run that is over."""
    open_run: RunRow | None = None
    """The run that has a number and no verdict."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of a node; its name has been checked against its key."""

    message: Beat | Report | Done


@dataclass(frozen=True, slots=True)
class Asked:
    """A client wants something."""

    client: str
    """The connection, to which the answer goes."""
    operator: str
    """Who it is, by its key."""
    may_command: bool
    """False for observers."""
    ask: Ask


@dataclass(frozen=True, slots=True)
class SetupLoaded:
    """The setup is here and is without mistakes."""

    ticket: int
    plan: ClusterPlan


@dataclass(frozen=True, slots=True)
class RunNumber:
    """A number that no run has had."""

    ticket: int
    number: int


@dataclass(frozen=True, slots=True)
class Impossible:
    """What was asked with `ticket` could not be done."""

    ticket: int
    text: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Time has passed."""


Event = Boot | Heard | Asked | SetupLoaded | RunNumber | Impossible | Wake


# -- effects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send to a node; may be lost."""

    node: str
    message: Do


@dataclass(frozen=True, slots=True)
class Reply:
    """Send to a client."""

    client: str
    message: Answer


@dataclass(frozen=True, slots=True)
class LoadSetup:
    """Load and check a stored setup and make its plan. Answer: SetupLoaded or Impossible."""

    ticket: int
    setup_id: str


@dataclass(frozen=True, slots=True)
class AskRunNumber:
    """Allot a run number that was never used and is not below `at_least`. Answer: RunNumber or Impossible."""

    ticket: int
    at_least: int


@dataclass(frozen=True, slots=True)
class SaveRun:
    """Write a run to the database, before the effects that follow."""

    row: RunRow


@dataclass(frozen=True, slots=True)
class LateAccount:
    """A node has told, after the run was closed, what became of its part; add it to the run's row."""

    run: int
    node: str
    account: RunEnd


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the operators and the log."""

    level: str
    """info, warning or error."""
    text: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Give this to all clients."""

    message: Cluster


@dataclass(frozen=True, slots=True)
class Leave:
    """End the broker."""


Effect = Send | Reply | LoadSetup | AskRunNumber | SaveRun | LateAccount | Say | Publish | Leave
