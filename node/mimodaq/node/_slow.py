"""What of a node's work takes long and is done beside its loop: loading, making room, closing the books.

Each function answers with what the loop has to know; none of them touches what belongs to the loop.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mimodaq.config import BundleError, Setup, SetupErrors
from mimodaq.functions.files import seal_run
from mimodaq.node._check import check_functions
from mimodaq.node._hostrun import HostRun
from mimodaq.node._log import Entry
from mimodaq.node._place import Place, take_place
from mimodaq.node._record import RunFacts, write_record
from mimodaq.node._recover import RecoveredRun, recover_killed_runs
from mimodaq.node._rundir import RunDirectoryError
from mimodaq.node._state import NodeState
from mimodaq.protocol import node_events as events
from mimodaq.protocol.disk import DiskLook
from mimodaq.protocol.plan import ClusterPlan, make_plan
from mimodaq.protocol.run import Run, Verdict
from mimodaq.ring import SegmentError

_SHM = Path("/dev/shm")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Loaded:
    """A setup has been looked at."""

    event: events.Prepared | events.Impossible
    setup: Setup | None = None
    plan: ClusterPlan | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Rings and run directory have been made, or not."""

    event: events.RingsMade | events.Impossible
    host: HostRun
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A record was written, or not."""

    problem: str = ""


@dataclass(frozen=True, slots=True)
class DisksSeen:
    """What was found on the disks of a run, or why that cannot be told."""

    host: HostRun
    found: DiskLook | str


def look_at_disks(host: HostRun, buffered: int) -> DisksSeen:
    """Look at the disks of a run; a disk of another computer may take long to answer."""
    return DisksSeen(host, host.disks.find(buffered))


@dataclass(frozen=True, slots=True)
class Recovered:
    """What runs that were killed had left has been completed, as far as it was possible."""

    runs: tuple[RecoveredRun, ...]


def recover_left(data: Path) -> Recovered:
    """Complete what runs that were killed have left below a directory."""
    return Recovered(tuple(recover_killed_runs(data)))


def load(state: NodeState, node: str, ticket: int, setup_id: str, raw: bytes | None = None) -> Loaded:
    """Keep the setup if it has just come (`raw`), load it, and see that this node can do its part."""
    try:
        if raw is not None:
            state.store_setup(setup_id, raw)
        setup = state.load_setup(setup_id)
        plan = make_plan(setup)
        if node not in plan.nodes:
            return Loaded(events.Impossible(ticket, f"the setup has nothing to do for a host {node!r}"))
        problems = check_functions(setup, names=[f.name for f in plan.nodes[node].functions])
        if problems:
            raise SetupErrors(problems)
    except SetupErrors as error:
        return Loaded(events.Impossible(ticket, "; ".join(str(problem) for problem in error.problems[:_SHOWN])))
    except (BundleError, OSError) as error:
        return Loaded(events.Impossible(ticket, f"loading the setup: {error}"))
    need, free = plan.nodes[node].size_bytes, shutil.disk_usage(_SHM).free
    if free < need:
        room = f"{need / 1e6:.0f} MB in {_SHM}, where {free / 1e6:.0f} MB are free"
        return Loaded(events.Impossible(ticket, f"the buffers need {room}: lower number_of_slots, or enlarge it"))
    return Loaded(events.Prepared(ticket, plan.nodes[node]), setup, plan)


def make_place(
    ticket: int, host: HostRun, choose: Callable[[], Path | None], state: NodeState, on_log: Callable[[Entry], None]
) -> Made:
    """Make the rings, those of sources held, and the run directory: the chosen one; None = as named by the setup."""
    try:
        host.make_rings(held=True)
        facts = RunFacts.of(Run(host.plan.workers()), 0.0)
        with ExitStack() as undo:
            place = take_place(host, choose(), facts, on_log)
            undo.callback(place.give_back)
            state.keep_run_directory(host.run_dir)
            undo.pop_all()
        return Made(events.RingsMade(ticket), host, place)
    except (SegmentError, RunDirectoryError) as error:
        return Made(events.Impossible(ticket, str(error)), host)
    except OSError as error:
        return Made(events.Impossible(ticket, f"{error.filename or host.run_dir}: {error.strerror}"), host)


def unused_directory(path: Path) -> Path:
    """The path, or with `-2`, `-3`... the first that is not there."""
    attempt, found = 1, path
    while found.exists():
        attempt += 1
        found = path.with_name(f"{path.name}-{attempt}")
    return found


def save_books(host: HostRun, facts: RunFacts) -> Saved:
    """Write down what must not be lost with the daemon."""
    try:
        write_record(host.run_dir, host.record(facts, final=False))
    except OSError as error:
        return Saved(f"{host.run_dir}: writing the record: {error.strerror}")
    return Saved()


def close_books(effect: events.CloseBooks, host: HostRun, facts: RunFacts) -> events.BooksClosed:
    """Count, and write the record; all processes of the run have gone."""
    findings = tuple(host.audit())
    rings, links = host.ledgers()
    verdict = max([effect.verdict, *(worth for worth, _ in findings)], key=list(Verdict).index)
    record = host.record(facts.judged(verdict, (*effect.reasons, *(reason for _, reason in findings))), final=True)
    if host.setup.hosts:
        record["node"] = host.plan.node
    try:
        write_record(host.run_dir, record)
    except OSError as error:
        findings = (*findings, (Verdict.INCOMPLETE, f"{host.run_dir}: writing the record: {error.strerror}"))
    unsealed = [(Verdict.DEGRADED, problem) for problem in seal_run(host.run_dir, record)]
    return events.BooksClosed(effect.ticket, rings, links, (*findings, *unsealed))
