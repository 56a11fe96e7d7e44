"""Carry out a run on this host: rings, worker processes, figures, record.

The shell around `mimodaq.protocol.run`: it owns processes, shared memory, files and time, and decides nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from mimodaq.config import Problem, Setup, SetupErrors
from mimodaq.node._check import check_functions, order_for
from mimodaq.node._log import LOG, Entry, RunLog
from mimodaq.node._order import Order, Outcome
from mimodaq.node._plan import source_buffers, worker_plans
from mimodaq.node._quarantine import Quarantine
from mimodaq.node._record import Books, versions, write_record
from mimodaq.node._rings import Progress, make_ring, remove_left_overs
from mimodaq.node._rundir import (
    RECORD,
    RunDirectoryError,
    make_run_directory,
    next_run_number,
    remove_run_directory,
)
from mimodaq.node._snapshot import Snapshot, WorkerFigures, buffer_figures
from mimodaq.node._workers import WorkerProcess, Workers, dispatch
from mimodaq.protocol import run as protocol
from mimodaq.protocol.run import State, Verdict, WorkerId
from mimodaq.ring import Ring, RingStatus, VerifyError

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
        self._books = Books()
        self._problems: list[Problem] = []
        self._before: dict[str, RingStatus] = {}
        self._snapshot_at = 0.0
        self._said: set[tuple[str, str]] = set()
        self._progress = Progress(source_buffers(setup))
        self._is_over = False
        self._brain = protocol.Run(worker_plans(setup), setup.duration_s, options.stuck_s)

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever `fd` (the keyboard) has something to read."""
        self._selector.register(fd, EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`."""
        self._selector.unregister(fd)

    def command(self, name: str, reason: str) -> None:
        """Ask for pause, resume, stop or abort; too late is no error."""
        self._commands.append((name, reason))
        if not self._is_over:
            os.write(self._wake_write, b"!")

    # -- the run ----------------------------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Carry out the run to its end.

        Raises SetupErrors when functions cannot be loaded or do not fit (nothing has been taken then),
        RunDirectoryError, SegmentError (a full /dev/shm) before anything has started.
        """
        self._books.asked = time.time()
        try:
            self._number = next_run_number(self._setup.output_directory)
            removed = remove_left_overs()
            for name in self._setup.buffers:
                self._rings[name] = make_ring(self._setup, name, self._number)
            is_new = not (self._options.directory and self._options.directory.exists())
            self._run_dir = make_run_directory(self._setup, self._options.directory, datetime.now())
            try:
                return self._run_in_directory(removed)
            except (SetupErrors, RunDirectoryError):
                remove_run_directory(self._run_dir, whole=is_new)
                raise
        finally:
            self._is_over = True
            for ring in self._rings.values():
                ring.unlink()
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _run_in_directory(self, removed: Sequence[Path]) -> RunResult:
        self._quarantine = Quarantine(self._run_dir, self._books.quarantine)
        try:
            self._log = RunLog(self._run_dir / LOG, self._options.on_log)
            write_record(self._run_dir, self._record(final=False))
        except OSError as error:
            raise RunDirectoryError(f"writing to {self._run_dir}: {error.strerror}") from error
        try:
            for path in removed:
                self._say("warning", f"removed {path}, left over from a run that was killed")
            return self._loop()
        finally:
            self._workers.kill_all()
            self._log.close()

    def _loop(self) -> RunResult:
        now = time.monotonic()
        self._say("info", f"run {self._number} of {self._setup.path.name} in {self._run_dir}")
        self._carry_out(self._brain.handle(protocol.Begin(), now))
        while self._brain.state is not State.ENDED:
            deadline = min(self._brain.deadline(now), now + TICK_S)
            dispatch(self._selector, max(0.0, deadline - time.monotonic()))
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
                    self._launch(worker)
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

    def _launch(self, worker: WorkerId) -> None:
        try:
            self._workers.launch(worker, self._order(worker))
        except OSError as error:
            self._handle(protocol.Exited(worker, f"starting a process: {error.strerror}"))

    def _end_sources(self) -> None:
        self._books.stop_asked = self._books.stop_asked or time.time()
        self._each_source_ring(Ring.end)

    def _each_source_ring(self, action: Callable[[Ring], None]) -> None:
        for name in source_buffers(self._setup):
            action(self._rings[name])

    # -- looking ------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Read every figure from the segments, give back what dead processes hold, collect the quarantine."""
        statuses = {}
        for name, ring in self._rings.items():
            ring.reap()
            self._collect_quarantine(name, ring)
            statuses[name] = ring.status()
        moved = self._progress.look(statuses)
        if moved:
            self._handle(protocol.Moved(moved))
        self._stop_at_limit()
        drained = all(g.pending + g.reading == 0 for s in statuses.values() for g in s.groups)
        self._handle(protocol.Tick(drained))
        if now - self._snapshot_at >= SNAPSHOT_S:
            self._give_snapshot(statuses, now)

    def _collect_quarantine(self, name: str, ring: Ring) -> None:
        try:
            taken = ring.quarantine(partial(self._quarantine.keep, name))
        except OSError as error:  # they stay in the buffer, and the next look tries again
            self._say_once("error", f"saving events of {name} in quarantine: {error.strerror}", "run")
        else:
            if taken:
                self._say("error", f"{taken} event(s) of {name} killed their reader too often and were set aside")

    def _stop_at_limit(self) -> None:
        """The buffer takes no more than the limit by itself; this tells sources that wait for their next event."""
        limit = self._setup.events_limit
        is_on = self._brain.state in (State.RUNNING, State.PAUSED)
        if limit and is_on and self._rings[self._setup.counted_buffer].status().committed >= limit:
            self._handle(protocol.Command("stop", f"{limit} events are taken"))

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
                self._books.add_files(worker.function, report["files"])
            case "figures":
                self._books.add_figures(worker.function, worker.process, report["figures"])
            case "failure":
                self._say_once("error", report["traceback"].rstrip(), str(worker))
            case "problem":
                place = self._setup.where_of(worker.function, *report["key"])
                problem = Problem(place, report["message"], report.get("suggestion", ""))
                if problem not in self._problems:
                    self._problems.append(problem)

    def _on_output(self, worker: WorkerId, line: str) -> None:
        self._say("info", line, str(worker))

    def _on_exit(self, process: WorkerProcess) -> None:
        for ring in self._rings.values():
            ring.reap()
        self._stop_at_limit()
        is_early = process.outcome is Outcome.DONE and not self._has_input_ended(process.id)
        is_fatal = process.outcome is Outcome.FATAL
        self._handle(protocol.Exited(process.id, process.reason, is_fatal=is_fatal, is_early=is_early))

    def _has_input_ended(self, worker: WorkerId) -> bool:
        """Whether nothing more will come for a worker, and what has come is worked off or a sister's to do."""
        function = self._setup.functions[worker.function]
        inputs = function.reads or (function.observes if function.writes else ())
        has_sister = any(other.function == worker.function for other in self._workers.running)
        for name in inputs:
            status = self._rings[name].status()
            pending = sum(group.pending for group in status.groups if group.name == worker.function)
            if not status.is_ended or (pending and not has_sister):
                return False
        return True

    # -- the end ----------------------------------------------------------------------------------------------------

    def _close_books(self) -> RunResult:
        if self._problems and self._books.begun is None:
            raise SetupErrors(check_functions(self._setup) or self._problems)  # those of all functions at once
        statuses = [ring.status() for ring in self._rings.values()]
        self._verify_rings()
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
        try:
            write_record(self._run_dir, record)
        except OSError as error:
            text = f"{self._run_dir / RECORD} could not be written: {error.strerror}"
            self._brain.judge(Verdict.INCOMPLETE, text)
            record = self._record(final=True, statuses=statuses)
        level = "info" if self._brain.verdict is Verdict.GOOD else "warning"
        self._say(level, f"run {self._number} ended: {self._brain.verdict.value}" + self._reasons())
        return RunResult(self._number, self._run_dir, self._brain.verdict.value, record)

    def _verify_rings(self) -> None:
        for name, ring in self._rings.items():
            try:
                ring.verify()
            except VerifyError as error:
                self._brain.judge(Verdict.INCOMPLETE, f"the books of {name} contradict each other: {error}")

    def _reasons(self) -> str:
        return f" ({'; '.join(self._brain.reasons)})" if self._brain.reasons else ""

    def _record(self, *, final: bool, statuses: Sequence[RingStatus] = ()) -> dict[str, Any]:
        return self._books.record(self._setup, self._number, self._brain, statuses, final=final)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _order(self, worker: WorkerId) -> Order:
        return order_for(
            self._setup,
            worker.function,
            process=worker.process,
            run_dir=str(self._run_dir),
            segments={name: ring.segment for name, ring in self._rings.items()},
            source_buffers=source_buffers(self._setup),
            restarts=self._brain.worker_states()[worker][1],
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
