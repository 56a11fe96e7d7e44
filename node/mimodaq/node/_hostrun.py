"""A run on this host: its rings, processes, figures and books.

The hands of a run: it carries out what a brain decides (`mimodaq.protocol.run`) and tells what has happened through
`emit`; it decides nothing. Used by a run on one host (`Engine`) and by a node for its part of a run over many (`Node`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from selectors import BaseSelector
from typing import TYPE_CHECKING, Any, Final

from mimodaq.config import Problem, Setup
from mimodaq.node._check import order_for
from mimodaq.node._folder import Folder
from mimodaq.node._order import Outcome
from mimodaq.node._quarantine import Quarantine
from mimodaq.node._record import Books, RunFacts, versions
from mimodaq.node._rings import Progress, make_ring, ring_segment
from mimodaq.node._snapshot import buffer_figures
from mimodaq.node._workers import Job, JobError, WorkerProcess, Workers
from mimodaq.protocol import run as runs
from mimodaq.protocol.node_events import Fate
from mimodaq.protocol.parts import BufferLine, GroupLedger, LinkLedger, LinkLine, RingLedger
from mimodaq.protocol.plan import FunctionPlan, LinkPlan, NodePlan
from mimodaq.protocol.run import Verdict, WorkerId
from mimodaq.ring import Ring, RingError, RingStatus, VerifyError
from mimodaq.system import write_file

if TYPE_CHECKING:
    from mimodaq.node._links import LinkJobs

TICK_S: Final = 0.25
WINDOW: Final = WorkerId("window", 0)
"""The process that lets clients look at events; no run depends on it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run needs from its owner."""

    selector: BaseSelector
    emit: Callable[[runs.Event], None]
    say: Callable[[str, str, str], None]
    """Level, text, source."""
    outlives_node_s: float = 0.0
    """How long processes go on when this process dies."""


@dataclass(slots=True)
class HostRun:
    """One run of a setup on this host. Call `make_rings` or `attach_rings` first."""

    setup: Setup
    plan: NodePlan
    number: int
    partition: str
    folder: Folder
    around: Surroundings
    link_jobs: LinkJobs | None = None
    rings: dict[str, Ring] = field(default_factory=dict)
    """By name on this node."""
    books: Books = field(default_factory=Books)
    problems: list[Problem] = field(default_factory=list)
    run_dir: Path = Path()
    restarts: Callable[[WorkerId], int] = lambda worker: 0
    """How often a worker was started again."""
    _workers: Workers = field(init=False)
    _functions: dict[str, FunctionPlan] = field(init=False)
    _links: dict[str, LinkPlan] = field(init=False)
    _progress: Progress = field(init=False)
    _quarantine: Quarantine = field(init=False)
    _said: set[tuple[str, str]] = field(default_factory=set)
    _statuses: dict[str, RingStatus] = field(default_factory=dict)
    _before: dict[str, RingStatus] = field(default_factory=dict)
    _figures_at: float = 0.0
    is_news: bool = False
    """The books hold something that the record on disk does not."""
    _link_reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._workers = Workers(self.around.selector, self.folder, self._on_report, self._on_output, self._on_exit)
        self._functions = {f.name: f for f in self.plan.functions}
        self._links = {link.name: link for link in (*self.plan.outgoing, *self.plan.incoming)}
        self._progress = Progress(self.plan)

    # -- rings and directory ------------------------------------------------------------------------------------

    def segment(self, ring: str) -> str:
        """Name of the segment of one of the rings."""
        return ring_segment(self.partition, self.plan.node, ring)

    def make_rings(self, *, held: bool = False) -> None:
        """Make all rings; `held` = writers of sources wait. Raises SegmentError, and has made none then."""
        try:
            for ring in self.plan.rings:
                made = make_ring(self.setup, ring, self.number, self.segment(ring.name), self.folder)
                self.rings[ring.name] = made
                if held and ring.is_source:
                    made.pause()
        except BaseException:
            self.remove_rings()
            raise

    def attach_rings(self) -> None:
        """Attach to the rings of an earlier life. Raises SegmentError if one is missing."""
        for ring in self.plan.rings:
            self.rings[ring.name] = Ring.attach(self.segment(ring.name))

    def remove_rings(self) -> None:
        """Remove the names of all rings."""
        for ring in self.rings.values():
            ring.unlink()
        self.rings.clear()

    def use_directory(self, run_dir: Path) -> None:
        """Set where the run writes."""
        self.run_dir = run_dir
        self._quarantine = Quarantine(run_dir, self.books.quarantine)

    def start_window(self) -> None:
        """Start the process that lets clients look at events."""
        if self.link_jobs is not None and self.renew_window():
            self._start(WINDOW, self.link_jobs.window(self._window_file))

    def renew_window(self) -> bool:
        """Tell the window who may look; whether there can be one."""
        assert self.link_jobs is not None
        segments = {name: ring.segment for name, ring in self.rings.items()}
        try:
            text = self.link_jobs.window_order(segments)
            write_file(self._window_file, text.encode())
        except (JobError, OSError) as error:
            self.around.say("warning", f"nobody can look at events of this host: {error}", str(WINDOW))
            return False
        return True

    @property
    def _window_file(self) -> Path:
        return self.folder.path / "window.json"

    # -- effects --------------------------------------------------------------------------------------------------

    def carry_out(self, effect: runs.Effect) -> None:
        """Do what the brain of the run wants."""
        match effect:
            case runs.Launch(worker):
                self._launch(worker)
            case runs.PauseSources():
                self._each(self.plan.source_rings, Ring.pause)
            case runs.ResumeSources():
                self._each(self.plan.source_rings, Ring.resume)
            case runs.EndSources():
                self.books.stop_asked = self.books.stop_asked or time.time()
                self._each(self.plan.source_rings, Ring.end)
            case runs.CloseBuffers():
                self.books.stop_asked = self.books.stop_asked or time.time()
                self._each(self.rings, Ring.close)
            case runs.Interrupt(worker):
                self._workers.signal(worker, signal.SIGTERM)
            case runs.Kill(worker):
                self._workers.signal(worker, signal.SIGKILL)
            case runs.GiveUp(worker) if worker.function in self._links:
                self._let_go_of(self._links[worker.function])
            case runs.GiveUp(worker):
                rings = self._functions[worker.function].rings
                self._each((rings[b] for b in self.setup.functions[worker.function].writes), Ring.give_up_writer)
            case runs.Say(level, text):
                self.around.say(level, text, "run")
            case runs.Finish():
                pass  # the owner sees the state

    def _each(self, names: Iterable[str], action: Callable[[Ring], None]) -> None:
        for name in names:
            action(self.rings[name])

    def _let_go_of(self, link: LinkPlan) -> None:
        assert self.link_jobs is not None
        try:
            record = self.link_jobs.let_go(link, self._end_of(link))
        except (RingError, JobError) as error:
            self.around.say("error", f"giving up the link: {error}", link.name)
            return
        if record is not None:
            self.books.add_link_record(link.name, "cut", record)

    def _launch(self, worker: WorkerId) -> None:
        try:
            job = self._job(worker)
        except JobError as error:
            self.around.emit(runs.Exited(worker, str(error), is_fatal=True))
        else:
            self._start(worker, job)

    def _start(self, worker: WorkerId, job: Job) -> None:
        try:
            self._workers.launch(worker, job)
        except OSError as error:
            self.around.emit(runs.Exited(worker, f"starting a process: {error.strerror or error}"))

    def _job(self, worker: WorkerId) -> Job:
        if worker.function in self._links:
            assert self.link_jobs is not None
            link = self._links[worker.function]
            return self.link_jobs.job(link, self._end_of(link))
        function = self._functions[worker.function]
        ended_by_orphans = (*self.plan.source_rings, *self.plan.fed_rings)
        order = order_for(
            self.setup,
            worker.function,
            process=worker.process,
            processes=function.processes,
            run_dir=str(self.run_dir),
            segments={buffer: self.segment(ring) for buffer, ring in function.rings.items()},
            all_segments=tuple(self.segment(ring) for ring in self.rings),
            source_segments=tuple(self.segment(ring) for ring in ended_by_orphans),
            restarts=self.restarts(worker),
            outlives_node_s=self.around.outlives_node_s,
            run_info={
                "run": self.number,
                "setup": self.setup.path.name,
                "configuration": self.setup.resolved(),
                "versions": versions(),
            },
        )
        return Job.of(order)

    def _end_of(self, link: LinkPlan) -> str:
        """Segment of this node's end of a link."""
        return self.segment(link.from_ring if link.sender == self.plan.node else link.to_ring)

    def adopt(self) -> dict[WorkerId, Fate]:
        """Take over the processes of an earlier life; what has become of each."""
        self._workers.adopt(WINDOW)
        fates = {}
        for plan in self.plan.workers():
            entry = self._workers.adopt(plan.id)
            if entry.pid:
                fates[plan.id] = Fate.ALIVE
            else:
                fates[plan.id] = Fate.FINISHED if entry.outcome is Outcome.DONE else Fate.DEAD
        return fates

    def cut(self, name: str) -> None:
        """Give up a link whose other end will not come back."""
        assert self.link_jobs is not None
        worker = WorkerId(name, 0)
        self.link_jobs.cut.add(name)  # for those that are started later
        if worker in self._workers.running:
            self._workers.signal(worker, signal.SIGUSR1)
        else:
            self._launch(worker)

    # -- looking ----------------------------------------------------------------------------------------------------

    def look(self) -> dict[str, RingStatus]:
        """Read every figure from the segments, give back what dead processes hold, collect the quarantine."""
        statuses = {}
        for name, ring in self.rings.items():
            ring.reap()
            statuses[name] = ring.status()
            if any(group.aside for group in statuses[name].groups):
                self._collect_quarantine(name, ring)
                statuses[name] = ring.status()
        self._statuses = statuses
        moved = self._progress.look(statuses)
        if moved:
            self.around.emit(runs.Moved(moved))
        return statuses

    @property
    def is_drained(self) -> bool:
        """Whether no event was left that a living worker could get, at the last look."""
        return all(g.pending + g.reading == 0 for s in self._statuses.values() for g in s.groups)

    def committed(self, ring: str) -> int:
        """Events of a ring now."""
        return self.rings[ring].status().committed

    def _collect_quarantine(self, name: str, ring: Ring) -> None:
        try:
            taken = ring.quarantine(partial(self._quarantine.keep, name))
        except OSError as error:  # they stay in the buffer, and the next look tries again
            self._say_once("error", f"saving events of {name} in quarantine: {error.strerror}", "run")
        else:
            if taken:
                text = f"{taken} event(s) of {name} killed their reader too often and were set aside"
                self.around.say("error", text, "run")

    def buffer_lines(self, now: float) -> tuple[BufferLine, ...]:
        """Figures of all rings since the last call, from the last look."""
        seconds = now - self._figures_at
        lines = tuple(buffer_figures(n, s, self._before.get(n), seconds) for n, s in self._statuses.items())
        self._before, self._figures_at = dict(self._statuses), now
        return lines

    def link_lines(self) -> tuple[LinkLine, ...]:
        """Figures of all links, as their processes have last reported them."""
        if self.link_jobs is None:
            return ()
        lines = []
        for link in self._links.values():
            status = self._statuses.get(link.from_ring if link.sender == self.plan.node else link.to_ring)
            lines.append(self.link_jobs.line(link, self._link_reports.get(link.name, {}), status))
        return tuple(lines)

    # -- what processes say -----------------------------------------------------------------------------------------

    def _on_report(self, worker: WorkerId, report: dict[str, Any]) -> None:
        self.is_news = True
        if worker.function in self._links or worker == WINDOW:
            self._on_link_report(worker, report)
            return
        match report["kind"]:
            case "ready":
                self.around.emit(runs.Ready(worker))
            case "log":
                self.around.say(report["level"], report["text"], str(worker))
            case "files":
                self.books.add_files(worker.function, report["files"])
            case "figures":
                self.books.add_figures(worker.function, worker.process, report["figures"])
            case "flag":
                self.books.flags.append(f"{worker}: {report['reason']}")
            case "failure":
                self._say_once("error", report["traceback"].rstrip(), str(worker))
            case "problem":
                place = self.setup.where_of(worker.function, *report["key"])
                problem = Problem(place, report["message"], report.get("suggestion", ""))
                if problem not in self.problems:
                    self.problems.append(problem)

    def _on_link_report(self, worker: WorkerId, report: dict[str, Any]) -> None:
        name = worker.function
        match report["kind"]:
            case "ready":
                self.around.emit(runs.Ready(worker))
            case "figures":
                self._link_reports[name] = report
            case "say":
                self.around.say(report["level"], report["text"], name)
            case "finish":
                if report["outcome"] != "done" and report["reason"]:
                    self.around.say("warning", f"the link has ended: {report['reason']}", name)
            case kind:
                self.books.add_link_record(name, kind, report)
                self.around.say("error", ", ".join(f"{key} {value}" for key, value in report.items()), name)

    def _on_output(self, worker: WorkerId, line: str) -> None:
        self.around.say("info", line, str(worker))

    def _on_exit(self, process: WorkerProcess) -> None:
        if process.id == WINDOW:
            self.around.say(
                "warning", f"nobody can look at events of this host any more: {process.reason}", str(WINDOW)
            )
            return
        for ring in self.rings.values():
            ring.reap()
        self.look()
        is_early = process.outcome is Outcome.DONE and not self._has_input_ended(process.id)
        is_fatal = process.outcome is Outcome.FATAL
        self.around.emit(runs.Exited(process.id, process.reason, is_fatal=is_fatal, is_early=is_early))

    def _has_input_ended(self, worker: WorkerId) -> bool:
        """Whether nothing more will come for a worker, and what has come is worked off or a sister's to do."""
        plan = self._functions.get(worker.function)
        if plan is None:
            return True  # the ends of a link know
        function = self.setup.functions[worker.function]
        inputs = function.reads or (function.observes if function.writes else ())
        has_sister = any(other.function == worker.function for other in self._workers.running)
        for name in inputs:
            status = self.rings[plan.rings[name]].status()
            pending = sum(group.pending for group in status.groups if group.name == worker.function)
            if not status.is_ended or (pending and not has_sister):
                return False
        return True

    # -- the end ------------------------------------------------------------------------------------------------------

    def audit(self) -> list[tuple[Verdict, str]]:
        """What is wrong with the rings now that all processes have gone."""
        found = [(Verdict.DEGRADED, reason) for reason in dict.fromkeys(self.books.flags)]
        for name, ring in self.rings.items():
            status = self._statuses[name] = ring.status()
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
        if self.link_jobs is not None:
            for link in self.plan.outgoing:
                dropped = self.link_jobs.dropped(link, self.rings)
                if dropped:
                    text = f"{dropped} events of {link.from_ring} were thrown away: the link {link.name} was given up"
                    found.append((Verdict.INCOMPLETE, text))
        for name, records in self.books.links.items():
            found += [(Verdict.INCOMPLETE, f"gap on the link {name}: {r}") for r in records if r["kind"] == "gap"]
        return found

    def ledgers(self) -> tuple[tuple[RingLedger, ...], tuple[LinkLedger, ...]]:
        """Where every event went, in rings and over links, from the last look."""
        rings = tuple(
            RingLedger(
                name,
                tuple(
                    GroupLedger(g.name, g.committed, g.released, g.quarantined, g.pending + g.reading + g.aside)
                    for g in status.groups
                ),
            )
            for name, status in self._statuses.items()
        )
        if self.link_jobs is None:
            return rings, ()
        links = tuple(
            LinkLedger(link.name, link.sender == self.plan.node, self.link_jobs.moved(link, self.rings))
            for link in self._links.values()
            if not link.is_copies
        )
        return rings, links

    def record(self, facts: RunFacts, *, final: bool) -> dict[str, Any]:
        """The content of run.json; `final` = the verdict is known."""
        return self.books.record(self.setup, self.number, facts, self._statuses, final=final)

    def end_processes(self) -> None:
        """End all processes by force."""
        self._workers.kill_all()

    def close(self) -> None:
        """End all processes, remove the rings and the folder."""
        self._workers.close()
        self.remove_rings()
        self.folder.remove()

    def leave(self) -> None:
        """Let everything run on, for the next life of the node daemon."""
        self._workers.let_go()
        self.folder.release()

    def _say_once(self, level: str, text: str, source: str) -> None:
        """A traceback that repeats is shown once; the line that counts the failure follows each time."""
        if (source, text) not in self._said:
            self._said.add((source, text))
            self.around.say(level, text, source)
