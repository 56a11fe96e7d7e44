"""Worker processes as the node sees them: start, reports, output, end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from selectors import EVENT_READ, BaseSelector
from typing import Any, Final

from mimodaq.node._order import Order, Outcome
from mimodaq.protocol.run import WorkerId

_CHUNK: Final = 65536
_LONGEST_LINE: Final = 65536
"""What is printed without a line end is cut after so many bytes."""


def dispatch(selector: BaseSelector, timeout: float | None) -> None:
    """Wait for something to read and call what is registered for it; a callback may unregister any other."""
    for key, _ in selector.select(timeout):
        if selector.get_map().get(key.fd) is key:
            key.data()


@dataclass(slots=True)
class _Lines:
    """Splits what comes out of a pipe into lines."""

    longest: int | None = None
    rest: bytes = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete with `data`; the rest, too, if that is the end of the pipe (b"")."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.rest and (not data or (self.longest is not None and len(self.rest) >= self.longest)):
            lines.append(self.rest)
            self.rest = b""
        for line in lines:
            yield line.decode(errors="replace")


@dataclass(slots=True)
class WorkerProcess:
    """One running worker."""

    id: WorkerId
    process: subprocess.Popen[bytes]
    reports: int
    life: int
    pidfd: int
    reported: _Lines = field(default_factory=_Lines)
    printed: _Lines = field(default_factory=lambda: _Lines(_LONGEST_LINE))
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
        return self.failure or problem or explain_exit(self.process.returncode)

    @property
    def output(self) -> int:
        """Descriptor of what it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()


class Workers:
    """All worker processes of a run; everything they say arrives through the selector.

    `on_report(worker, report)`, `on_output(worker, line)` and `on_exit(process)` are called from callbacks of
    `selector`.
    """

    def __init__(
        self,
        selector: BaseSelector,
        on_report: Callable[[WorkerId, dict[str, Any]], None],
        on_output: Callable[[WorkerId, str], None],
        on_exit: Callable[[WorkerProcess], None],
    ) -> None:
        self._selector = selector
        self._on_report = on_report
        self._on_output = on_output
        self._on_exit = on_exit
        self.running: dict[WorkerId, WorkerProcess] = {}

    def launch(self, worker: WorkerId, order: Order) -> None:
        """Start a worker from a clean interpreter, in a process group of its own (Ctrl-C is the node's to handle).

        Raises OSError when the system has no room for another process or its pipes.
        """
        entry = _start(worker)
        self.running[worker] = entry
        assert entry.process.stdin is not None
        with suppress(BrokenPipeError), entry.process.stdin as pipe:  # it has died already; its exit tells
            pipe.write(order.encode())
        for fd, callback in (
            (entry.reports, lambda: self._read_reports(entry)),
            (entry.output, lambda: self._read_output(entry)),
            (entry.pidfd, lambda: self._exited(entry)),
        ):
            self._selector.register(fd, EVENT_READ, callback)

    def _read_reports(self, entry: WorkerProcess) -> bool:
        return self._read(entry.reports, entry.reported, lambda line: self._report(entry, line))

    def _read_output(self, entry: WorkerProcess) -> bool:
        return self._read(entry.output, entry.printed, lambda line: self._on_output(entry.id, line))

    def _read(self, fd: int, lines: _Lines, take: Callable[[str], None]) -> bool:
        """Take what is there; false at the end of the pipe."""
        data = os.read(fd, _CHUNK)
        for line in lines.feed(data):
            take(line)
        if not data:
            self._unwatch(fd)
        return bool(data)

    def _unwatch(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def _report(self, entry: WorkerProcess, line: str) -> None:
        try:
            report = json.loads(line)
        except ValueError:
            self._on_output(entry.id, line)
            return
        match report["kind"]:
            case "end":
                entry.outcome = Outcome(report["outcome"])
            case "failure":
                entry.failure = report["summary"]
            case "problem":
                entry.problems.append(report)
        self._on_report(entry.id, report)

    def _exited(self, entry: WorkerProcess) -> None:
        """End what the process has left running, read out its pipes, then tell."""
        _kill_group(entry.process)  # before the wait, which frees the process id
        entry.process.wait()
        for fd, read in ((entry.reports, self._read_reports), (entry.output, self._read_output)):
            os.set_blocking(fd, False)
            with suppress(BlockingIOError):  # somebody outside the group holds it open: no waiting
                while fd in self._selector.get_map() and read(entry):
                    pass
        for line in entry.printed.feed(b""):
            self._on_output(entry.id, line)
        self._forget(entry)
        self._on_exit(entry)

    def _forget(self, entry: WorkerProcess) -> None:
        for fd in (entry.reports, entry.output, entry.pidfd):
            self._unwatch(fd)
        assert entry.process.stdout is not None
        entry.process.stdout.close()
        for fd in (entry.reports, entry.life, entry.pidfd):
            os.close(fd)
        del self.running[entry.id]

    def signal(self, worker: WorkerId, number: int) -> None:
        """Send a signal to a worker and what it has started, if it still runs."""
        entry = self.running.get(worker)
        if entry is not None:
            _signal_group(entry.process, number)

    def kill_all(self) -> None:
        """End every worker by force and wait for it."""
        for entry in list(self.running.values()):
            _kill_group(entry.process)
            entry.process.wait()
            self._forget(entry)


def _start(worker: WorkerId) -> WorkerProcess:
    with ExitStack() as opened:

        def pipe() -> tuple[int, int]:
            ends = os.pipe()
            for fd in ends:
                opened.callback(os.close, fd)
            return ends

        (reports, reports_end), (life_end, life) = pipe(), pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "mimodaq.node.worker", str(reports_end), str(life_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(reports_end, life_end),
            start_new_session=True,
        )
        opened.callback(process.wait)
        opened.callback(_kill_group, process)
        pidfd = os.pidfd_open(process.pid)
        opened.pop_all()
    os.close(reports_end)
    os.close(life_end)
    return WorkerProcess(worker, process, reports, life, pidfd)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that has not been waited for, and everything it has started and left in its group."""
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):  # it has made itself a group elsewhere
        os.killpg(process.pid, number)


def explain_exit(code: int) -> str:
    """A return code in words, of a process that has not said how it ended."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"its process ended (exit code {code}) before the function had returned"
