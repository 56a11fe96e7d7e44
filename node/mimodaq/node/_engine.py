"""Carry out a run on this host: rings, worker processes, figures, record.

The shell around `mimodaq.protocol.run`: it owns processes, shared memory, files and time, and decides nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from mimodaq.config import Problem, Setup, SetupErrors
from mimodaq.node._check import order_for
from mimodaq.node._log import Entry, RunLog
from mimodaq.node._order import EXIT_ABORTED, EXIT_FATAL, Order
from mimodaq.node._quarantine import Quarantine
from mimodaq.node._record import buffer_record, ledger, utc, versions, where, write_record
from mimodaq.node._rundir import make_run_directory, next_run_number
from mimodaq.node._snapshot import Snapshot, WorkerFigures, buffer_figures
from mimodaq.node._workers import WorkerProcess, Workers, explain_exit
from mimodaq.protocol import run as protocol
from mimodaq.protocol.run import Verdict, WorkerId
from mimodaq.ring import Ring, RingStatus, SegmentError, left_overs, segment_name

TICK_S: Final = 0.25
SNAPSHOT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose beside the setup."""

    directory: Path | None = None
    """Run directory; None = one named after setup and time in the output directory."""
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None
    on_log: Callable[[Entry], None] = lambda entry: None
    stuck_s: float = protocol.STUCK_S


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    run: int
    run_dir: Path
    verdict: str
    record: Mapping[str, Any]
    """The content of run.json."""


@dataclass(slots=True)
class _Books:
    """What is gathered for the record while the run goes on."""

    asked: float = 0.0
    begun: float | None = None
    stop_asked: float | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)


class Engine:
    """One run of a setup on this host.

    `run` blocks until the run has ended. `command` may be called from the callbacks and, as it only appends and
    writes to a pipe, from signal handlers.
    """

    def __init__(self, setup: Setup, options: RunOptions = RunOptions()) -> None:
        self._setup = setup
        self._options = options
        self._selector = DefaultSelector()
        self._workers = Workers(self._selector, self._on_report, self._on_output, self._on_exit)
        self._commands: list[tuple[str, str]] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, EVENT_READ, lambda: os.read(self._wake_read, 4096))
        self._rings: dict[str, Ring] = {}
        self._books = _Books()
        self._problems: list[Problem] = []
        self._before: dict[str, RingStatus] = {}
        self._snapshot_at = 0.0
        self._said: set[tuple[str, str]] = set()
        self._released: dict[str, int] = {}
        plans = [
            protocol.WorkerPlan(WorkerId(f.name, i), self._is_source(f.name), self._restarts(f.name))
            for f in setup.functions.values()
            for i in range(f.processes)
        ]
        self._brain = protocol.Run(plans, setup.duration_s, options.stuck_s)

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever `fd` (the keyboard) has something to read."""
        self._selector.register(fd, EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`."""
        self._selector.unregister(fd)

    def command(self, name: str, reason: str) -> None:
        """Ask for pause, resume, stop or abort."""
        self._commands.append((name, reason))
        os.write(self._wake_write, b"!")

    # -- the run ----------------------------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Carry out the run to its end.

        Raises SetupErrors when functions cannot be loaded or do not fit (nothing has been taken then),
        RunDirectoryError, SegmentError (a full /dev/shm) before anything has started.
        """
        self._books.asked = time.time()
        self._number = next_run_number(self._setup.output_directory)
        removed = self._remove_left_overs()
        self._make_rings()
        try:
            self._run_dir = make_run_directory(self._setup, self._options.directory, datetime.now())
            self._log = RunLog(self._run_dir / "run.log", self._options.on_log)
            try:
                self._quarantine = Quarantine(self._run_dir)
                for path in removed:
                    self._say("warning", f"removed {path}, left over from a run that was killed")
                write_record(self._run_dir, self._record(final=False))
                return self._loop()
            finally:
                self._workers.kill_all()
                self._log.close()
        finally:
            for ring in self._rings.values():
                ring.unlink()
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _loop(self) -> RunResult:
        now = time.monotonic()
        self._say("info", f"run {self._number} of {self._setup.path.name} in {self._run_dir}")
        self._carry_out(self._brain.handle(protocol.Begin(), now))
        while self._brain.state is not protocol.State.ENDED:
            deadline = min(self._brain.deadline(now), now + TICK_S)
            for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
                key.data()
            while self._commands:
                name, reason = self._commands.pop(0)
                self._handle(protocol.Command(name, reason))
            now = time.monotonic()
            self._look(now)
        return self._close_books()

    def _handle(self, event: protocol.Event) -> None:
        self._carry_out(self._brain.handle(event, time.monotonic()))

    def _carry_out(self, effects: Sequence[protocol.Effect]) -> None:
        for effect in effects:
            match effect:
                case protocol.Launch(worker):
                    self._workers.launch(worker, self._order(worker))
                case protocol.PauseSources():
                    self._each_source_ring(Ring.pause)
                case protocol.ResumeSources():
                    self._each_source_ring(Ring.resume)
                case protocol.EndSources():
                    self._end_sources()
                case protocol.CloseBuffers():
                    self._books.stop_asked = self._books.stop_asked or time.time()
                    for ring in self._rings.values():
                        ring.close()
                case protocol.Interrupt(worker):
                    self._workers.signal(worker, signal.SIGTERM)
                case protocol.Kill(worker):
                    self._workers.signal(worker, signal.SIGKILL)
                case protocol.GiveUp(worker):
                    for name in self._setup.functions[worker.function].writes:
                        self._rings[name].give_up_writer()
                case protocol.Say(level, text):
                    self._say(level, text)
                case protocol.Finish():
                    pass  # the loop sees the state
        if self._books.begun is None and self._brain.begun is not None:
            self._books.begun = time.time()

    def _end_sources(self) -> None:
        self._books.stop_asked = self._books.stop_asked or time.time()
        self._each_source_ring(Ring.end)
        for worker in list(self._workers.running):
            if self._is_source(worker.function):
                self._workers.signal(worker, signal.SIGTERM)

    def _each_source_ring(self, action: Callable[[Ring], None]) -> None:
        for name in self._source_buffers():
            action(self._rings[name])

    # -- looking ------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Read every figure from the segments, give back what dead processes hold, collect the quarantine."""
        statuses = {}
        for name, ring in self._rings.items():
            ring.reap()
            taken = ring.quarantine(partial(self._quarantine.keep, name))
            if taken:
                self._say("error", f"{taken} event(s) of {name} killed their reader too often and were set aside")
            statuses[name] = ring.status()
        moved = set()
        for name, status in statuses.items():
            for group in status.groups:
                key = f"{name}/{group.name}"
                if group.released != self._released.get(key, 0):
                    moved.add(group.name)
                self._released[key] = group.released
        if moved:
            self._handle(protocol.Moved(frozenset(moved)))
        drained = all(g.pending + g.reading == 0 for s in statuses.values() for g in s.groups)
        self._handle(protocol.Tick(drained))
        if now - self._snapshot_at >= SNAPSHOT_S:
            self._give_snapshot(statuses, now)

    def _give_snapshot(self, statuses: Mapping[str, RingStatus], now: float) -> None:
        seconds = now - self._snapshot_at
        counted = statuses[self._setup.counted_buffer]
        snapshot = Snapshot(
            state=self._brain.state.value,
            run=self._number,
            running_s=self._brain.running_s(now),
            buffers=tuple(buffer_figures(s, self._before.get(n), seconds) for n, s in statuses.items()),
            workers=tuple(
                WorkerFigures(str(i), state.value, restarts)
                for i, (state, restarts) in self._brain.worker_states().items()
            ),
            events=counted.committed,
            events_limit=self._setup.events_limit,
            duration_s=self._setup.duration_s,
        )
        if self._snapshot_at:
            self._options.on_snapshot(snapshot)
        self._before = dict(statuses)
        self._snapshot_at = now

    # -- what workers say -----------------------------------------------------------------------------------------

    def _on_report(self, worker: WorkerId, report: dict[str, Any]) -> None:
        match report["kind"]:
            case "ready":
                self._handle(protocol.Ready(worker))
            case "log":
                self._say(report["level"], report["text"], str(worker))
            case "files":
                known = self._books.files.setdefault(worker.function, [])
                known.extend(f for f in report["files"] if f not in known)
            case "figures":
                self._books.figures.setdefault(worker.function, {})[str(worker.process)] = report["figures"]
            case "failure":
                self._say_once("error", report["traceback"].rstrip(), str(worker))
            case "problem":
                place = self._setup.where_of(worker.function, *report["key"])
                problem = Problem(place, report["message"], report.get("suggestion", ""))
                if problem not in self._problems:
                    self._problems.append(problem)

    def _on_output(self, worker: WorkerId, line: str) -> None:
        self._say("info", line, str(worker))

    def _on_exit(self, process: WorkerProcess, code: int) -> None:
        for ring in self._rings.values():
            ring.reap()
        reason = None
        if code:
            problem = process.problems[0]["message"] if process.problems else None
            reason = process.failure or problem or explain_exit(code)
        is_early = code == 0 and not self._is_source(process.id.function) and not self._has_input_ended(process.id)
        if code == EXIT_ABORTED:
            reason, is_early = None, False
        self._handle(protocol.Exited(process.id, reason, is_fatal=code == EXIT_FATAL, is_early=is_early))

    def _has_input_ended(self, worker: WorkerId) -> bool:
        reads = self._setup.functions[worker.function].reads
        return all(self._rings[name].status().is_ended for name in reads)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _close_books(self) -> RunResult:
        if self._problems and self._books.begun is None:
            raise SetupErrors(self._problems)
        statuses = [ring.status() for ring in self._rings.values()]
        for ring in self._rings.values():
            ring.verify()
        for status in statuses:
            for group in status.groups:
                left = group.pending + group.reading + group.aside
                if left:
                    text = f"{left} events of {status.name} were not worked off by {group.name}"
                    self._brain.judge(Verdict.INCOMPLETE, text)
                if group.quarantined:
                    text = f"{group.quarantined} events of {status.name} are in quarantine, kept from {group.name}"
                    self._brain.judge(Verdict.TAINTED, text)
        record = self._record(final=True, statuses=statuses)
        if not record["ledger"]["balanced"] and self._brain.verdict is Verdict.GOOD:
            self._brain.judge(Verdict.INCOMPLETE, "the ledger does not balance")
            record = self._record(final=True, statuses=statuses)
        level = "info" if self._brain.verdict is Verdict.GOOD else "warning"
        self._say(level, f"run {self._number} ended: {self._brain.verdict.value}" + self._reasons())
        write_record(self._run_dir, record)
        return RunResult(self._number, self._run_dir, self._brain.verdict.value, record)

    def _reasons(self) -> str:
        return f" ({'; '.join(self._brain.reasons)})" if self._brain.reasons else ""

    def _record(self, *, final: bool, statuses: Sequence[RingStatus] = ()) -> dict[str, Any]:
        now = time.time()
        running_s = self._brain.running_s(time.monotonic())
        source = next((s for s in statuses if s.name == self._setup.counted_buffer), None)
        writers = sum(f.processes for f in self._setup.writers(self._setup.counted_buffer))
        live = 1.0 - source.waited_s / (running_s * writers) if source and running_s > 0 and writers else 1.0
        return {
            "run": self._number,
            "setup": self._setup.path.name,
            "state": self._brain.state.value,
            "verdict": self._brain.verdict.value if final else None,
            "reasons": list(self._brain.reasons),
            "end_reason": self._brain.end_reason,
            "times": {
                "start_asked": utc(self._books.asked),
                "start_complete": utc(self._books.begun),
                "stop_asked": utc(self._books.stop_asked),
                "stop_complete": utc(now) if final else None,
            },
            "running_s": running_s,
            "live_time_s": max(0.0, live) * running_s,
            "live_time_fraction": max(0.0, live),
            "limits": {"events": self._setup.events_limit, "duration_s": self._setup.duration_s},
            "buffers": {s.name: buffer_record(s, running_s) for s in statuses},
            "ledger": ledger(statuses),
            "workers": {
                str(i): {"state": state.value, "restarts": restarts}
                for i, (state, restarts) in self._brain.worker_states().items()
            },
            "files": self._books.files,
            "figures": self._books.figures,
            "quarantine": self._quarantine.files,
            "versions": versions(),
            "where": where(),
        }

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _is_source(self, function: str) -> bool:
        spec = self._setup.functions[function]
        return bool(spec.writes) and not spec.reads

    def _restarts(self, function: str) -> bool | int:
        """A source is started again only if the setup asks for it: most would begin from the first event."""
        spec = self._setup.functions[function]
        if self._is_source(function) and (function, "restart") not in self._setup.places:
            return False
        return spec.restart

    def _source_buffers(self) -> list[str]:
        return sorted({b for f in self._setup.functions.values() if self._is_source(f.name) for b in f.writes})

    def _remove_left_overs(self) -> list[Path]:
        removed = left_overs()
        for path in removed:
            path.unlink(missing_ok=True)
        return removed

    def _make_rings(self) -> None:
        partition = f"{os.getpid()}-{self._number}"
        try:
            for name, buffer in self._setup.buffers.items():
                self._rings[name] = Ring.create(
                    segment_name(name, partition=partition),
                    buffer.event_dtype,
                    buffer.slots,
                    groups=[f.name for f in self._setup.readers(name)],
                    expected_writers=sum(f.processes for f in self._setup.writers(name)),
                    buffer=name,
                    description={"samples": buffer.samples, "plain": buffer.plain, "run": self._number},
                    limit=(self._setup.events_limit or 0) if name == self._setup.counted_buffer else 0,
                )
        except SegmentError:
            for ring in self._rings.values():
                ring.unlink()
            raise

    def _order(self, worker: WorkerId) -> Order:
        return order_for(
            self._setup,
            worker.function,
            process=worker.process,
            run_dir=str(self._run_dir),
            segments={name: ring.segment for name, ring in self._rings.items()},
            source_buffers=tuple(self._source_buffers()),
            run_info={
                "run": self._number,
                "setup": self._setup.path.name,
                "configuration": self._setup.resolved(),
                "versions": versions(),
            },
        )

    def _say_once(self, level: str, text: str, source: str) -> None:
        """A traceback that repeats is shown once; the line that counts the failure follows each time."""
        if (source, text) not in self._said:
            self._said.add((source, text))
            self._say(level, text, source)

    def _say(self, level: str, text: str, source: str = "run") -> None:
        self._log.write(Entry(time.time(), level, source, text))
