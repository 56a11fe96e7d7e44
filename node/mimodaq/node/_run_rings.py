"""The rings of a run on this host: made or attached to, told what to do, and looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mimodaq.config import Setup
from mimodaq.node._folder import Folder
from mimodaq.node._rings import Progress, make_ring, ring_segment
from mimodaq.node._snapshot import buffer_figures
from mimodaq.protocol.parts import BufferLine, GroupLedger, RingLedger
from mimodaq.protocol.plan import NodePlan
from mimodaq.protocol.run import Verdict
from mimodaq.ring import Ring, RingStatus, VerifyError


@dataclass(slots=True)
class RunRings:
    """The rings of one run. What they hold is what the last look has found."""

    setup: Setup
    plan: NodePlan
    partition: str
    by_name: dict[str, Ring] = field(default_factory=dict)
    """By name on this node; empty before they are made and after they are removed."""
    statuses: dict[str, RingStatus] = field(default_factory=dict)
    """What the last look has found."""
    _progress: Progress = field(init=False)
    _before: dict[str, RingStatus] = field(default_factory=dict)
    _figures_at: float = 0.0
    _is_held: bool = False
    """The rings of sources were made held, and have not been let go yet."""
    _held_s: dict[str, float] = field(default_factory=dict)
    """For each ring how long it was held before the run began, which is no pause of the run."""

    def __post_init__(self) -> None:
        self._progress = Progress(self.plan)

    # -- making -------------------------------------------------------------------------------------------------

    def segment(self, ring: str) -> str:
        """Name of the segment of one of the rings."""
        return ring_segment(self.partition, self.plan.node, ring)

    def make(self, run: int, folder: Folder, *, held: bool) -> None:
        """Make all; `held` = writers of sources wait. Raises SegmentError, and has made none then."""
        self._is_held = held
        try:
            for ring in self.plan.rings:
                made = make_ring(self.setup, ring, run, self.segment(ring.name), folder)
                self.by_name[ring.name] = made
                if held and ring.is_source:
                    made.pause()
        except BaseException:
            self.remove()
            raise

    def attach(self) -> None:
        """Attach to those of an earlier life. Raises SegmentError if one is missing."""
        for ring in self.plan.rings:
            self.by_name[ring.name] = Ring.attach(self.segment(ring.name))

    def remove(self) -> None:
        """Remove the names of all."""
        for ring in self.by_name.values():
            ring.unlink()
        self.by_name.clear()

    # -- effects ------------------------------------------------------------------------------------------------

    def each(self, names: Iterable[str], action: Callable[[Ring], None]) -> None:
        """Do something to some of them."""
        for name in names:
            action(self.by_name[name])

    def let_sources_go(self) -> None:
        """Let the writers of sources write, for the first time or after a pause."""
        self.each(self.plan.source_rings, Ring.resume)
        if self._is_held:
            self._is_held = False
            self._held_s = {name: self.by_name[name].status().paused_s for name in self.plan.source_rings}

    def reap(self) -> None:
        """Give back what dead processes hold."""
        for ring in self.by_name.values():
            ring.reap()

    # -- looking ------------------------------------------------------------------------------------------------

    def look(self, collect: Callable[[str, Ring], None]) -> frozenset[str]:
        """Read every figure, give back what dead processes hold; functions and links that have got on since.

        `collect` is called for rings with events that were set aside.
        """
        statuses = {}
        for name, ring in self.by_name.items():
            ring.reap()
            statuses[name] = ring.status()
            if any(group.aside for group in statuses[name].groups):
                collect(name, ring)
                statuses[name] = ring.status()
        self.statuses = statuses
        return self._progress.look(statuses)

    @property
    def is_drained(self) -> bool:
        """Whether no event was left that a living worker could get."""
        return all(g.pending + g.reading == 0 for s in self.statuses.values() for g in s.groups)

    @property
    def buffered_bytes(self) -> int:
        """Size of the events in all of them."""
        return sum(
            status.event_bytes * max((g.pending + g.reading for g in status.groups), default=0)
            for status in self.statuses.values()
        )

    def committed(self, ring: str) -> int:
        """Events of a ring now."""
        return self.by_name[ring].status().committed

    def lines(self, now: float) -> tuple[BufferLine, ...]:
        """Figures of all since the last call."""
        seconds = now - self._figures_at
        lines = tuple(buffer_figures(n, s, self._before.get(n), seconds) for n, s in self.statuses.items())
        self._before, self._figures_at = dict(self.statuses), now
        return lines

    def statuses_in_run(self) -> dict[str, RingStatus]:
        """What the last look has found, without the time that the sources were held before the run."""
        return {
            name: replace(status, paused_s=status.paused_s - self._held_s.get(name, 0.0))
            for name, status in self.statuses.items()
        }

    # -- the end ------------------------------------------------------------------------------------------------

    def audit(self) -> list[tuple[Verdict, str]]:
        """Look at what is left, now that all processes have gone, and say what is wrong with it."""
        found = []
        for name, ring in self.by_name.items():
            status = self.statuses[name] = ring.status()
            try:
                ring.verify()
            except VerifyError as error:
                found.append((Verdict.INCOMPLETE, f"the books of {name} contradict each other: {error}"))
            for group in status.groups:
                left = group.pending + group.reading + group.aside
                if left:
                    found.append((Verdict.INCOMPLETE, f"{left} events of {name} were not worked off by {group.name}"))
                if group.quarantined:
                    text = f"{group.quarantined} events of {name} are in quarantine, kept from {group.name}"
                    found.append((Verdict.TAINTED, text))
        return found

    def ledgers(self) -> tuple[RingLedger, ...]:
        """Where every event went."""
        return tuple(
            RingLedger(
                name,
                tuple(
                    GroupLedger(g.name, g.committed, g.released, g.quarantined, g.pending + g.reading + g.aside)
                    for g in status.groups
                ),
            )
            for name, status in self.statuses.items()
        )
