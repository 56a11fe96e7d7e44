"""The lines of the broker's log as a listener gets them: in order, each once, none left out. Pure.

The feed waits for nobody, so lines go past a listener that connects again later than the broker begins to talk, or
reads too slowly. The numbers of the lines, and the number of the newest in each snapshot, tell what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mimodaq.protocol.messages import LogLine

_NOT_KEPT: Final = (
    "lines of the log are missing here: so many came meanwhile that the broker does not keep them any more"
)


@dataclass(slots=True)
class LogOrder:
    """What one listener has heard of the log, from the time it came."""

    _heard: int | None = None
    """Number of the line up to which all were passed on; None before anything is known."""
    _newest: int = 0

    def note(self, newest: int) -> None:
        """The log ends with the line of this number."""
        if self._heard is None:
            self._heard = newest
        self._newest = max(self._newest, newest)

    def line(self, line: LogLine) -> list[LogLine]:
        """A line came over the feed; what to pass on. It comes again with those that are missing before it."""
        self.note(line.number - 1)
        self.note(line.number)
        return self._next([line]) if line.number - 1 == self._heard else []

    def lines(self, after: int, lines: Sequence[LogLine], is_whole: bool) -> list[LogLine]:
        """What has followed the line `after`, as the broker keeps it; what to pass on.

        In place of lines that are not kept any more, so that nobody can have them, there is one that says so.
        """
        is_news = self._heard == after
        if not lines:
            self._newest = self._heard = max(self._newest, after)
        found = self._next(lines)
        if is_whole or not is_news or not found:
            return found
        return [LogLine("broker", found[0].utc_ns, "warning", "broker", _NOT_KEPT, after), *found]

    @property
    def missing_after(self) -> int | None:
        """Number of the line after which some are missing; None if none are."""
        return self._heard if self._heard is not None and self._heard < self._newest else None

    def _next(self, lines: Sequence[LogLine]) -> list[LogLine]:
        assert self._heard is not None, "set by whatever came first"
        found = [line for line in lines if line.number > self._heard]
        if found:
            self._heard = found[-1].number
            self.note(self._heard)
        return found
