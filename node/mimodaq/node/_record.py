"""The record of a run: `run.json`, written at the beginning and, complete, at the end."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import pwd
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mimodaq.config import Setup
from mimodaq.node._rundir import RECORD
from mimodaq.protocol.clock_books import ClockBooks
from mimodaq.protocol.run import Run, Verdict, WorkerId, WorkerState
from mimodaq.ring import RingStatus

_PACKAGES = ("mimodaq", "numpy", "pyarrow", "scipy", "pyzmq")


def versions() -> dict[str, str]:
    """Versions of everything that has a part in the data."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def user() -> str:
    """Name of the user, or its number if there is none."""
    try:
        return os.environ.get("USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def where() -> dict[str, Any]:
    """Host, user and process that runs the run."""
    return {
        "host": socket.gethostname(),
        "user": user(),
        "pid": os.getpid(),
        "command": sys.argv,
        "cpus": os.cpu_count(),
    }


def utc(time_s: float | None) -> str | None:
    """A time as text with microseconds, UTC."""
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds")


def _seconds(text: str | None) -> float | None:
    """The inverse of `utc`."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def ledger(statuses: Mapping[str, RingStatus]) -> dict[str, Any]:
    """Where every event of every buffer went, for each reader group.

    `balanced`: committed = released + quarantined + left everywhere; `left` and `quarantined` are the sums.
    """
    buffers: dict[str, Any] = {}
    balanced, all_left, all_quarantined = True, 0, 0
    for name, status in statuses.items():
        groups = {}
        for group in status.groups:
            left = group.pending + group.reading + group.aside
            is_even = group.committed == group.released + group.quarantined + left
            balanced = balanced and is_even
            all_left += left
            all_quarantined += group.quarantined
            groups[group.name] = {
                "committed": group.committed,
                "released": group.released,
                "quarantined": group.quarantined,
                "left": left,
                "redelivered": group.redelivered,
                "balanced": is_even,
            }
        buffers[name] = groups
    return {"balanced": balanced, "left": all_left, "quarantined": all_quarantined, "buffers": buffers}


def finite(value: Any) -> Any:
    """The same with null in place of nan and infinity, which JSON does not know."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list():
            return [finite(inner) for inner in value]
    return value


def buffer_record(status: RingStatus, running_s: float) -> dict[str, Any]:
    """Counts and dead time of one buffer over the whole run."""
    return {
        "events": status.committed,
        "slots": status.slots,
        "event_bytes": status.event_bytes,
        "rate_hz": status.committed / running_s if running_s > 0 else 0.0,
        "waited_s": status.waited_s,
        "waited_for_s": {group.name: group.blamed_s for group in status.groups},
        "paused_s": status.paused_s,
        "abandoned_slots": status.abandoned,
        "lock_repairs": status.repairs,
    }


def write_record(run_dir: Path, record: Mapping[str, Any]) -> Path:
    """Write `run.json` so that there is the old or the new one, never half of it, even after a power cut."""
    path = run_dir / RECORD
    temporary = path.with_suffix(".json.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=2, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return path


_LINK_COUNTS: Final = ("reconnects", "redelivered", "garbage", "given_back", "doubled")
_OWN: Final = "of_last_process"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the brain of a run knows of it."""

    state: str
    verdict: Verdict
    reasons: Sequence[str]
    end_reason: str
    running_s: float
    workers: Mapping[WorkerId, tuple[WorkerState, int]]
    """State of each and how often it was started again."""

    @classmethod
    def of(cls, run: Run, now: float) -> RunFacts:
        """The facts at monotonic time `now`."""
        states = run.worker_states()
        return cls(run.state.value, run.verdict, tuple(run.reasons), run.end_reason, run.running_s(now), states)

    def judged(self, verdict: Verdict, reasons: Sequence[str]) -> RunFacts:
        """The same with the final verdict."""
        return replace(self, verdict=verdict, reasons=tuple(reasons))


@dataclass(slots=True)
class Books:
    """What is gathered for the record while the run goes on."""

    asked: float = 0.0
    operator: str = field(default_factory=user)
    """Who took the run: the user, or on a cluster who was in charge."""
    comment: str = ""
    """What the operator has said of it."""
    where: dict[str, Any] = field(default_factory=where)
    """The process that began it."""
    begun: float | None = None
    stop_asked: float | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    quarantine: list[dict[str, object]] = field(default_factory=list)
    """One entry an event: file, buffer, function, counter, timestamp, how often it was tried."""
    links: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What went wrong on links: gaps, events in doubt, links given up."""
    flags: list[str] = field(default_factory=list)
    """What workers said that keeps the run from being good although it went on: a scope unplugged for a while."""
    clock: ClockBooks = field(default_factory=ClockBooks)
    """This host's wall clock against the broker's."""

    def add_files(self, function: str, paths: Sequence[str]) -> None:
        """Note files that a function writes, each once."""
        self.files[function] = list(dict.fromkeys([*self.files.get(function, ()), *paths]))

    def add_figures(self, function: str, process: int, figures: dict[str, Any]) -> None:
        """Note figures of a worker."""
        self.figures.setdefault(function, {})[str(process)] = finite(figures)

    def begin_link(self, link: str) -> None:
        """A process of this end of a link has begun; it counts from 0."""
        counts = self.figures.setdefault(link, {}).setdefault("0", {"processes": 0})
        counts["processes"] += 1
        counts[_OWN] = {}

    def count_link(self, link: str, report: Mapping[str, Any]) -> None:
        """Note what the process of a link has counted; those before it are added."""
        if link not in self.figures:
            self.begin_link(link)
        counts = self.figures[link]["0"]
        own = {name: report[name] for name in _LINK_COUNTS if name in report}
        for name, value in own.items():
            counts[name] = counts.get(name, 0) - counts[_OWN].get(name, 0) + value
        counts[_OWN] = own

    def link_counts(self, link: str) -> dict[str, int]:
        """What all processes of this end of a link have counted together."""
        counts = self.figures.get(link, {}).get("0", {})
        return {name: counts[name] for name in _LINK_COUNTS if name in counts}

    def add_link_record(self, link: str, kind: str, report: Mapping[str, Any]) -> None:
        """Note something that went wrong on a link."""
        self.links.setdefault(link, []).append(finite({**report, "kind": kind}))

    @classmethod
    def restore(cls, record: Mapping[str, Any]) -> Books:
        """The books of a run from its record, written when it had not ended."""
        times = record["times"]
        asked, begun, stop = (_seconds(times[k]) for k in ("start_asked", "start_complete", "stop_asked"))
        whose = {key: record[key] for key in ("operator", "comment", "where")}
        files, figures = dict(record["files"]), dict(record["figures"])
        books = cls(asked or 0.0, begun=begun, stop_asked=stop, files=files, figures=figures, **whose)
        books.quarantine, books.links = list(record["quarantine"]), dict(record["links"])
        books.clock = ClockBooks.restore(record.get("clock"))
        return books

    def record(
        self, setup: Setup, run: int, facts: RunFacts, statuses: Mapping[str, RingStatus], *, final: bool
    ) -> dict[str, Any]:
        """The content of run.json at this moment; `final` = the verdict is known."""
        running_s = facts.running_s
        counted = statuses.get(setup.counted_buffer)
        writers = sum(f.processes for f in setup.writers(setup.counted_buffer))
        live = 1.0 - counted.waited_s / (running_s * writers) if counted and running_s > 0 and writers else 1.0
        return {
            "run": run,
            "setup": setup.path.name,
            "setup_folder": str(setup.folder),
            "state": facts.state,
            "verdict": facts.verdict.value if final else None,
            "reasons": list(facts.reasons),
            "end_reason": facts.end_reason,
            "operator": self.operator,
            "comment": self.comment,
            "times": {
                "start_asked": utc(self.asked),
                "start_complete": utc(self.begun),
                "stop_asked": utc(self.stop_asked),
                "stop_complete": utc(time.time()) if final else None,
            },
            "running_s": running_s,
            "live_time_s": max(0.0, live) * running_s,
            "live_time_fraction": max(0.0, live),
            "limits": {"events": setup.events_limit, "duration_s": setup.duration_s},
            "buffers": {name: buffer_record(s, running_s) for name, s in statuses.items()},
            "ledger": ledger(statuses),
            "workers": {
                str(i): {"state": state.value, "restarts": restarts} for i, (state, restarts) in facts.workers.items()
            },
            "files": self.files,
            "figures": self.figures,
            "quarantine": self.quarantine,
            "links": self.links,
            "clock": self.clock.record(),
            "versions": versions(),
            "where": self.where,
        }
