"""Worker processes as the node sees them: start, reports, output, end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from selectors import EVENT_READ, BaseSelector
from typing import Any

from mimodaq.node._order import Order
from mimodaq.protocol.run import WorkerId

_CHUNK = 65536


@dataclass(slots=True)
class _Lines:
    """Splits what comes out of a pipe into lines."""

    rest: bytes = b""

    def feed(self, data: bytes) -> Iterator[str]:
        *lines, self.rest = (self.rest + data).split(b"\n")
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
    failure: str | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)


class Workers:
    """All worker processes of a run; everything they say arrives through the selector.

    `on_report(worker, report)`, `on_output(worker, line)` and `on_exit(process, returncode)` are called from
    callbacks of `selector`.
    """

    def __init__(
        self,
        selector: BaseSelector,
        on_report: Callable[[WorkerId, dict[str, Any]], None],
        on_output: Callable[[WorkerId, str], None],
        on_exit: Callable[[WorkerProcess, int], None],
    ) -> None:
        self._selector = selector
        self._on_report = on_report
        self._on_output = on_output
        self._on_exit = on_exit
        self.running: dict[WorkerId, WorkerProcess] = {}

    def launch(self, worker: WorkerId, order: Order) -> None:
        """Start a worker from a clean interpreter, in a process group of its own (Ctrl-C is the node's to handle)."""
        reports, reports_end = os.pipe()
        life_end, life = os.pipe()
        os.set_inheritable(reports_end, True)
        os.set_inheritable(life_end, True)
        process = subprocess.Popen(
            [sys.executable, "-m", "mimodaq.node.worker", str(reports_end), str(life_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(reports_end, life_end),
            start_new_session=True,
        )
        os.close(reports_end)
        os.close(life_end)
        entry = WorkerProcess(worker, process, reports, life, os.pidfd_open(process.pid))
        self.running[worker] = entry
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(order.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has died already; its exit tells
        reported, printed = _Lines(), _Lines()
        self._watch(reports, lambda: self._read(reports, reported, lambda line: self._report(entry, line)))
        out = process.stdout.fileno()
        self._watch(out, lambda: self._read(out, printed, lambda line: self._on_output(worker, line)))
        self._watch(entry.pidfd, lambda: self._exited(entry, reported, printed))

    def _watch(self, fd: int, callback: Callable[[], Any]) -> None:
        self._selector.register(fd, EVENT_READ, callback)

    def _read(self, fd: int, lines: _Lines, take: Callable[[str], None]) -> bool:
        """Take what is there; false at the end of the pipe."""
        data = os.read(fd, _CHUNK)
        for line in lines.feed(data):
            take(line)
        if not data and fd in self._selector.get_map():
            self._selector.unregister(fd)
        return bool(data)

    def _report(self, entry: WorkerProcess, line: str) -> None:
        try:
            report = json.loads(line)
        except ValueError:
            self._on_output(entry.id, line)
            return
        if report["kind"] == "failure":
            entry.failure = report["summary"]
        elif report["kind"] == "problem":
            entry.problems.append(report)
        self._on_report(entry.id, report)

    def _exited(self, entry: WorkerProcess, reported: _Lines, printed: _Lines) -> None:
        """Read out the pipes of a process that has ended, then tell. A grandchild may hold them open: no waiting."""
        code = entry.process.wait()
        out = entry.process.stdout
        assert out is not None
        ends: list[tuple[int, _Lines, Callable[[str], None]]] = [
            (entry.reports, reported, lambda line: self._report(entry, line)),
            (out.fileno(), printed, lambda line: self._on_output(entry.id, line)),
        ]
        for fd, lines, take in ends:
            os.set_blocking(fd, False)
            try:
                while fd in self._selector.get_map() and self._read(fd, lines, take):
                    pass
            except BlockingIOError:
                self._selector.unregister(fd)
            if lines.rest:
                take(lines.rest.decode(errors="replace"))
                lines.rest = b""
        self._selector.unregister(entry.pidfd)
        out.close()
        for fd in (entry.reports, entry.life, entry.pidfd):
            os.close(fd)
        del self.running[entry.id]
        self._on_exit(entry, code)

    def signal(self, worker: WorkerId, number: int) -> None:
        """Send a signal to a worker and what it has started, if it still runs."""
        entry = self.running.get(worker)
        if entry is not None:
            try:
                os.killpg(entry.process.pid, number)
            except ProcessLookupError:
                return  # ended meanwhile; its exit is on the way

    def kill_all(self) -> None:
        """End every worker by force and wait for it."""
        for entry in list(self.running.values()):
            self.signal(entry.id, signal.SIGKILL)
            entry.process.wait()
            for fd in (entry.reports, entry.life, entry.pidfd):
                if fd in self._selector.get_map():
                    self._selector.unregister(fd)
                os.close(fd)
            if entry.process.stdout is not None:
                if entry.process.stdout.fileno() in self._selector.get_map():
                    self._selector.unregister(entry.process.stdout.fileno())
                entry.process.stdout.close()
        self.running.clear()


def explain_exit(code: int) -> str:
    """A return code in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"
