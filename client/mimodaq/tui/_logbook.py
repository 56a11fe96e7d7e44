"""The log as the screens keep it: the last lines of all nodes, repeated ones folded, filtered on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.messages import LogLine

KEPT: Final = 20_000
LEVELS: Final = {"debug": 0, "info": 1, "note": 1, "warning": 2, "alarm": 3, "error": 3}


@dataclass(slots=True)
class Entry:
    """A line, and how often it came in a row."""

    line: LogLine
    times: int = 1


@dataclass(frozen=True, slots=True)
class LogChoice:
    """Which lines are shown."""

    level: int = 0
    """Only lines of this level or higher: 0 all, 2 warnings, 3 errors."""
    node: str = ""
    text: str = ""
    """Only lines with this in them; `!` before it turns that round."""

    def takes(self, line: LogLine) -> bool:
        """Whether a line is shown."""
        if LEVELS.get(line.level.lower(), 1) < self.level or (self.node and line.node != self.node):
            return False
        if not self.text:
            return True
        found = self.text.lstrip("!").lower() in f"{line.node} {line.source} {line.text}".lower()
        return found != self.text.startswith("!")


@dataclass(slots=True)
class LogBook:
    """The last `KEPT` lines."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    total: int = 0
    """Lines that ever came; tells whether something is new."""

    def add(self, line: LogLine) -> None:
        """Take up a line."""
        self.total += 1
        last = self.entries[-1] if self.entries else None
        if last and (last.line.node, last.line.source, last.line.level, last.line.text) == (
            line.node,
            line.source,
            line.level,
            line.text,
        ):
            last.times += 1
            last.line = line
        else:
            self.entries.append(Entry(line))

    def put_before(self, lines: Sequence[LogLine]) -> None:
        """Older lines, among which may be some that have come already."""
        known = {(line.node, line.utc_ns, line.text) for line in lines}
        later = [entry.line for entry in self.entries]
        self.entries.clear()
        for line in (*lines, *(line for line in later if (line.node, line.utc_ns, line.text) not in known)):
            self.add(line)

    def chosen(self, choice: LogChoice) -> list[Entry]:
        """What is to be shown, oldest first."""
        return [entry for entry in self.entries if choice.takes(entry.line)]
