"""One worker process: attach the buffers, load the function, run it, report.

Started as `python -m mimodaq.node.worker REPORTS LIFE`: the inherited descriptor of the file for reports (JSON lines),
and the file that the node keeps locked as long as it lives. The order to work comes on stdin.
A worker decides nothing: whether it is started again is the node's matter.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import gc
import io
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from mimodaq.node._order import Order, Outcome
from mimodaq.ring import Observer, Reader, Ring, RingClosed, RingEnding, RingError, Writer

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Trying again would only put good events into quarantine."""
_LOOK_S: Final = 0.5
"""While the node is away, it is looked for so often."""
ORPHAN_S: Final = 30.0
"""How long a worker goes on to save its data after its node has died."""


class Reports:
    """The way back to the node: one JSON object a line, appended to a file in memory."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, kind: str, **content: Any) -> None:
        """Send one report. Raises OSError when there is no memory left for it."""
        line = json.dumps({"kind": kind, **content}, default=_plain).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._fd, line) :]


def _plain(value: Any) -> Any:
    """A number or array of numpy as Python's own, anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


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
        self._in_function = False
        self._rings: dict[str, Ring] = {}
        self._readers: list[Reader] = []
        self._clearing = threading.Lock()
        """Held by who clears away after the node."""

    def run(self) -> Outcome:
        """Do the work; whatever happens is reported and told by the outcome."""
        from mimodaq.functions import OutputError

        try:
            return self._work()
        except RingClosed:
            return Outcome.ABORTED
        except RingEnding:
            return Outcome.DONE
        except BaseException as error:
            self.report_failure(error)
            is_hopeless = isinstance(error, OutputError) or getattr(error, "errno", None) in _DISK_FULL
            is_hopeless = is_hopeless or getattr(error, "is_hopeless", False)
            return Outcome.FATAL if is_hopeless or self._is_beginning() else Outcome.FAILED

    def _work(self) -> Outcome:
        from mimodaq.functions import Form, form_of

        if self._order.module != "mimodaq.functions":  # user code may say `import mimocorb`
            from mimodaq.mimocorb import install_alias

            install_alias()
        gc.freeze()  # what is there before the user's code is never looked at again
        function = self._load()
        if function is None:
            return Outcome.FATAL
        if self._order.check_only:
            return Outcome.DONE
        for name in self._order.rb_assign:
            self._rings[name] = Ring.attach(self._order.segments[name])
        if form_of(function) is Form.MIMOCORB:
            self._run_mimocorb(function)
        else:
            self._run_plain(function)
        return Outcome.DONE

    def _load(self) -> Callable[..., Any] | None:
        """The function; None when something is wrong with it, which is reported then."""
        from mimodaq.functions import (
            FormError,
            LoadError,
            Surroundings,
            check_buffers,
            check_options,
            check_surroundings,
            load_function,
        )

        order = self._order
        source_file = Path(order.source_file) if order.source_file else None
        try:
            function = load_function(order.module, order.name, source_file, Path(order.folder))
            problems = check_options(function, order.config)
            misfit = check_buffers(function, order.rb_assign)
        except LoadError as error:
            self._report_problem([error.key], error.message, error.suggestion)
            return None
        except FormError as error:
            self._report_problem(["fkt_name"], str(error))
            return None
        for problem in problems:
            self._report_problem(["config", problem.option], problem.message, problem.suggestion)
        if misfit:
            self._report_problem(["RB_assign"], misfit)
        if problems or misfit:
            return None
        found = check_surroundings(
            function,
            order.config,
            Surroundings.of(order.rb_assign, order.dtypes, order.processes, order.is_here),
        )
        for entry in found:
            self._report_problem(entry.key, entry.message, entry.suggestion)
        return None if found else function

    def interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        """SIGTERM: leave soon. Breaks into a source's code at once, into other code when it comes again.

        A ring is never left in the middle of a change.
        """
        again, self._stopping = self._stopping, True
        if self._in_function and (again or self._order.is_input):
            raise RingEnding("told to stop")

    # -- the two ways to run --------------------------------------------------------------------------------

    def _run_plain(self, function: Callable[..., Any]) -> None:
        from mimodaq.functions import FunctionIO, run

        order = self._order
        writers: list[Writer] = []
        observers: list[Observer] = []
        for name, access in order.rb_assign.items():
            ring = self._rings[name]
            if access == "read":
                self._readers.append(ring.reader(order.function, order.label))
            elif access == "write":
                writers.append(ring.writer(order.label))
            else:
                observers.append(ring.observer(order.label))
        world = FunctionIO(
            name=order.function,
            process=order.process,
            processes=order.processes,
            config=order.config,
            run_dir=Path(order.run_dir),
            setup_dir=Path(order.folder),
            run_info=order.run_info,
            log=logging.getLogger(order.label),
            readers=self._readers,
            writers=writers,
            observers=observers,
            run_folder=self._run_folder(),
            spill=tuple(Path(place) for place in order.spill),
            reserve_bytes=order.reserve_bytes,
            is_stopping=self._is_stopping,
            register=self._register,
            flag=lambda reason: self._reports.send("flag", reason=reason),
        )
        self._reports.send("ready")
        done = False
        try:
            self._in_function = True
            run(function, world)
            done = True
        except SystemExit as end:
            if end.code not in (None, 0):
                raise RuntimeError(f"the function has ended its process with exit code {end.code!r}") from end
            done = True
        except RingEnding:
            done = True
        finally:
            self._in_function = False
            if world.figures:
                self._reports.send("figures", figures=world.figures)
            for end_ in (*writers, *self._readers, *observers):
                if done:
                    end_.close()
                else:
                    end_.abandon()

    def _run_folder(self) -> Path | None:
        """The folder in memory that the makers of the rings have told."""
        folders = (ring.description.get("folder") for ring in self._rings.values())
        return next((Path(folder) for folder in folders if folder), None)

    def _run_mimocorb(self, function: Callable[..., Any]) -> None:
        from mimodaq.mimocorb import call_function

        order = self._order
        by_access: dict[str, list[str]] = {"read": [], "write": [], "observe": []}
        for name, access in order.rb_assign.items():
            by_access[access].append(order.segments[name])
        opened = _files_opened_in(Path(order.run_dir))
        self._reports.send("ready")
        try:
            self._in_function = True
            call_function(
                function,
                sources=[(segment, order.function) for segment in by_access["read"]],
                sinks=by_access["write"],
                observes=by_access["observe"],
                config={**order.config, "directory_prefix": order.run_dir},
                rb_assign=order.rb_assign,
                label=order.label,
            )
        finally:
            self._in_function = False
            self._register([path for path in opened if path.exists()])

    def _is_stopping(self) -> bool:
        if self._stopping:
            return True
        return any(self._rings[name].is_ending for name, access in self._order.rb_assign.items() if access == "write")

    # -- reports ----------------------------------------------------------------------------------------------

    def _register(self, paths: Sequence[Path]) -> None:
        self._reports.send("files", files=[str(path) for path in paths])

    def _report_problem(self, key: Sequence[str], message: str, suggestion: str = "") -> None:
        """Something in the setup does not fit; `key` says which entry of the function."""
        self._reports.send("problem", key=list(key), message=message, suggestion=suggestion)

    def report_failure(self, error: BaseException) -> None:
        """Send what happened, where in the user's code, and with which event."""
        from mimodaq.functions import user_frames

        frames = user_frames(error)
        users = [frame for frame in frames if frame.filename.startswith(self._order.folder)] or frames
        place = f" at {Path(users[-1].filename).name}:{users[-1].lineno}" if users else ""
        event = next((f" (event {reader.counter})" for reader in self._readers if reader.has_event), "")
        whole = traceback.extract_tb(error.__traceback__)
        ours = [] if getattr(error, "is_hopeless", False) else whole  # then all the user needs is in the message
        shown = whole[whole.index(frames[0]) :] if frames else ours
        self._reports.send(
            "failure",
            summary=f"{type(error).__name__}: {error}{place}{event}",
            traceback="".join((*traceback.format_list(shown), *traceback.format_exception_only(error))),
        )

    def _is_beginning(self) -> bool:
        """Whether it failed before its function had any event: an option or a file is wrong, not an event."""
        groups = [g for ring in self._rings.values() for g in ring.status().groups if g.name == self._order.function]
        untouched = all(g.committed == g.pending and not g.redelivered for g in groups)
        return not self._order.restarts and bool(groups) and untouched

    # -- when the node dies -----------------------------------------------------------------------------------

    def watch_node(self, life: Path) -> None:
        """Wait (in a thread) for the death of the node; then end the stream, so that every sink saves what there is."""
        with life.open("rb") as file:
            _wait_for_death(file.fileno(), self._order.outlives_node_s)
        if self._order.check_only:
            os._exit(1)
        self._stopping = True
        with self._clearing:
            self._clear_away(life.parent)
        if self._order.is_input:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        threading.Event().wait(ORPHAN_S)
        os._exit(1)

    def _clear_away(self, folder: Path) -> None:
        """End the sources; leave no ring, and no folder for reports that nobody will read."""
        for segment in self._order.all_segments:
            try:
                ring = Ring.attach(segment)
                if segment in self._order.source_segments:
                    ring.end()
                ring.unlink()
            except RingError:
                continue  # removed by a sister
        shutil.rmtree(folder, ignore_errors=True)

    def leave(self) -> None:
        """End this process, whatever threads plot windows and drivers have, but not in the midst of clearing away."""
        with self._clearing:
            os._exit(0)


def _wait_for_death(life: int, patience_s: float) -> None:
    """Return when the lock of the node has been free for `patience_s` seconds."""
    pause = threading.Event()
    while True:
        fcntl.flock(life, fcntl.LOCK_SH)  # waits as long as the node lives
        fcntl.flock(life, fcntl.LOCK_UN)
        give_up = time.monotonic() + patience_s
        while (left := give_up - time.monotonic()) > 0:
            pause.wait(min(left, _LOOK_S))
            try:
                fcntl.flock(life, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                break  # it was started again
            fcntl.flock(life, fcntl.LOCK_UN)
        else:
            return


def _files_opened_in(folder: Path) -> dict[Path, None]:
    """The files under `folder` which this process opens for writing; fills from now on."""
    found: dict[Path, None] = {}
    prefix = f"{folder}{os.sep}"

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(prefix) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            found[Path(path)] = None

    sys.addaudithook(note)
    return found


def _save_open_files() -> None:
    """What the interpreter would do at its end: files that the user's code has left open get their last lines."""
    atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter's own end would wait for threads
    for thing in gc.get_objects():
        if issubclass(type(thing), io.IOBase):
            with suppress(ValueError, AttributeError):  # closed already, or not a file after all
                if os.path.isfile(f"/proc/self/fd/{thing.fileno()}"):
                    thing.flush()


def main() -> None:
    """Entry point of the worker process."""
    reports_fd, life = int(sys.argv[1]), Path(sys.argv[2])
    order = Order.decode(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in os.listdir("/proc/self/fd"):  # the lock and the reports tell of this process, not of what it starts
        with suppress(OSError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    reports = Reports(reports_fd)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_LogToReports(reports)])
    worker = Worker(order, reports)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.interrupt)
    threading.Thread(target=worker.watch_node, args=(life,), daemon=True, name="watch-node").start()
    outcome = worker.run()
    try:
        _save_open_files()
    except OSError as error:
        worker.report_failure(error)
        outcome = Outcome.FATAL
    reports.send("end", outcome=outcome.value)
    worker.leave()


if __name__ == "__main__":
    main()
