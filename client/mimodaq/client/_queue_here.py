"""The runs of a queue on this computer: each is a `mimodaq run` of its own, which goes on if the queue dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD
from mimodaq.client._queue_book import Outcome
from mimodaq.config import QueuedRun, Setup

_LOOK_S: Final = 0.2
_WHOLE_S: Final = 1.0
"""A run that is stopped at its time may have run shorter by this, as pauses are measured."""


class HandsHere:
    """Begins runs on this computer, waits for them, and tells how they ended."""

    def __init__(self, setup: Setup, name: str, *, is_quiet: bool) -> None:
        self._setup = setup
        self._name = name
        self._is_quiet = is_quiet
        self._process: subprocess.Popen[bytes] | None = None

    def place(self, number: int) -> str:
        """A run directory that nobody has."""
        attempt = 1
        while True:
            suffix = f"-{attempt}" if attempt > 1 else ""
            path = self._setup.output_directory / f"{self._name}_{number:04d}{suffix}"
            if not path.exists():
                return str(path)
            attempt += 1

    def begin(self, wanted: QueuedRun, place: str) -> None:
        """Start a run there."""
        words = [sys.executable, "-m", "mimodaq.client.cli", "run", str(self._setup.path), "--output", place]
        words += [word for text in wanted.overrides() for word in ("--set", text)]
        words += ["--headless", *(["--quiet"] if self._is_quiet else [])]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches the queue alone, which passes it on once
        )

    def wait(self, wanted: QueuedRun, place: str, is_stopping: Callable[[], bool]) -> Outcome | None:
        """Wait for the end of a run, also one that a queue before this one has begun; None if there never was one.

        Raises RunRefusedError when the run has not begun because something is wrong with it.
        """
        path = Path(place)
        told = False
        while self._goes_on(path):
            if is_stopping() and not told:
                told = self._stop(path)
            time.sleep(_LOOK_S)
        process, self._process = self._process, None
        if process is not None and process.returncode not in (EXIT_GOOD, EXIT_NOT_GOOD) and not _has_begun(path):
            raise RunRefusedError(f"mimodaq run has ended with exit code {process.returncode}; its words are above")
        return self._outcome(path) if _has_begun(path) else None

    def _goes_on(self, path: Path) -> bool:
        from mimodaq.node import is_running

        if self._process is not None:
            return self._process.poll() is None
        return is_running(path) or (not _has_begun(path) and _is_starting(path))

    def _stop(self, path: Path) -> bool:
        """Ask the run to end as Ctrl-C does; whether it was there to hear it."""
        pid = self._process.pid if self._process is not None else _record(path).get("where", {}).get("pid")
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)
        return True

    def _outcome(self, path: Path) -> Outcome:
        from mimodaq.node import recover_run

        if _record(path)["verdict"] is None:
            recover_run(path)  # it was killed
        record = _record(path)
        counted = next(iter(record["buffers"].values()), {"events": 0})["events"]
        reason = "; ".join(record["reasons"]) or record["end_reason"]
        verdict = record["verdict"] or "interrupted"
        limits = (record["limits"]["events"], record["limits"]["duration_s"])
        is_whole = is_at_end(*limits, counted, record["running_s"], record["end_reason"])
        return Outcome(record["run"], verdict, reason, counted, record["running_s"], is_whole)


class RunRefusedError(Exception):
    """A run has not begun; the message says why."""


def is_at_end(
    events_limit: int | None, duration_s: float | None, events: int, running_s: float, end_reason: str
) -> bool:
    """Whether a run has gone on as long as it was to; one without a limit ends when somebody ends it."""
    if "sources" in end_reason or not (events_limit or duration_s):
        return True
    return bool((events_limit and events >= events_limit) or (duration_s and running_s >= duration_s - _WHOLE_S))


def _is_starting(path: Path) -> bool:
    """Whether there is a process that was told to run there."""
    words = [process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])]
    return any(str(path) in line and "--output" in line for line in words)


def _has_begun(path: Path) -> bool:
    return bool(_record(path))


def _record(path: Path) -> dict[str, Any]:
    """The record of a run; empty if there is none yet."""
    from mimodaq.node import RECORD

    try:
        record: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record
