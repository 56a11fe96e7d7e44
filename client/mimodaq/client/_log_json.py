"""The log of the cluster as JSON lines, in which repeats are folded. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mimodaq.protocol.messages import LogLine

FOLD_S: Final = 10.0
"""The same line is told once in this time; how often it came meanwhile is told afterwards."""
_KEPT: Final = 1000


@dataclass(slots=True)
class _Told:
    line: LogLine
    until: float
    repeats: int = 0


@dataclass(slots=True)
class JsonLog:
    """Makes lines of JSON of the lines of a log."""

    _told: OrderedDict[tuple[str, str, str, str], _Told] = field(default_factory=OrderedDict)

    def add(self, line: LogLine, now: float) -> list[str]:
        """What is to be written for a line that comes at monotonic time `now`: often itself, and what is due."""
        due = self._due(now)
        key = line.node, line.level, line.source, line.text
        told = self._told.get(key)
        if told is not None:
            told.line, told.repeats = line, told.repeats + 1
            return due
        self._told[key] = _Told(line, now + FOLD_S)
        return [*due, as_json(line)]

    def rest(self) -> list[str]:
        """What has not been told yet, at the end."""
        return self._due(float("inf"))

    def _due(self, now: float) -> list[str]:
        lines = []
        while self._told:
            key, told = next(iter(self._told.items()))
            if now < told.until and len(self._told) <= _KEPT:
                break
            del self._told[key]
            if told.repeats:
                lines.append(as_json(told.line, told.repeats))
        return lines


def as_json(line: LogLine, repeats: int = 0) -> str:
    """One line as a JSON object; `repeated`, if there, is how often it has come since it was told."""
    when = datetime.fromtimestamp(line.utc_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    entry = {"time": when, "level": line.level, "node": line.node, "source": line.source, "text": line.text}
    return json.dumps({**entry, "repeated": repeats} if repeats else entry, ensure_ascii=False)
