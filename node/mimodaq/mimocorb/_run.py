"""`run_mimoDAQ`: the run script's class, as a thin front of ``mimodaq run``."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from mimodaq.config import Setup, SetupErrors, load_setup
from mimodaq.mimocorb.activity_logger import Gen_logger

_EXIT_USAGE: Final = 2


class run_mimoDAQ:
    """Run a data acquisition as a setup file describes it: `setup`, then `run`, which returns at the end of the run.

    verbose: 0 nothing but problems, 1 layout and end of the run, 2 also a live display. debug: more in the log of
    this process. Raises FileNotFoundError if there is no such setup file.

    The run is a process ``mimodaq run``, which has the terminal and the keyboard; rings, workers and files are its.
    After `run` there are `directory_prefix` (the folder of the run), `N_processed` (events of the first buffer),
    `time_active` (s), `verdict` and `exitcode` (0 good, 1 ended but not good).
    """

    class tc:
        """Terminal colour codes."""

        k = "\033[1;30;48m"
        r = "\033[1;31;48m"
        g = "\033[1;32;48m"
        y = "\033[1;33;48m"
        b = "\033[1;34;48m"
        p = "\033[1;35;48m"
        c = "\033[1;36;48m"
        B = "\033[1;37;48m"
        U = "\033[4;37;48m"
        E = "\033[1;37;0m"

    def __init__(self, setup_filename: str, verbose: int = 2, debug: bool = False) -> None:
        self.setup_filename = setup_filename
        self.verbose = verbose
        self.debug = debug
        Gen_logger.set_level(logging.DEBUG if debug else logging.WARNING)
        self.logger = Gen_logger("run_mimoDAQ")
        if not os.path.isfile(setup_filename):
            raise FileNotFoundError(f"Setup YAML file '{setup_filename}' does not exist!")
        self.exitcode: int | None = None
        self._child: subprocess.Popen[str] | None = None

    def setup(self) -> None:
        """Check the setup, and print buffers and functions. Raises SystemExit(2) after naming what is wrong with it."""
        try:
            setup = load_setup(self.setup_filename)
        except SetupErrors as errors:
            print(errors, file=sys.stderr)
            raise SystemExit(_EXIT_USAGE) from None
        if self.verbose > 0:
            _print_layout(setup)

    def run(self) -> None:
        """Carry out the run. Raises SystemExit(2) if it could not begin; its own messages say why."""
        command = [sys.executable, "-m", "mimodaq.client.cli", "run", self.setup_filename, "--json"]
        if self.verbose < 2:
            command.append("--quiet")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as self._child, self._signals():
            text = self._child.communicate()[0]
        self.exitcode = self._child.returncode
        self._child = None
        if self.exitcode not in (0, 1) or not text:
            raise SystemExit(self.exitcode if self.exitcode >= 0 else 128 - self.exitcode)
        result = json.loads(text)
        self.directory_prefix = os.path.join(result["run_dir"], "")
        self.verdict = result["verdict"]
        self.N_processed = next(iter(result["buffers"].values()))["events"]
        self.time_active = result["running_s"]
        if self.verbose > 0:
            print(
                f"\n      Execution time: {self.time_active:.2f}s -  Events processed: {self.N_processed}"
                f"\n      run is {self.verdict}, see {self.directory_prefix}"
            )
            for reason in result["reasons"]:
                print(f"      ! {reason}")

    def end(self, twait: float = 3.0) -> None:
        """Stop the run cleanly, from another thread; `twait` (s) is how long to wait for its end."""
        child = self._child
        if child is not None:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(twait)

    def keyboard_input(self, cmd_queue: Any) -> None:
        """Put lines typed into a queue until the input ends; the run reads its keys itself and does not need it."""
        for line in sys.stdin:
            cmd_queue.put(line.strip())

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C reaches the run by itself, so it is not acted on twice; a request to terminate is passed on."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, _frame: FrameType | None) -> None:
            if number != signal.SIGINT and self._child is not None:
                self._child.send_signal(number)

        before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _print_layout(setup: Setup) -> None:
    print(f"{len(setup.buffers)} buffers created...  List of buffers")
    for buffer in setup.buffers.values():
        print(buffer.name, buffer.slots, buffer.samples)
    print("List of functions")
    for function in setup.functions.values():
        print(function.name.upper(), function.function, f"({function.processes})  ", function.rb_assign)
