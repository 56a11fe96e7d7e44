"""Lines of the log that wait for the broker: bounded, and warnings and errors are the last to go."""

from __future__ import annotations

from collections import deque

from mimodaq.node._log_limit import is_minor
from mimodaq.protocol.messages import LogLine


class LogQueue:
    """At most `most` lines, in the order in which they were said.

    One too many costs the oldest line that is less than a warning; if there is none, the oldest of all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._minor: deque[tuple[int, LogLine]] = deque()
        self._major: deque[tuple[int, LogLine]] = deque()
        self._number = 0
        self.dropped_minor = self.dropped_major = 0
        """Lines there was no room for, and that was not told yet."""

    def __len__(self) -> int:
        return len(self._minor) + len(self._major)

    def add(self, line: LogLine) -> None:
        """Keep one more line."""
        self._number += 1
        (self._minor if is_minor(line.level) else self._major).append((self._number, line))
        if len(self) <= self._most:
            return
        if self._minor:
            self._minor.popleft()
            self.dropped_minor += 1
        else:
            self._major.popleft()
            self.dropped_major += 1

    @property
    def first(self) -> LogLine | None:
        """The oldest line; None if there is none."""
        queue = self._older()
        return queue[0][1] if queue else None

    def pop(self) -> None:
        """Forget the oldest line: it was sent."""
        self._older().popleft()

    def _older(self) -> deque[tuple[int, LogLine]]:
        if self._minor and (not self._major or self._minor[0][0] < self._major[0][0]):
            return self._minor
        return self._major

    @property
    def loss(self) -> str:
        """What was dropped, in words; empty if nothing was."""
        count = self.dropped_minor + self.dropped_major
        if not count:
            return ""
        lines = "1 line of the log of this host is" if count == 1 else f"{count} lines of the log of this host are"
        worse = f" ({self.dropped_major} of them warnings or errors)" if self.dropped_major else ""
        return f"{lines} not here{worse}: there was no room for more while the broker was away"

    def loss_told(self) -> None:
        """The broker knows what was dropped."""
        self.dropped_minor = self.dropped_major = 0
