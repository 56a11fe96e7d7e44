"""The seam between the screens and a cluster: what a feed gives, and what it can be asked.

Behind it is a live cluster, a recording or a simulation; the screens cannot tell. A feed has its own clock, so that a
recording can be shown as it was, and fast.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mimodaq.protocol.counts import Counts
from mimodaq.protocol.messages import Answer, Ask, Cluster, LogLine, Report
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import CommandTable

Message = Cluster | Report | LogLine
"""What a feed gives by itself."""


class FeedError(Exception):
    """Something a feed was asked for cannot be had; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Some recent events of one buffer: copies, a random sample, taken without slowing anything down."""

    node: str
    buffer: str
    events: npt.NDArray[Any]
    """Records as the setup describes them, oldest first."""
    numbers: npt.NDArray[np.int64]
    """Of the events in the buffer."""
    utc_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of the run database."""

    run: int
    setup: str
    operator: str
    comment: str
    started_utc_ns: int
    running_s: float
    events: int
    verdict: str
    """Empty while it goes on."""
    reasons: tuple[str, ...] = ()
    end_reason: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen beside the setup when it was configured."""

    optional: tuple[str, ...] = ()
    """Hosts a run can do without."""
    on_loss: OnLoss = OnLoss.PAUSE
    """What the loss of another one does."""


class Feed(Protocol):
    """A cluster as a viewer sees it.

    Leaving (`close`, or just the end of the viewer) never changes anything in the cluster.
    """

    operator: str
    """Who we are, by our key."""
    may_command: bool
    """False for observers and recordings."""
    is_replay: bool

    @property
    def is_secure(self) -> bool:
        """False if everybody who can reach the broker, or the way to it, can command."""
        ...

    def now(self) -> float:
        """Monotonic seconds of the feed; all times of snapshots are in it."""
        ...

    def utc_ns(self) -> int:
        """Wall clock of the feed."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """What is published, as it comes. Ends when the feed is closed."""
        ...

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """The last lines of the log, oldest first."""
        ...

    async def command(self, ask: Ask) -> Answer:
        """Have a command carried out; the answer comes when it is done, has failed or was refused."""
        ...

    async def commands(self) -> CommandTable:
        """Which command is possible when, as the broker judges."""
        ...

    async def runs(self) -> Sequence[RunSummary]:
        """The runs of the run database, newest first."""
        ...

    def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """Copies of recent events, at most twice a second; raises FeedError if that cannot be had."""
        ...

    def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """Histograms of a buffer as they fill, counted beside it, about once a second.

        First what functions of the run count, then a sample of every field, which begins `anew` if that is wanted.
        Raises FeedError if that cannot be had.
        """
        ...

    async def setup(self) -> bytes | None:
        """The setup the cluster has, as `mimodaq.config.pack_setup` makes it; None if it has none."""
        ...

    async def choices(self) -> Choices:
        """What was chosen for the setup the cluster has; the usual if it has none."""
        ...

    async def offer(self, packed: bytes) -> str:
        """Give a packed setup to the broker; returns the `setup_id` for `Ask("configure")`."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...
