"""What a run is told (events) and wants done (effects), its workers, states and verdicts."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """State of a run."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    ABORTING = "aborting"
    ENDED = "ended"


class Verdict(enum.Enum):
    """What a run was worth, from best to worst."""

    GOOD = "good"
    TAINTED = "tainted"
    """Complete, but workers died: events may have been handled twice or set aside."""
    DEGRADED = "degraded"
    """Complete as far as it goes, but an optional host was missing for a part of it."""
    INCOMPLETE = "incomplete"
    """Something is missing: events were left in a buffer, a worker was stopped by force, the record was not written."""
    INTERRUPTED = "interrupted"
    """A source or another worker failed, and the run was stopped for it."""
    ABORTED = "aborted"


class WorkerState(enum.Enum):
    """State of one worker."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WorkerId:
    """One process of one function."""

    function: str
    process: int

    def __str__(self) -> str:
        return f"{self.function}[{self.process}]"


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What the run needs to know about a worker."""

    id: WorkerId
    is_source: bool
    restart: bool | int
    """Whether it is started again when it dies; a number limits how often."""
    is_observer: bool = False
    """It only looks on: a run goes on without it."""
    is_fed: bool = False
    """A source that another host feeds: it ends with that host's stream, not when the sources are told to stop."""

    @property
    def leaves_when_told(self) -> bool:
        """Whether it is to leave when the run is stopped; all others leave when their input has ended."""
        return self.is_source and not self.is_fed

    @property
    def is_dispensable(self) -> bool:
        """Whether nothing is missing without it once the run stops."""
        return self.leaves_when_told or self.is_observer


# -- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the run."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has attached its buffers and loaded its function."""

    worker: WorkerId


@dataclass(frozen=True, slots=True)
class Exited:
    """A worker's process has ended."""

    worker: WorkerId
    reason: str | None
    """Why it failed; None if it ended normally."""
    is_fatal: bool = False
    """Starting it again would end the same way (wrong setup)."""
    is_early: bool = False
    """It ended normally (its own output counts as ended), but there are still events for it or to come."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Events have gone through the run since the last look."""

    functions: frozenset[str]
    """Functions that have finished events, or, if they are sources, made some."""


@dataclass(frozen=True, slots=True)
class Command:
    """The operator, a limit or an alarm wants something: pause, resume, stop or abort."""

    name: str
    reason: str
    worth: Verdict | None = Verdict.ABORTED
    """What an abort makes of the run; None if that has been judged before."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; `drained` = no event is left that a living worker could get."""

    drained: bool


Event = Begin | Ready | Exited | Moved | Command | Tick


# -- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the process of a worker."""

    worker: WorkerId


@dataclass(frozen=True, slots=True)
class PauseSources:
    """Let the writers of the source buffers wait."""


@dataclass(frozen=True, slots=True)
class ResumeSources:
    """Let them go on."""


@dataclass(frozen=True, slots=True)
class EndSources:
    """Tell the writers of the source buffers to stop."""


@dataclass(frozen=True, slots=True)
class CloseBuffers:
    """Make every worker leave its buffers at once."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Break into the user's code of a worker."""

    worker: WorkerId


@dataclass(frozen=True, slots=True)
class Kill:
    """End the process of a worker by force."""

    worker: WorkerId


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A worker will not come back: its output counts as ended."""

    worker: WorkerId


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the operator and the log."""

    level: str
    """info, warning or error."""
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Every worker has gone: close the books."""


Effect = Launch | PauseSources | ResumeSources | EndSources | CloseBuffers | Interrupt | Kill | GiveUp | Say | Finish
