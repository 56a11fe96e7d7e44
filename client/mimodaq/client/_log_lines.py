"""Lines of the cluster's log as text."""

from __future__ import annotations

import time
from typing import Final

from mimodaq.protocol.messages import LogLine

COLOURS: Final = {"error": "bold red", "warning": "yellow"}
_MARKS: Final = {"error": "ERROR ", "warning": "warning: "}


def as_text(line: LogLine) -> str:
    """One line of text, with the local time; what would break the line is shown as an escape."""
    seconds, nanos = divmod(line.utc_ns, 10**9)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    source = "" if line.source in (line.node, "run") else f"[{line.source}] "
    text = "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in line.text)
    return f"{when}.{nanos // 10**6:03} {line.node}: {_MARKS.get(line.level, '')}{source}{text}"
