"""Tell systemd how a daemon is (sd_notify(3)); without systemd nothing is told."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

_WAIT_S: Final = 0.2


class Notifier:
    """The way to the service manager that has started this process, if one has.

    Not passed on to child processes, which would otherwise speak for the daemon.
    """

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micros, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        is_meant = not pid or pid == str(os.getpid())
        self.watchdog_s = int(micros) / 1e6 / 2 if micros.isdecimal() and is_meant and address else None
        """How often `alive` must be called: twice as often as needed; None if nobody waits for it."""
        self._next = 0.0

    def ready(self, status: str) -> None:
        """The daemon does its work now."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The daemon is on its way out."""
        self._tell("STOPPING=1")

    def alive(self, now: float) -> None:
        """The daemon is not stuck; call it as often as you like."""
        if self.watchdog_s is not None and now >= self._next:
            self._next = now + self.watchdog_s
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:  # a manager that has gone
            way.settimeout(_WAIT_S)
            way.sendto(text.encode(), self._address)
