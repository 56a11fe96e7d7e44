"""Where a daemon says what is to be said: the log of its run, its own output, and the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mimodaq.node._log import Entry, RunLog
from mimodaq.node._log_limit import LogLimit


class NodeLog:
    """All lines go to the log of the run while there is one; of what functions print, the broker gets some."""

    def __init__(self, listener: Callable[[Entry], None], tell: Callable[[Entry], None], source: str) -> None:
        """`listener`: hears all, `tell`: says it to the broker; `source`: who says what nobody else does."""
        self._listener = listener
        self._tell = tell
        self._source = source
        self.run: RunLog | None = None
        """The log of the run that goes on."""
        self._limit = LogLimit()
        self._problem = ""
        """Why the log of the run may not have all lines."""

    def begin_run(self, log: RunLog) -> None:
        """From now on there is a run with this log."""
        self.run = log

    def end_run(self) -> RunLog | None:
        """The run is over; its log is given to who closes it."""
        self.tell_left_out(is_end=True)
        log, self.run = self.run, None
        self._limit, self._problem = LogLimit(), ""
        return log

    def say(self, level: str, text: str, source: str = "") -> None:
        """Say it everywhere."""
        entry = Entry(time.time(), level, source or self._source, text)
        if self.run is not None:
            self.run.write(entry)
        else:
            self._listener(entry)
        self._tell(entry)

    def hear(self, level: str, texts: Sequence[str], source: str) -> None:
        """A function has said something: all is in the log of the run, and the broker gets what it has room for."""
        said = self._limit.admit(source, level, len(texts), time.monotonic())
        for text in texts[:said]:
            self.say(level, text, source)
        if said < len(texts) and self.run is not None:
            self._problem = self.run.keep(time.time(), level, source, texts[said:]) or self._problem

    def tell_left_out(self, *, is_end: bool = False) -> None:
        """Tell what the broker did not get; `is_end` of a run."""
        if self.run is not None:
            for left in self._limit.left_out(time.monotonic(), is_end=is_end):
                entry = Entry(time.time(), left.level, "log", left.words(self.run.path, self._problem))
                self._listener(entry)
                self._tell(entry)
