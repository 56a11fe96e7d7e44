"""What must be done about a run that is going on: nodes fail or are lost, its condition is fulfilled, nothing comes.

Pure functions of what the broker knows.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mimodaq.protocol.books import Books
from mimodaq.protocol.parts import DiskWish, OnLoss
from mimodaq.protocol.situation import Node, Situation
from mimodaq.protocol.states import State
from mimodaq.protocol.steering import has_failed, has_run_dry


@dataclass(frozen=True, slots=True)
class Miss:
    """An optional node is lost; it may come back."""

    node: str


@dataclass(frozen=True, slots=True)
class GoOnWithout:
    """An optional node will not come back into this run."""

    node: str
    text: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The sources are to be held until this node is back."""

    node: str


@dataclass(frozen=True, slots=True)
class StopFor:
    """The run is to be stopped."""

    reason: str
    """What the run is judged for: it is interrupted."""
    text: str


Loss = Miss | GoOnWithout | Hold | StopFor


def find_losses(here: Situation, books: Books, held_for: AbstractSet[str], now: float) -> list[Loss]:
    """What must be done, in order of the names of the nodes; nothing comes after the stop of the run."""
    found: list[Loss] = []
    is_held = here.aim in (State.PAUSING, State.PAUSED)
    for name in sorted(here.participants() - books.excluded):
        node = here.nodes.get(name)
        report = node.report if node else None
        if node is None or report is None or here.is_lost(name):
            if name in books.optional:
                found += _of_optional(here, name, node, now)
            elif books.on_loss is OnLoss.STOP:
                return [*found, StopFor(f"{name} was lost during the run", f"{name} is lost")]
            elif name not in held_for and not is_held:
                is_held = True
                found.append(Hold(name))
        elif has_failed(report, books.run):
            ended = report.ended.reasons if report.ended and report.ended.run == books.run else ()
            why = report.failure or "; ".join(ended) or "left the run"
            if name not in books.optional:
                return [*found, StopFor(f"{name}: {why}", f"{name}: {why}")]
            found.append(GoOnWithout(name, why))
    return found


def _of_optional(here: Situation, name: str, node: Node | None, now: float) -> list[Loss]:
    since = node.away_since if node else None
    is_gone = since is None or now - since >= here.limits.away_s
    return [Miss(name), GoOnWithout(name, "lost")] if is_gone else [Miss(name)]


def find_end(here: Situation, books: Books, now: float) -> str | None:
    """Why the run is to be stopped although nothing has failed; None if it is to go on."""
    plan = here.plan
    if plan is None:
        return "the broker does not have the setup of this run any more"
    if plan.duration_s is not None and books.running_s(now) >= plan.duration_s:
        return f"{plan.duration_s:g} s are over"
    low = low_disks(here, books, DiskWish.STOP)
    if low and here.aim is State.RUNNING:
        return low
    if plan.events_limit and books.events >= plan.events_limit:
        return f"{plan.events_limit} events are taken"
    sources = [here.nodes.get(name) for name in plan.source_nodes - books.excluded]
    if all(n is not None and n.report is not None and has_run_dry(n.report, books.run) for n in sources):
        return "the sources have no more events"
    return None


def low_disks(here: Situation, books: Books, wish: DiskWish) -> str:
    """Which nodes want this for the run because their disk is low, in words; empty if none."""
    found = []
    for report in here.reports():
        if report.run == books.run and report.host is not None and report.host.disk_wish is wish:
            free = report.host.disk_free_bytes
            left = f" ({free / 1e6:.0f} MB are left)" if free is not None else ""
            found.append(f"the disk of {report.node} is low{left}")
    return ", ".join(sorted(found))
