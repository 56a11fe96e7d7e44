"""A daemon that is killed and started again as it was: same words, same folder, same network, same environment.

One that systemd has started is left to systemd.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from mimodaq.chaos._network import in_network
from mimodaq.chaos._targets import CannotDo

_BY_SYSTEMD: Final = "SYSTEMD_EXEC_PID"


class Likeness:
    """What must be known of a daemon to start it again."""

    def __init__(self, pid: int, what: str) -> None:
        """Look at it while it runs. Raises CannotDo if that is not possible."""
        try:
            process = psutil.Process(pid)
            self._words, self._folder, self._environment = process.cmdline(), process.cwd(), process.environ()
            self._output = os.readlink(f"/proc/{pid}/fd/2")
            if not os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt"):
                raise CannotDo(f"{what} runs in a container: chaos could not start it again")
            self._network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        except (psutil.Error, OSError) as error:
            raise CannotDo(f"looking at {what}: {error}") from error
        self.is_of_systemd = self._environment.get(_BY_SYSTEMD) == str(pid)

    def start(self) -> subprocess.Popen[bytes]:
        """Start it again. Raises OSError."""
        fd = os.open(self._output if Path(self._output).is_file() else os.devnull, os.O_WRONLY | os.O_APPEND)
        try:
            return self._there(
                lambda: subprocess.Popen(
                    self._words,
                    stdin=subprocess.DEVNULL,
                    stdout=fd,
                    stderr=fd,
                    cwd=self._folder,
                    env=self._environment,
                    start_new_session=True,
                )
            )
        finally:
            os.close(fd)

    def _there(self, work: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """What a thread in another network starts, is there, too."""
        mine = f"/proc/self/fd/{self._network}"
        return work() if os.path.samefile(mine, "/proc/self/ns/net") else in_network(mine, work)

    def close(self) -> None:
        """Forget it."""
        os.close(self._network)
