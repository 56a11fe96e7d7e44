"""What must be seen on a terminal."""

from __future__ import annotations

from typing import TextIO


def red(text: str, stream: TextIO) -> str:
    """`text` as it is to be written to `stream`: red on a terminal, as it is elsewhere."""
    return f"\033[1;31m{text}\033[0m" if stream.isatty() else text
