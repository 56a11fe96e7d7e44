"""Whole experiments: mimoCoRB's examples under mimoCoRB and here, and the cost of a run that has little to do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from mimodaq.client.bench import _idle
from mimodaq.client.bench._alternate import Effort, Sized, alternate, say
from mimodaq.client.bench._peers import MIMOCORB, Peers, checkout
from mimodaq.client.bench._projects import Prepared, find_project, prepare, prepare_built_in, record
from mimodaq.client.bench._results import BenchError, Goal, Row
from mimodaq.client.bench._runs import carry_out

PROJECTS: Final = ("spectrum", "lifetime")
_FUNCTIONS: Final = {"project": "the project's own functions", "built-in": "built-in functions"}
_WORK: Final = "whole run, 2 filter processes, simulated events without delay"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a run."""

    rate: float
    """Events per second at the source."""
    accepted: list[int]
    """Counters of the events in the text file, in order."""


Runner = Callable[[Path, Path, int, Path | None], Outcome]
"""Runs a project (its folder, an empty folder to work in, the number of events, a recording to take them from)."""


def run_peer(peers: Peers, project: Path, work: Path, events: int, recording: Path | None) -> Outcome:
    """Run a project under mimoCoRB."""
    prepared = prepare(project, work / "project", events, recording)
    found = peers.measure(
        MIMOCORB, "run", folder=str(prepared.folder), setup=prepared.setup, output="target/run", events=events
    )
    return Outcome(float(found["rate"]), found["accepted"])


def run_project(project: Path, work: Path, events: int, recording: Path | None) -> Outcome:
    """Run the same project, with its own functions, here."""
    return _run(prepare(project, work / "project", events, recording), work / "run", events)


def run_built_in(project: Path, work: Path, events: int, recording: Path | None) -> Outcome:
    """Run the same experiment with the built-in functions here."""
    return _run(prepare_built_in(project, work / "project", events, recording), work / "run", events)


def _run(prepared: Prepared, folder: Path, events: int) -> Outcome:
    finished = carry_out(prepared.folder / prepared.setup, folder)
    taken = finished.record["buffers"]["RB_1"]["events"]
    if taken != events:
        raise BenchError(f"{events} events were asked for, {taken} were taken")
    (file,) = finished.folder.glob("*.txt")
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    return Outcome(events / finished.seconds, sorted(int(line.split("\t", 1)[0]) for line in lines))


def same_accepted(project: Path, events: int, runners: dict[str, Runner]) -> dict[str, Any]:
    """Let every runner work on one recording; whether all accept the same events. Raises as the runners do."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as name:
        folder = Path(name)
        recording = folder / "waveforms.npy"
        record(project, recording, events)
        accepted = {}
        for number, (who, runner) in enumerate(runners.items()):
            work = folder / str(number)
            work.mkdir()
            accepted[who] = runner(project, work, events, recording).accepted
    first = next(iter(accepted.values()))
    return {
        "what": f"same events accepted of {events} recorded ones by {', '.join(accepted)}",
        "same": all(counters == first for counters in accepted.values()),
        "recorded": events,
        "accepted": {who: len(counters) for who, counters in accepted.items()},
    }


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """All rows about whole runs."""
    for name in PROJECTS:
        yield from _experiment(name, effort, peers)
    yield from _idle.rows(effort)


def _experiment(name: str, effort: Effort, peers: Peers) -> Iterator[Row]:
    say(f"run: {name}")
    runners: dict[str, Runner] = {
        MIMOCORB.title: partial(run_peer, peers),
        "project": run_project,
        "built-in": run_built_in,
    }
    folder = checkout()

    def rate(runner: Runner, events: int) -> float:
        with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as work:
            return runner(find_project(folder, name), Path(work), events, None).rate

    found = alternate(
        {who: Sized(partial(rate, runner), effort.run_events, effort.run_seconds) for who, runner in runners.items()},
        effort.run_repeats,
    )
    able = {who: runner for who, runner in runners.items() if found[who].values}
    check = _compare(name, effort.check_events, able) if effort.check_events and len(able) > 1 else {}
    for kind, goal in (("project", Goal()), ("built-in", Goal(ratio_min=5))):
        work = f"{_WORK}; {_FUNCTIONS[kind]}"
        yield Row(f"run.{name}.{kind}", work, "ev/s", found[kind], found[MIMOCORB.title], goal, check)


def _compare(name: str, events: int, runners: dict[str, Runner]) -> dict[str, Any]:
    try:
        check = same_accepted(find_project(checkout(), name), events, runners)
    except BenchError as error:
        check = {"what": f"comparing the accepted events failed: {error}", "same": False}
    say(f"  {check['what']}: {check['same']}")
    return check
