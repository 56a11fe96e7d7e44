"""How many of the lines that functions say go to the broker; the others are in the log of the run only.

Whoever prints at will must not push what others have said out of the log of the cluster. Each worker has two
allowances, one for seconds and one for hours, and the same again for its warnings and errors. What mimodaq itself says
is not limited and does not come here. Time is told, in monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RATE_HZ: Final = 20.0
BURST: Final = 200
LASTING_RATE_HZ: Final = 1.0
LASTING_BURST: Final = 1000
"""Who goes on printing at `RATE_HZ` is left with `LASTING_RATE_HZ` after so many lines."""
NOTICE_S: Final = 1.0
NOTICE_MAX_S: Final = 60.0
"""What is left out is told after `NOTICE_S`, then at intervals that double as long as it goes on."""

_MINOR: Final = frozenset({"notset", "debug", "info"})


def is_minor(level: str) -> bool:
    """Whether a line is less than a warning."""
    return level.lower() in _MINOR


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines of one worker that were not sent."""

    source: str
    is_minor: bool
    count: int

    @property
    def level(self) -> str:
        """Of the line that tells it."""
        return "info" if self.is_minor else "warning"

    def words(self, file: Path, problem: str = "") -> str:
        """The line that tells it; `problem`: why the file may not have all of them."""
        is_one = self.count == 1
        kind = ("line" if is_one else "lines") if self.is_minor else ("warning" if is_one else "warnings and errors")
        text = f"{self.count} more {kind} of {self.source} {'is' if is_one else 'are'} only in {file}"
        return f"{text}, as far as they could be written: {problem}" if problem else text


class LogLimit:
    """Says of lines how many the broker gets, and counts those that it does not."""

    def __init__(self) -> None:
        self._allowances: dict[tuple[str, bool], _Allowance] = {}

    def admit(self, source: str, level: str, count: int, now: float) -> int:
        """How many of so many lines go to the broker: the first ones. The others are counted."""
        key = (source, is_minor(level))
        allowance = self._allowances.get(key)
        if allowance is None:
            allowance = self._allowances[key] = _Allowance(now)
        return allowance.take(count, now)

    def left_out(self, now: float, *, is_end: bool = False) -> list[LeftOut]:
        """What is to be told of now; at the end, everything that was not told yet."""
        found = []
        for (source, minor), allowance in self._allowances.items():
            count = allowance.tell(now, is_end=is_end)
            if count:
                found.append(LeftOut(source, minor, count))
        return found


@dataclass(slots=True)
class _Bucket:
    rate: float
    size: float
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = max(self.at, now)


@dataclass(slots=True)
class _Allowance:
    """Of one worker, for one kind of line."""

    begin: float
    short: _Bucket = field(init=False)
    lasting: _Bucket = field(init=False)
    count: int = 0
    """Lines left out and not told yet."""
    pause: float = NOTICE_S
    due: float = float("-inf")
    """When the next ones are told, if there are any."""

    def __post_init__(self) -> None:
        self.short = _Bucket(RATE_HZ, BURST, BURST, self.begin)
        self.lasting = _Bucket(LASTING_RATE_HZ, LASTING_BURST, LASTING_BURST, self.begin)

    def take(self, wanted: int, now: float) -> int:
        self.short.fill(now)
        self.lasting.fill(now)
        given = min(wanted, int(self.short.tokens), int(self.lasting.tokens))
        self.short.tokens -= given
        self.lasting.tokens -= given
        if given == wanted:
            return given
        if not self.count and now >= self.due:  # the first ones, or there were none in a whole pause
            self.pause, self.due = NOTICE_S, now + NOTICE_S
        self.count += wanted - given
        return given

    def tell(self, now: float, *, is_end: bool) -> int:
        if not self.count or (now < self.due and not is_end):
            return 0
        count, self.count = self.count, 0
        self.pause = min(2 * self.pause, NOTICE_MAX_S)
        self.due = now + self.pause
        return count
