"""What kind of terminal this is."""

from __future__ import annotations

import os
import sys


def is_remote() -> bool:
    """Whether the terminal is at the other end of a network."""
    return "SSH_CONNECTION" in os.environ or "SSH_TTY" in os.environ


def wants_ascii() -> bool:
    """Whether the terminal cannot be trusted with anything but ASCII."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return os.environ.get("TERM") == "linux" or encoding not in {"utf8"}
