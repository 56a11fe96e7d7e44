"""mimoCoRB and mimoCoRB2, each in a virtual environment of its own (`make peers`), started as other programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from mimodaq.client.bench._results import BenchError, Missing

LIMIT_S: Final = 180.0
"""How long a measurement of a peer may take before it is ended by force."""
_SCRIPTS: Final = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """A program to compare with."""

    name: str
    title: str
    environment: str
    """Folder of its virtual environment."""


MIMOCORB: Final = Peer("mimocorb", "mimoCoRB 1.0.2", ".venv-peers-mimocorb")
MIMOCORB2: Final = Peer("mimocorb2", "mimoCoRB2 0.0.4", ".venv-peers-mimocorb2")


def checkout() -> Path:
    """The folder with the sources of this program, or the current one if it is installed without them."""
    for folder in Path(__file__).parents:
        if (folder / "Makefile").is_file() and (folder / "pyproject.toml").is_file():
            return folder
    return Path.cwd()


class Peers:
    """The peers that are installed below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def measure(self, peer: Peer, script: str, **arguments: Any) -> dict[str, Any]:
        """Run one of our scripts (`peers/<peer>_<script>.py`) in the peer's interpreter; its answer.

        The script gets the arguments as JSON and prints one line of JSON. Raises Missing if the peer is not
        installed, BenchError if the script fails or does not end.
        """
        python = self._folder / peer.environment / "bin" / "python"
        if not python.exists():
            raise Missing("not installed: make peers")
        process = subprocess.Popen(
            [python, _SCRIPTS / f"{peer.name}_{script}.py", json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{peer.title} did not end within {LIMIT_S:.0f} s") from None
        finally:
            _end_group(process)
        try:
            answer: dict[str, Any] = json.loads(output.strip().rpartition("\n")[2])
        except ValueError:
            reason = errors.strip().rpartition("\n")[2] or f"exit code {process.returncode}"
            raise BenchError(f"{peer.title} gave no result: {reason}") from None
        return answer

    def rate(self, peer: Peer, script: str, **arguments: Any) -> Callable[[int], float]:
        """A function that lets a script handle so many events and gives its events per second."""
        return partial(self._rate, peer, script, arguments)

    def _rate(self, peer: Peer, script: str, arguments: dict[str, Any], events: int) -> float:
        return float(self.measure(peer, script, events=events, **arguments)["rate"])


def _end_group(process: subprocess.Popen[str]) -> None:
    """End what the peer has left running (it does not always end all of its workers)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
