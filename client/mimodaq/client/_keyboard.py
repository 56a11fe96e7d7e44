"""Single keys from the terminal while a run goes on: the ancestor's letters, either case, no return needed."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Callable
from typing import Final, Self

KEYS: Final = {"p": "pause", "r": "resume", "s": "stop", "e": "stop"}
HELP: Final = "keys: P pause, R resume, S or E stop and save, Ctrl-C stop, twice abort"


class Keyboard:
    """Reads keys from a terminal on stdin; the terminal is as before when it is left."""

    def __init__(self, on_command: Callable[[str], None], on_other: Callable[[], None]) -> None:
        self._on_command = on_command
        self._on_other = on_other
        self.fd = sys.stdin.fileno()

    def __enter__(self) -> Self:
        """Switch the terminal to single keys; Ctrl-C stays a signal."""
        self._before = termios.tcgetattr(self.fd)
        tty.setcbreak(self.fd)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back, unless it is gone or somebody else's now."""
        if is_terminal():
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._before)

    def read(self) -> bool:
        """Take the keys that were pressed; false when there will be no more: hung up, or put into the background."""
        if not is_terminal():  # reading would stop this process
            return False
        try:
            keys = os.read(self.fd, 64)
        except OSError:
            return False
        for key in keys.decode(errors="ignore"):
            command = KEYS.get(key.lower())
            if command is not None:
                self._on_command(command)
            elif not key.isspace():
                self._on_other()
        return bool(keys)


def is_terminal() -> bool:
    """Whether keys can be read: stdin is a terminal and this process is in its foreground."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
