"""Worker processes as the node sees them: start, take over, reports, output, end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from selectors import EVENT_READ, BaseSelector
from typing import Any, Final

from mimodaq.node._folder import Folder, Lines, Tail, Watch
from mimodaq.node._order import Order, Outcome
from mimodaq.protocol.run import WorkerId

_LONGEST_LINE: Final = 65536
"""What is printed without a line end is cut after so many bytes."""
_AT_ONCE: Final = 1000
"""Printed lines are passed on in groups of at most so many: some processes print more than can be looked at singly."""
_MOST_UNREAD: Final = 64 << 20
"""Bytes printed by one process that may wait in memory until they are logged."""
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""Unless it is set. Importing numpy would start a thread for every core, each of which spins for 0.1 s or so: all cores
busy whenever a process of a run is started. A run has processes for what should go on at the same time."""
_LINK_OUTCOMES: Final = {
    "done": Outcome.DONE,
    "unconfirmed": Outcome.DONE,
    "left": Outcome.FAILED,
    "cut": Outcome.DONE,
    "aborted": Outcome.ABORTED,
    "fatal": Outcome.FATAL,
}
"""What the process of a link says about its end (`mimodaq.link`)."""


class JobError(Exception):
    """A process cannot be started as it is meant, and trying again cannot mend it."""


def dispatch(selector: BaseSelector, timeout: float | None) -> None:
    """Wait for something to read and call what is registered for it; a callback may unregister any other."""
    for key, _ in selector.select(timeout):
        if selector.get_map().get(key.fd) is key:
            key.data()


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is to do: a module to run and what it gets on its standard input."""

    module: str
    order: bytes
    arguments: tuple[str, ...] = ()
    reports_on_stdout: bool = False
    """Its standard output is its reports (links); else it is told the descriptor."""

    @classmethod
    def of(cls, order: Order) -> Job:
        """The job of a worker."""
        return cls("mimodaq.node.worker", order.encode())


@dataclass(slots=True)
class WorkerProcess:
    """One running process."""

    id: WorkerId
    pid: int
    process: subprocess.Popen[bytes] | None
    """None if an earlier node daemon has started it."""
    pidfd: int
    reported: Tail
    printed: Tail
    failure: str | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    outcome: Outcome | None = None
    """What it said about its end; None if it could not say anything."""

    @property
    def reason(self) -> str | None:
        """Why it failed; None if it ended normally. To be asked after its end."""
        if self.outcome in (Outcome.DONE, Outcome.ABORTED):
            return None
        problem = self.problems[0]["message"] if self.problems else None
        return self.failure or problem or explain_exit(self.process.returncode if self.process else None)

    def note(self, report: dict[str, Any]) -> None:
        """Keep what a report says about the end of the process."""
        match report["kind"]:
            case "end":
                self.outcome = Outcome(report["outcome"])
            case "finish":
                self.outcome = _LINK_OUTCOMES.get(report["outcome"], Outcome.FAILED)
                if self.outcome not in (Outcome.DONE, Outcome.ABORTED):
                    self.failure = report["reason"]
            case "failure":
                self.failure = report["summary"]
            case "problem":
                self.problems.append(report)


class Workers:
    """All processes of a run; everything they say arrives through the selector.

    `on_report(worker, report)`, `on_printed(worker, lines)` and `on_exit(process)` are called from callbacks of
    `selector`.
    """

    def __init__(
        self,
        selector: BaseSelector,
        folder: Folder,
        on_report: Callable[[WorkerId, dict[str, Any]], None],
        on_printed: Callable[[WorkerId, Sequence[str]], None],
        on_exit: Callable[[WorkerProcess], None],
    ) -> None:
        self._selector = selector
        self._folder = folder
        self._on_report = on_report
        self._on_printed = on_printed
        self._on_exit = on_exit
        self.running: dict[WorkerId, WorkerProcess] = {}
        self._by_file: dict[str, Callable[[], None]] = {}
        self._watch = Watch(folder.path)
        self._behind: set[str] = set()
        """Files of which not all was read at once."""
        self._go_on = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        selector.register(self._watch.fd, EVENT_READ, lambda: self._read_grown(self._watch.names()))
        selector.register(self._go_on, EVENT_READ, self._read_on)

    def launch(self, worker: WorkerId, job: Job) -> None:
        """Start a process from a clean interpreter, in a process group of its own (Ctrl-C is the node's to handle).

        Raises OSError when the system has no room for another process or its files.
        """
        for path in (self._folder.reports_path(str(worker)), self._folder.output_path(str(worker))):
            path.unlink(missing_ok=True)
            Path(f"{path}.at").unlink(missing_ok=True)
        process, pidfd = _start(self._folder, str(worker), job)
        self._add(self._entry(worker, process.pid, process, pidfd))

    def adopt(self, worker: WorkerId) -> WorkerProcess:
        """Take over a process of an earlier node daemon, or what it has left: `pid` is 0 if it has ended."""
        pid = self._folder.holder(str(worker))
        pidfd = -1
        if pid is not None:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
        entry = self._entry(worker, pid if pid is not None and pidfd >= 0 else 0, None, pidfd)
        if entry.pid:
            self._add(entry)
            self._read_reports(entry)
        else:
            self._read_out(entry)
        return entry

    def _entry(self, worker: WorkerId, pid: int, process: subprocess.Popen[bytes] | None, pidfd: int) -> WorkerProcess:
        label = str(worker)
        printed = Tail(self._folder.output_path(label), Lines(_LONGEST_LINE), _MOST_UNREAD)
        return WorkerProcess(worker, pid, process, pidfd, Tail(self._folder.reports_path(label)), printed)

    def _add(self, entry: WorkerProcess) -> None:
        self.running[entry.id] = entry
        self._by_file[entry.reported.path.name] = lambda: self._read_reports(entry)
        self._by_file[entry.printed.path.name] = lambda: self._read_output(entry)
        self._selector.register(entry.pidfd, EVENT_READ, lambda: self._exited(entry))

    def _read_grown(self, names: set[str]) -> None:
        for name in sorted(names, reverse=True):  # reports after output, as they are written
            read = self._by_file.get(name)
            if read is not None:
                read()

    def _read_on(self) -> None:
        os.eventfd_read(self._go_on)
        behind, self._behind = self._behind, set()
        self._read_grown(behind)

    def _note_if_behind(self, tail: Tail) -> None:
        if tail.is_behind:
            self._behind.add(tail.path.name)
            os.eventfd_write(self._go_on, 1)

    def _read_reports(self, entry: WorkerProcess) -> None:
        self._take_reports(entry, entry.reported.read())
        self._note_if_behind(entry.reported)

    def _take_reports(self, entry: WorkerProcess, lines: Iterator[str]) -> None:
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                self._on_printed(entry.id, (line,))
                continue
            entry.note(report)
            self._on_report(entry.id, report)

    def _read_output(self, entry: WorkerProcess) -> None:
        self._take_output(entry, entry.printed.read())
        self._note_if_behind(entry.printed)

    def _take_output(self, entry: WorkerProcess, lines: Iterator[str]) -> None:
        while group := list(islice(lines, _AT_ONCE)):
            self._on_printed(entry.id, group)
        left_out, entry.printed.left_out = entry.printed.left_out, 0
        if left_out:
            text = f"it prints faster than can be logged: {left_out} bytes that it has printed are left out here"
            self._on_printed(entry.id, (text,))

    def _read_out(self, entry: WorkerProcess) -> None:
        """Take everything that a process which has ended has left."""
        self._take_output(entry, entry.printed.end())
        self._take_reports(entry, entry.reported.end())

    def _exited(self, entry: WorkerProcess) -> None:
        """End what the process has left running, read what it has left, then tell."""
        if entry.process is not None:
            _signal_group(entry.pid, signal.SIGKILL)  # before the wait, which frees the process id
            entry.process.wait()
        self._forget(entry)
        self._read_out(entry)
        self._on_exit(entry)

    def _forget(self, entry: WorkerProcess) -> None:
        self._selector.unregister(entry.pidfd)
        os.close(entry.pidfd)
        del self._by_file[entry.reported.path.name], self._by_file[entry.printed.path.name]
        del self.running[entry.id]

    def stopped(self) -> frozenset[WorkerId]:
        """Those that live and do nothing, because a signal has stopped them (SIGSTOP, a debugger)."""
        return frozenset(worker for worker, entry in self.running.items() if _is_stopped(entry.pid))

    def signal(self, worker: WorkerId, number: int) -> None:
        """Send a signal to a process and what it has started, if it still runs."""
        entry = self.running.get(worker)
        if entry is not None:
            _signal_group(entry.pid, number)

    def kill_all(self) -> None:
        """End every process by force and wait for it."""
        for entry in list(self.running.values()):
            _signal_group(entry.pid, signal.SIGKILL)
        for entry in list(self.running.values()):
            if entry.process is not None:
                entry.process.wait()
            self._forget(entry)
            entry.reported.close()
            entry.printed.close()

    def close(self) -> None:
        """End every process and stop listening."""
        self.kill_all()
        self._stop_listening()

    def let_go(self) -> None:
        """Stop listening and let the processes run on; another node daemon takes them over."""
        for entry in list(self.running.values()):
            self._forget(entry)
            entry.reported.close()
            entry.printed.close()
        self._stop_listening()

    def _stop_listening(self) -> None:
        self._selector.unregister(self._watch.fd)
        self._selector.unregister(self._go_on)
        self._watch.close()
        os.close(self._go_on)


def _start(folder: Folder, label: str, job: Job) -> tuple[subprocess.Popen[bytes], int]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    with ExitStack() as closing, ExitStack() as undo:

        def opened(path: Path) -> int:
            fd = os.open(path, flags, 0o600)
            closing.callback(os.close, fd)
            return fd

        lock, reports = opened(folder.lock_path(label)), opened(folder.reports_path(label))
        output = opened(folder.output_path(label))
        _lock_for_child(lock, label)
        told = () if job.reports_on_stdout else (str(reports), str(folder.life), label)  # the label is for ps and top
        process = subprocess.Popen(
            [sys.executable, "-m", job.module, *job.arguments, *told],
            stdin=subprocess.PIPE,
            stdout=reports if job.reports_on_stdout else output,
            stderr=output,
            pass_fds=(lock, reports),
            start_new_session=True,
            env={**_ENVIRONMENT, **os.environ},
        )
        undo.callback(process.wait)
        undo.callback(_signal_group, process.pid, signal.SIGKILL)
        pidfd = os.pidfd_open(process.pid)
        undo.pop_all()
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:  # it has died already; its exit tells
        pipe.write(job.order)
    return process, pidfd


def _lock_for_child(fd: int, label: str) -> None:
    """Take the lock that the child inherits: it lives exactly as long as the lock is held."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(error.errno, f"{label} is still running") from error


def _signal_group(pid: int, number: int) -> None:
    """Signal a process that has not been waited for, and everything it has started and left in its group."""
    with suppress(ProcessLookupError):  # it has made itself a group elsewhere
        os.killpg(pid, number)


def _is_stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return False  # its end is seen elsewhere
    return state in (b"T", b"t")


def explain_exit(code: int | None) -> str:
    """A return code in words, of a process that has not said how it ended; None if the code is not known."""
    if code is None:
        return "its process ended before the function had returned"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"its process ended (exit code {code}) before the function had returned"
