"""Carry out a run on this host alone: the shell around `mimodaq.protocol.run`. It decides nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from mimodaq.config import Setup, SetupErrors
from mimodaq.functions.files import seal_run
from mimodaq.node._check import check_functions
from mimodaq.node._folder import Folder
from mimodaq.node._hostrun import HostRun, Surroundings
from mimodaq.node._log import Entry
from mimodaq.node._place import take_place
from mimodaq.node._record import RunFacts, write_record
from mimodaq.node._recover import recover_killed_runs
from mimodaq.node._rings import remove_left_overs
from mimodaq.node._rundir import RECORD, next_run_number
from mimodaq.node._snapshot import Snapshot
from mimodaq.node._workers import dispatch
from mimodaq.protocol import run as protocol
from mimodaq.protocol.parts import DiskWish, WorkerLine
from mimodaq.protocol.plan import LOCAL, make_plan
from mimodaq.protocol.run import State, Verdict

LOOK_S: Final = 0.5
"""What processes say and how they end is heard at once; the rings are looked at so often."""
SNAPSHOT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose beside the setup."""

    directory: Path | None = None
    """Run directory; None = one named after setup and time in the output directory."""
    comment: str = ""
    """Said of the run in its record and its files."""
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
        self._commands: list[tuple[str, str]] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, EVENT_READ, lambda: os.read(self._wake_read, 4096))
        self._snapshot_at = 0.0
        self._is_over = False
        self._plan = make_plan(setup).nodes[LOCAL]
        self._brain = protocol.Run(self._plan.workers(), setup.duration_s, options.stuck_s)

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
        asked = time.time()
        try:
            number = next_run_number(self._setup.output_directory)
            removed = remove_left_overs()
            partition = f"{os.getpid()}-{number}"
            around = Surroundings(self._selector, self._handle, self._say)
            self._host = HostRun(self._setup, self._plan, number, partition, Folder.of(partition), around)
            self._host.restarts = lambda worker: self._brain.worker_states()[worker][1]
            self._host.books.asked, self._host.books.comment = asked, self._options.comment
            try:
                self._host.make_rings()
                return self._run_in_directory(removed)
            finally:
                self._host.close()
        finally:
            self._is_over = True
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _run_in_directory(self, removed: Sequence[Path]) -> RunResult:
        place = take_place(self._host, self._options.directory, self._facts(), self._options.on_log)
        self._log = place.log
        try:
            for path in removed:
                self._say("warning", f"removed {path}, left over from a run that was killed")
            for problem in self._host.disks.problems:
                self._say("warning", problem, "disk")
            for run in recover_killed_runs(self._setup.output_directory):
                self._say("warning", run.line())
            return self._loop()
        except SetupErrors:
            place.give_back()
            raise
        finally:
            self._log.close()

    def _loop(self) -> RunResult:
        now = time.monotonic()
        self._say("info", f"run {self._host.number} of {self._setup.path.name} in {self._host.run_dir}")
        self._handle(protocol.Begin())
        while self._brain.state is not State.ENDED:
            deadline = min(self._brain.deadline(now), now + LOOK_S)
            dispatch(self._selector, max(0.0, deadline - time.monotonic()))
            while self._commands:
                name, reason = self._commands.pop(0)
                self._handle(protocol.Command(name, reason))
            now = time.monotonic()
            self._host.look()
            self._stop_at_limit()
            self._look_at_disks(now)
            self._handle(protocol.Tick(self._host.rings.is_drained))
            if now - self._snapshot_at >= SNAPSHOT_S:
                self._give_snapshot(now)
        return self._close_books()

    def _handle(self, event: protocol.Event) -> None:
        if isinstance(event, protocol.Exited):
            self._stop_at_limit()
        effects = self._brain.handle(event, time.monotonic())
        self._host.note_state(self._brain.state)
        for effect in effects:
            self._host.carry_out(effect)
        if self._host.books.begun is None and self._brain.begun is not None:
            self._host.books.begun = time.time()

    def _stop_at_limit(self) -> None:
        """The buffer takes no more than the limit by itself; this tells sources that wait for their next event."""
        limit = self._setup.events_limit
        is_on = self._brain.state in (State.RUNNING, State.PAUSED)
        if limit and is_on and self._host.rings.committed(self._setup.counted_buffer) >= limit:
            self._handle(protocol.Command("stop", f"{limit} events are taken"))

    def _look_at_disks(self, now: float) -> None:
        disks = self._host.disks
        if now < disks.due:
            return
        for say in disks.note(disks.find(self._host.rings.buffered_bytes), now):
            self._say(say.level, say.text, "disk")
        if disks.watch.wish is not DiskWish.NONE and self._brain.state is State.RUNNING:
            self._handle(protocol.Command(disks.watch.wish.value, disks.watch.trouble))

    def _give_snapshot(self, now: float) -> None:
        buffers = self._host.rings.lines(now)
        snapshot = Snapshot(
            state=self._brain.state.value,
            run=self._host.number,
            running_s=self._brain.running_s(now),
            buffers=buffers,
            workers=tuple(
                WorkerLine(str(i), state.value, restarts)
                for i, (state, restarts) in self._brain.worker_states().items()
            ),
            events=next(b.committed for b in buffers if b.name == self._setup.counted_buffer),
            events_limit=self._setup.events_limit,
            duration_s=self._setup.duration_s,
            disk_free_bytes=self._host.disks.watch.free,
            disk_left_s=self._host.disks.watch.left_s,
        )
        if self._snapshot_at:
            self._options.on_snapshot(snapshot)
        self._snapshot_at = now

    # -- the end ----------------------------------------------------------------------------------------------------

    def _close_books(self) -> RunResult:
        host = self._host
        if host.problems and host.books.begun is None:
            raise SetupErrors(check_functions(self._setup) or host.problems)  # those of all functions at once
        for verdict, reason in host.audit():
            self._brain.judge(verdict, reason)
        record = self._record(final=True)
        if not record["ledger"]["balanced"] and self._brain.verdict is Verdict.GOOD:
            self._brain.judge(Verdict.INCOMPLETE, "the ledger does not balance")
            record = self._record(final=True)
        try:
            write_record(host.run_dir, record)
        except OSError as error:
            text = f"{host.run_dir / RECORD} could not be written: {error.strerror}"
            self._brain.judge(Verdict.INCOMPLETE, text)
            record = self._record(final=True)
        for problem in seal_run(host.run_dir, record):
            self._say("warning", problem)
        level = "info" if self._brain.verdict is Verdict.GOOD else "warning"
        reasons = f" ({'; '.join(self._brain.reasons)})" if self._brain.reasons else ""
        self._say(level, f"run {host.number} ended: {self._brain.verdict.value}{reasons}")
        return RunResult(host.number, host.run_dir, self._brain.verdict.value, record)

    def _facts(self) -> RunFacts:
        return RunFacts.of(self._brain, time.monotonic())

    def _record(self, *, final: bool) -> dict[str, Any]:
        return self._host.record(self._facts(), final=final)

    def _say(self, level: str, text: str, source: str = "run") -> None:
        self._log.write(Entry(time.time(), level, source, text))
