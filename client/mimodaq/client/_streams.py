"""The three standard streams: there may be none, or nobody at the other end."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def prepare() -> None:
    """Make sure that there are three of them and that none can fail for a character.

    Without them (`<&-`) the first files opened would get their numbers, and messages would go to stdout.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def to_nowhere(stream: TextIO) -> None:
    """Let go what `stream` still holds and all that follows: nobody reads it, and it must not fail again at the end."""
    fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(fd, stream.fileno())
    os.close(fd)


def tell(text: str) -> None:
    """Print an answer on stdout; that nobody reads it is no failure of what was done."""
    try:
        print(text, flush=True)
    except OSError:
        to_nowhere(sys.stdout)
