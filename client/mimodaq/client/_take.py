"""Take data from a program: `mimodaq run` as a process of its own, whose words are passed on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD


class RunError(Exception):
    """A run could not be taken, opened or read; the message says what was found and what to do."""


def take(arguments: Sequence[str], *, quiet: bool) -> Path:
    """Carry out `mimodaq run` with these arguments; answers the run directory. Raises RunError."""
    with subprocess.Popen(
        [sys.executable, "-m", "mimodaq.client.cli", "run", *arguments, "--headless", "--json", "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,  # Ctrl-C reaches this process alone, which passes it on once
    ) as process:
        said: list[str] = []
        answer: list[str] = []
        ears = [
            threading.Thread(target=_listen, args=(process.stderr, said, not quiet)),
            threading.Thread(target=_listen, args=(process.stdout, answer, False)),
        ]
        for ear in ears:
            ear.start()
        try:
            _wait(process)
        except BaseException:
            process.kill()
            raise
        finally:
            for ear in ears:
                ear.join()
    if process.returncode not in (EXIT_GOOD, EXIT_NOT_GOOD):
        words = "\n".join(said) or f"mimodaq run has ended with exit code {process.returncode}"
        raise RunError(f"taking data: {words}")
    return Path(json.loads("\n".join(answer))["run_dir"])


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait for the end. The first Ctrl-C asks for it, the second aborts the run, the third ends it at once."""
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
        else:
            return


def _listen(stream: IO[str], lines: list[str], shown: bool) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))
        if shown:
            print(lines[-1])
