"""A run on this host: its rings, processes, figures and books.

The hands of a run: it carries out what a brain decides (`mimodaq.protocol.run`) and tells what has happened through
`emit`; it decides nothing. Used by a run on one host (`Engine`) and by a node for its part of a run over many (`Node`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from selectors import BaseSelector
from typing import TYPE_CHECKING, Any, Final

from mimodaq.config import Problem, Setup
from mimodaq.node._check import order_for
from mimodaq.node._disk import RunDisks
from mimodaq.node._folder import Folder
from mimodaq.node._order import Outcome
from mimodaq.node._quarantine import Quarantine
from mimodaq.node._record import Books, RunFacts, utc, versions
from mimodaq.node._run_rings import RunRings
from mimodaq.node._rundir import kept_files
from mimodaq.node._window import AGAIN_S, WINDOW, Window
from mimodaq.node._workers import Job, JobError, WorkerProcess, Workers
from mimodaq.protocol import run as runs
from mimodaq.protocol.node_events import Fate
from mimodaq.protocol.parts import LinkLedger, LinkLine, RingLedger
from mimodaq.protocol.plan import FunctionPlan, LinkPlan, NodePlan
from mimodaq.protocol.run import Verdict, WorkerId
from mimodaq.ring import Ring, RingError

if TYPE_CHECKING:
    from mimodaq.node._links import LinkJobs

TICK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run needs from its owner."""

    selector: BaseSelector
    emit: Callable[[runs.Event], None]
    say: Callable[[str, str, str], None]
    """Level, text, source."""
    outlives_node_s: float = 0.0
    """How long processes go on when this process dies."""
    hear: Callable[[str, Sequence[str], str], None] | None = None
    """Level, texts, source of what functions print and log, which may be any number of lines; None: as all others."""


@dataclass(slots=True)
class HostRun:
    """One run of a setup on this host. Call `make_rings` or `rings.attach` first."""

    setup: Setup
    plan: NodePlan
    number: int
    partition: str
    folder: Folder
    around: Surroundings
    link_jobs: LinkJobs | None = None
    books: Books = field(default_factory=Books)
    problems: list[Problem] = field(default_factory=list)
    run_dir: Path = Path()
    restarts: Callable[[WorkerId], int] = lambda worker: 0
    """How often a worker was started again."""
    rings: RunRings = field(init=False)
    disks: RunDisks = field(init=False)
    """Set with the directory."""
    window: Window = field(init=False)
    _workers: Workers = field(init=False)
    _functions: dict[str, FunctionPlan] = field(init=False)
    _links: dict[str, LinkPlan] = field(init=False)
    _quarantine: Quarantine = field(init=False)
    _said: set[tuple[str, str]] = field(default_factory=set)
    is_news: bool = False
    """The books hold something that the record on disk does not."""
    _link_reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    _stopped: frozenset[WorkerId] = frozenset()

    def __post_init__(self) -> None:
        self._workers = Workers(self.around.selector, self.folder, self._on_report, self._on_printed, self._on_exit)
        self._functions = {f.name: f for f in self.plan.functions}
        self._links = {link.name: link for link in (*self.plan.outgoing, *self.plan.incoming)}
        self.rings = RunRings(self.setup, self.plan, self.partition)
        self.window = Window(self.folder, self.rings, self.link_jobs, self._start, self._say_once)

    # -- rings and directory ------------------------------------------------------------------------------------

    def make_rings(self, *, held: bool = False) -> None:
        """Make all rings; `held` = writers of sources wait. Raises SegmentError, and has made none then."""
        self.rings.make(self.number, self.folder, held=held)

    def use_directory(self, run_dir: Path) -> None:
        """Set where the run writes."""
        self.run_dir = run_dir
        self.disks = RunDisks(self.setup.disk, run_dir)
        self.folder.note_directory(run_dir)
        self._quarantine = Quarantine(run_dir, self.books.quarantine)

    # -- effects --------------------------------------------------------------------------------------------------

    def carry_out(self, effect: runs.Effect) -> None:
        """Do what the brain of the run wants."""
        match effect:
            case runs.Launch(worker):
                self._launch(worker)
            case runs.PauseSources():
                self.rings.each(self.plan.source_rings, Ring.pause)
            case runs.ResumeSources():
                self.rings.let_sources_go()
            case runs.EndSources():
                self.books.stop_asked = self.books.stop_asked or time.time()
                self.rings.each(self.plan.source_rings, Ring.end)
            case runs.CloseBuffers():
                self.books.stop_asked = self.books.stop_asked or time.time()
                self.rings.each(self.rings.by_name, Ring.close)
            case runs.Interrupt(worker):
                self._workers.signal(worker, signal.SIGTERM)
            case runs.Kill(worker):
                self._workers.signal(worker, signal.SIGKILL)
            case runs.GiveUp(worker) if worker.function in self._links:
                self._let_go_of(self._links[worker.function])
            case runs.GiveUp(worker):
                rings = self._functions[worker.function].rings
                self.rings.each((rings[b] for b in self.setup.functions[worker.function].writes), Ring.give_up_writer)
            case runs.Say(level, text):
                self.around.say(level, text, "run")
            case runs.Finish():
                pass  # the owner sees the state

    def note_state(self, state: runs.State) -> None:
        """Note when the run began to end, if nobody has asked for it: a limit, or sources without more events."""
        if state in (runs.State.STOPPING, runs.State.ABORTING, runs.State.ENDED):
            self.books.stop_asked = self.books.stop_asked or time.time()

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
            segments={buffer: self.rings.segment(ring) for buffer, ring in function.rings.items()},
            all_segments=tuple(self.rings.segment(ring) for ring in self.rings.by_name),
            source_segments=tuple(self.rings.segment(ring) for ring in ended_by_orphans),
            restarts=self.restarts(worker),
            outlives_node_s=self.around.outlives_node_s,
            run_info=self._run_info(),
            spill=tuple(str(place) for place in self.disks.spill),
            reserve_bytes=self.setup.disk.reserve_bytes,
        )
        return Job.of(order)

    def _run_info(self) -> dict[str, Any]:
        """What is known of the run when it begins, for its data files."""
        return {
            "run": self.number,
            "setup": self.setup.path.name,
            "started": utc(self.books.asked),
            **({"node": self.plan.node} if self.setup.hosts else {}),
            "operator": self.books.operator,
            "comment": self.books.comment,
            "where": self.books.where,
            "configuration": self.setup.resolved(),
            "versions": versions(),
            "kept": kept_files(self.setup),
        }

    def _end_of(self, link: LinkPlan) -> str:
        """Segment of this node's end of a link."""
        return self.rings.segment(link.from_ring if link.sender == self.plan.node else link.to_ring)

    def adopt(self) -> dict[WorkerId, Fate]:
        """Take over the processes of an earlier life; what has become of each."""
        if not self._workers.adopt(WINDOW).pid:
            self.window.try_again(0.0)
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

    def look(self) -> None:
        """Read every figure from the rings, give back what dead processes hold, collect the quarantine."""
        moved = self.rings.look(self._collect_quarantine)
        if moved:
            self.around.emit(runs.Moved(moved))

    def look_at_processes(self) -> None:
        """Tell of processes that were stopped, or that go on; a stopped one is not dead and keeps what it holds."""
        stopped = self._workers.stopped()
        for worker in sorted(stopped - self._stopped, key=str):
            text = f"{worker} is stopped by a signal: it lives and does nothing, and what it holds waits"
            self.around.say("warning", text, "run")
        for worker in sorted(self._stopped - stopped, key=str):
            if worker in self._workers.running:
                self.around.say("info", f"{worker} goes on", "run")
        self._stopped = stopped
        self.window.look()

    def _collect_quarantine(self, name: str, ring: Ring) -> None:
        try:
            taken = ring.quarantine(partial(self._quarantine.keep, name))
        except OSError as error:  # they stay in the buffer, and the next look tries again
            self._say_once("error", f"saving events of {name} in quarantine: {error.strerror}", "run")
        else:
            if taken:
                text = f"{taken} event(s) of {name} killed their reader too often and were set aside"
                self.around.say("error", text, "run")

    def link_lines(self) -> tuple[LinkLine, ...]:
        """Figures of all links, as their processes have last reported them."""
        if self.link_jobs is None:
            return ()
        lines = []
        for link in self._links.values():
            status = self.rings.statuses.get(link.from_ring if link.sender == self.plan.node else link.to_ring)
            report = {**self._link_reports.get(link.name, {}), **self.books.link_counts(link.name)}
            lines.append(self.link_jobs.line(link, report, status))
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
                self._hear(report["level"], (report["text"],), worker)
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
                if name in self._links:
                    self.books.begin_link(name)
                self.around.emit(runs.Ready(worker))
            case "figures" if name in self._links:
                self._link_reports[name] = report
                self.books.count_link(name, report)
            case "figures":
                pass  # of the window
            case "say":
                self.around.say(report["level"], report["text"], name)
            case "finish":
                if report["outcome"] != "done" and report["reason"]:
                    self.around.say("warning", f"the link has ended: {report['reason']}", name)
            case kind:
                self.books.add_link_record(name, kind, report)
                self.around.say("error", ", ".join(f"{key} {value}" for key, value in report.items()), name)

    def _on_printed(self, worker: WorkerId, lines: Sequence[str]) -> None:
        self._hear("info", lines, worker)

    def _hear(self, level: str, texts: Sequence[str], worker: WorkerId) -> None:
        """A function has said something by itself."""
        if self.around.hear is not None:
            self.around.hear(level, texts, str(worker))
            return
        for text in texts:
            self.around.say(level, text, str(worker))

    def _on_exit(self, process: WorkerProcess) -> None:
        if process.id == WINDOW:
            text = f"nobody can look at events of this host for a while: {process.reason}"
            self.around.say("warning", text, str(WINDOW))
            self.window.try_again(AGAIN_S)
            return
        self.rings.reap()
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
            status = self.rings.by_name[plan.rings[name]].status()
            pending = sum(group.pending for group in status.groups if group.name == worker.function)
            if not status.is_ended or (pending and not has_sister):
                return False
        return True

    # -- the end ------------------------------------------------------------------------------------------------------

    def audit(self) -> list[tuple[Verdict, str]]:
        """What is wrong with the rings now that all processes have gone."""
        found = [(Verdict.DEGRADED, reason) for reason in dict.fromkeys(self.books.flags)]
        found += self.rings.audit()
        if self.link_jobs is not None:
            for link in self.plan.outgoing:
                dropped = self.link_jobs.dropped(link, self.rings.by_name)
                if dropped:
                    text = f"{dropped} events of {link.from_ring} were thrown away: the link {link.name} was given up"
                    found.append((Verdict.INCOMPLETE, text))
        for name, records in self.books.links.items():
            found += [(Verdict.INCOMPLETE, f"gap on the link {name}: {r}") for r in records if r["kind"] == "gap"]
        return found

    def ledgers(self) -> tuple[tuple[RingLedger, ...], tuple[LinkLedger, ...]]:
        """Where every event went, in rings and over links, from the last look."""
        rings = self.rings.ledgers()
        if self.link_jobs is None:
            return rings, ()
        links = tuple(
            LinkLedger(link.name, link.sender == self.plan.node, self.link_jobs.moved(link, self.rings.by_name))
            for link in self._links.values()
            if not link.is_copies
        )
        return rings, links

    def record(self, facts: RunFacts, *, final: bool) -> dict[str, Any]:
        """The content of run.json; `final` = the verdict is known."""
        return self.books.record(self.setup, self.number, facts, self.rings.statuses_in_run(), final=final)

    @property
    def living(self) -> int:
        """Processes that work for the run at this moment."""
        return sum(worker != WINDOW for worker in self._workers.running)

    def end_processes(self) -> None:
        """End all processes by force."""
        self._workers.kill_all()

    def close(self) -> None:
        """End all processes, remove the rings and the folder."""
        self._workers.close()
        self.rings.remove()
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
