"""One worker process: attach the buffers, load the function, run it, report.

Started as `python -m mimodaq.node.worker REPORTS LIFE` with two inherited descriptors: a pipe for reports (JSON
lines) and one whose other end the node holds as long as it lives. The order to work comes as JSON on stdin.
A worker decides nothing: whether it is started again is the node's matter.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import mimodaq
from mimodaq.node._order import EXIT_ABORTED, EXIT_FAILED, EXIT_FATAL, Order
from mimodaq.ring import Observer, Reader, Ring, RingClosed, RingEnding, RingError, Writer

ORPHAN_S: Final = 30.0
"""How long a worker goes on to save its data after its node has died."""


class Reports:
    """The way back to the node: one JSON object a line."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self.is_broken = False

    def send(self, kind: str, **content: Any) -> None:
        """Send one report; nothing happens once the node is gone."""
        line = json.dumps({"kind": kind, **content}, default=str).encode() + b"\n"
        with self._lock:
            while line and not self.is_broken:
                try:
                    line = line[os.write(self._fd, line) :]
                except BrokenPipeError:
                    self.is_broken = True


class _LogToReports(logging.Handler):
    def __init__(self, reports: Reports) -> None:
        super().__init__()
        self._reports = reports

    def emit(self, record: logging.LogRecord) -> None:
        self._reports.send("log", level=record.levelname.lower(), text=self.format(record))


class Worker:
    """The life of one worker process."""

    def __init__(self, order: Order, reports: Reports) -> None:
        self._order = order
        self._reports = reports
        self._stopping = False
        self._in_source = False
        self._rings: dict[str, Ring] = {}
        self._reader: Reader | None = None

    def run(self) -> int:
        """Do the work; returns the exit code."""
        from mimodaq.functions import Form, FormError, LoadError, OutputError, check_options, form_of, load_function
        from mimodaq.mimocorb import install_alias

        order = self._order
        install_alias()
        try:
            source_file = Path(order.source_file) if order.source_file else None
            function = load_function(order.module, order.name, source_file, Path(order.folder))
            form = form_of(function)
        except (LoadError, FormError) as error:
            key = error.key if isinstance(error, LoadError) else "fkt_name"
            self._reports.send(
                "problem",
                key=[key],
                message=getattr(error, "message", str(error)),
                suggestion=getattr(error, "suggestion", ""),
            )
            return EXIT_FATAL
        problems = check_options(function, order.config)
        for problem in problems:
            self._reports.send(
                "problem", key=["config", problem.option], message=problem.message, suggestion=problem.suggestion
            )
        if problems or order.check_only:
            return EXIT_FATAL if problems else 0
        for name in order.rb_assign:
            self._rings[name] = Ring.attach(order.segments[name])
        try:
            if form is Form.MIMOCORB:
                self._run_mimocorb(function)
            else:
                self._run_plain(function)
        except RingClosed:
            return EXIT_ABORTED
        except RingEnding:
            return 0
        except (OutputError, LookupError) as error:
            self._report_failure(error)
            return EXIT_FATAL if isinstance(error, OutputError) else EXIT_FAILED
        except Exception as error:
            self._report_failure(error)
            return EXIT_FAILED
        return 0

    def interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        """SIGTERM: leave soon. Breaks into a source's own code only; a ring is never left in the middle of a change."""
        if self._in_source or self._stopping:
            self._stopping = True
            raise RingEnding("told to stop")
        self._stopping = True

    # -- the two ways to run --------------------------------------------------------------------------------

    def _run_plain(self, function: Callable[..., Any]) -> None:
        from mimodaq.functions import FunctionIO, run

        order = self._order
        label = f"{order.function}[{order.process}]"
        readers: list[Reader] = []
        writers: list[Writer] = []
        observers: list[Observer] = []
        for name, access in order.rb_assign.items():
            ring = self._rings[name]
            if access == "read":
                readers.append(ring.reader(order.function, label))
            elif access == "write":
                writers.append(ring.writer(label))
            else:
                observers.append(ring.observer(label))
        self._reader = readers[0] if readers else None
        io = FunctionIO(
            name=order.function,
            process=order.process,
            processes=order.processes,
            config=order.config,
            run_dir=Path(order.run_dir),
            setup_dir=Path(order.folder),
            run_info=order.run_info,
            log=logging.getLogger(label),
            readers=readers,
            writers=writers,
            observers=observers,
            is_stopping=self._is_stopping,
            register=self._register,
        )
        self._reports.send("ready")
        failed = True
        try:
            self._in_source = not readers and not observers
            run(function, io)
            failed = False
        finally:
            self._in_source = False
            self._reports.send("figures", figures=io.figures)
            for end in (*writers, *readers, *observers):
                if failed:
                    end.abandon()
                else:
                    end.close()

    def _run_mimocorb(self, function: Callable[..., Any]) -> None:
        from mimodaq.mimocorb import call_function

        order = self._order
        by_access: dict[str, list[str]] = {"read": [], "write": [], "observe": []}
        for name, access in order.rb_assign.items():
            by_access[access].append(order.segments[name])
        self._reports.send("ready")
        before = set(Path(order.run_dir).iterdir())
        call_function(
            function,
            sources=[(segment, order.function) for segment in by_access["read"]],
            sinks=by_access["write"],
            observes=by_access["observe"],
            config={**order.config, "directory_prefix": order.run_dir},
            rb_assign=order.rb_assign,
            label=f"{order.function}[{order.process}]",
        )
        self._register(sorted(set(Path(order.run_dir).iterdir()) - before))

    def _is_stopping(self) -> bool:
        if self._stopping:
            return True
        return any(self._rings[name].is_ending for name, access in self._order.rb_assign.items() if access == "write")

    def _register(self, paths: Sequence[Path]) -> None:
        self._reports.send("files", files=[str(path) for path in paths])

    def _report_failure(self, error: Exception) -> None:
        """Send what happened, where in the user's code, and with which event."""
        ours = tuple(str(path) for path in mimodaq.__path__)
        frames = traceback.extract_tb(error.__traceback__)
        users = [i for i, frame in enumerate(frames) if not frame.filename.startswith(ours)]
        place = f" at {Path(frames[users[-1]].filename).name}:{frames[users[-1]].lineno}" if users else ""
        shown = frames[users[0] :] if users else frames
        event = f" (event {self._reader.counter})" if self._reader is not None and self._reader.has_event else ""
        self._reports.send(
            "failure",
            summary=f"{type(error).__name__}: {error}{place}{event}",
            traceback="".join((*traceback.format_list(shown), *traceback.format_exception_only(error))),
        )

    # -- when the node dies -----------------------------------------------------------------------------------

    def watch_node(self, life: int) -> None:
        """Wait (in a thread) for the death of the node; then end the stream, so that every sink saves what there is."""
        poll = select.poll()
        poll.register(life, select.POLLHUP | select.POLLERR)
        poll.poll()
        self._stopping = True
        for name, segment in self._order.segments.items():
            try:
                ring = Ring.attach(segment)
                if name in self._order.source_buffers:
                    ring.end()
                ring.unlink()
            except RingError:
                continue  # removed by a sister
        threading.Timer(ORPHAN_S, os._exit, (EXIT_FAILED,)).start()


def main() -> int:
    """Entry point of the worker process."""
    reports_fd, life_fd = int(sys.argv[1]), int(sys.argv[2])
    order = Order.decode(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    reports = Reports(reports_fd)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_LogToReports(reports)])
    worker = Worker(order, reports)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.interrupt)
    threading.Thread(target=worker.watch_node, args=(life_fd,), daemon=True, name="watch-node").start()
    code = worker.run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of plot windows or drivers must not keep a finished worker alive.
    os._exit(code)


if __name__ == "__main__":
    main()
