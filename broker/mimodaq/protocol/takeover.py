"""What a broker that has just started finds: the run and the setup its nodes are in. Pure functions of its picture."""

from __future__ import annotations

from dataclasses import dataclass

from mimodaq.protocol.books import Books
from mimodaq.protocol.cluster_events import RunRow
from mimodaq.protocol.situation import Situation


@dataclass(frozen=True, slots=True)
class Found:
    """What the nodes, and the run database, say."""

    run: int | None = None
    """The run that is going on; None if there is none."""
    setup_id: str | None = None
    row: RunRow | None = None
    """What the run database has of that run."""

    def books(self, run: int, setup_id: str) -> Books:
        """The books of the run: those that an earlier broker has begun, or new ones."""
        return Books.reopen(self.row) if self.row is not None else Books(run, setup_id)


def find(here: Situation, open_run: RunRow | None) -> Found:
    """Compare what the nodes that are there report with the run that has no verdict yet.

    The nodes are the truth: a run they are in and that is not closed goes on, whatever the database says.
    """
    reports = here.reports()
    runs = [r.run for r in reports if r.run is not None and r.run > here.last_closed]
    run = max(runs, default=open_run.run if open_run is not None and open_run.run > here.last_closed else None)
    row = open_run if open_run is not None and open_run.run == run else None
    setups = [r.setup_id for r in reports if r.setup_id is not None and (run is None or r.run == run)]
    setup_id = setups[0] if setups else row.setup_id if row else None
    return Found(run, setup_id, row)


def is_complete(here: Situation, learn_until: float, now: float) -> bool:
    """Whether all nodes of the setup of a run have been heard; some are waited for only so long."""
    assert here.plan is not None
    missing = [name for name in here.plan.nodes if here.is_lost(name)]
    return not missing or (now >= learn_until + here.limits.away_s and len(missing) < len(here.plan.nodes))
