"""A worker process for `buffer_control`: a clean interpreter that runs one function.

Not a `multiprocessing.Process`: that would either inherit everything the control script has open (its threads, the
terminal's lock) or run the control script again to import it, and such scripts have no ``if __name__`` guard.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mimodaq.mimocorb._alias import install_alias
from mimodaq.mimocorb._worker import call_function

_BOOT: Final = (
    "import pickle, sys; path, task = pickle.load(sys.stdin.buffer); sys.path[:] = path; "
    "from mimodaq.mimocorb._process import work; work(task)"
)


class WorkerProcess:
    """One worker, with the part of the interface of `multiprocessing.Process` that control scripts use.

    file: the function's file (without `.py`), function: its name, arguments: those of `call_function`.
    """

    def __init__(self, name: str, file: str, function: str, arguments: dict[str, Any]) -> None:
        self.name = name
        self._task = {"file": file, "function": function, "arguments": arguments}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its input is empty, its output goes where this process' output goes."""
        self._process = subprocess.Popen([sys.executable, "-c", _BOOT], stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        with self._process.stdin as pipe:
            pickle.dump((sys.path, self._task), pipe)

    @property
    def pid(self) -> int | None:
        """Process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def exitcode(self) -> int | None:
        """None while it runs, 0 after a normal end, 1 after an exception, -N after signal N."""
        return self._process.poll() if self._process else None

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most `timeout` seconds."""
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it (SIGKILL)."""
        if self._process is not None:
            self._process.kill()


def work(task: dict[str, Any]) -> None:
    """Do what the worker process is there for."""
    from mimodaq.functions import load_function

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the control script decides what it means
    install_alias()
    file = Path(task["file"]).resolve()
    function = load_function(file.stem, task["function"], file.with_name(file.name + ".py"), Path.cwd())
    call_function(function, **task["arguments"])
