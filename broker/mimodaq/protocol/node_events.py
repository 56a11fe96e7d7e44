"""What the shell of a node tells its brain, and what the brain asks of it.

Questions carry a ticket that the answer must repeat; an answer with an old ticket comes too late and is ignored.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mimodaq.protocol import run as runs
from mimodaq.protocol.messages import Beat, Do, Done, Memory, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLedger, LinkLine, RingLedger, coarse
from mimodaq.protocol.plan import NodePlan
from mimodaq.protocol.run import Verdict, WorkerId


class Fate(enum.Enum):
    """What has become of a worker while the daemon was away."""

    ALIVE = "alive"
    FINISHED = "finished"
    """Its output ended properly."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one look at the segments and the processes."""

    events: int = 0
    """Of the counted buffer, if it lives here."""
    buffers: tuple[BufferLine, ...] = ()
    links: tuple[LinkLine, ...] = ()
    clock: ClockLine | None = None
    host: HostLine | None = None

    def rounded(self) -> Figures:
        """The same, as exact as it is shown; counts and clock stay as they are."""
        buffers = tuple(
            replace(
                line,
                rate_hz=coarse(line.rate_hz),
                bytes_per_s=coarse(line.bytes_per_s),
                fill=coarse(line.fill),
                dead_fraction=coarse(line.dead_fraction),
            )
            for line in self.buffers
        )
        links = tuple(
            replace(
                line,
                rate_hz=coarse(line.rate_hz),
                bytes_per_s=coarse(line.bytes_per_s),
                round_trip_s=coarse(line.round_trip_s),
            )
            for line in self.links
        )
        return replace(self, buffers=buffers, links=links)


# -- events ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot:
    """The daemon has started; always the first event."""

    memory: Memory | None = None
    plan: NodePlan | None = None
    """Of the setup in `memory`, if it could be loaded."""
    are_rings_there: bool = False
    """All rings of the run in `memory` exist (False after the host itself was restarted)."""
    fates: Mapping[WorkerId, Fate] | None = None
    """Of every worker of that run."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The setup is here, its functions load and its buffers fit into shared memory."""

    ticket: int
    plan: NodePlan


@dataclass(frozen=True, slots=True)
class RingsMade:
    """The rings of the run exist; those of sources are held."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Impossible:
    """What was asked with `ticket` could not be done."""

    ticket: int
    text: str


@dataclass(frozen=True, slots=True)
class InRun:
    """Something happened in a run."""

    run: int
    event: runs.Ready | runs.Exited | runs.Moved | runs.Tick


@dataclass(frozen=True, slots=True)
class BooksClosed:
    """Rings and links have been counted and the node's record of the run is written."""

    ticket: int
    rings: tuple[RingLedger, ...] = ()
    links: tuple[LinkLedger, ...] = ()
    findings: tuple[tuple[Verdict, str], ...] = ()
    """What was found wrong while counting."""


@dataclass(frozen=True, slots=True)
class Looked:
    """New figures."""

    figures: Figures


@dataclass(frozen=True, slots=True)
class Fault:
    """The daemon itself cannot go on as it should."""

    text: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Time has passed."""


Event = Boot | Do | Prepared | RingsMade | Impossible | InRun | BooksClosed | Looked | Fault | Wake


# -- effects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send to the broker, if there is one; may be lost."""

    message: Beat | Report | Done


@dataclass(frozen=True, slots=True)
class Remember:
    """Write this down so that it survives the death of the daemon, before the effects that follow."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class Prepare:
    """Get the setup, load its functions, see that its buffers fit. Answer: Prepared or Impossible."""

    ticket: int
    setup_id: str


@dataclass(frozen=True, slots=True)
class MakeRings:
    """Make all rings of the plan for a run, those of sources held. Answer: RingsMade or Impossible."""

    ticket: int
    run: int
    operator: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CloseBooks:
    """Count the rings and links, write the record. Answer: BooksClosed; Impossible if it cannot be written."""

    ticket: int
    run: int
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clear:
    """End all processes of runs that are left and remove all rings."""


@dataclass(frozen=True, slots=True)
class CutLink:
    """Make the process of a link give up: a receiver ends its ring, a sender lets its group's events go."""

    link: str


@dataclass(frozen=True, slots=True)
class Leave:
    """End the daemon."""


Effect = (
    Send
    | Remember
    | Prepare
    | MakeRings
    | CloseBooks
    | Clear
    | CutLink
    | Leave
    | runs.Launch
    | runs.PauseSources
    | runs.ResumeSources
    | runs.EndSources
    | runs.CloseBuffers
    | runs.Interrupt
    | runs.Kill
    | runs.GiveUp
    | runs.Say
)
