"""What goes wrong in the simulated experiment, and when."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class What(enum.Enum):
    """Kinds of faults."""

    CUT = "cut"
    """A link has no connection."""
    SLOW = "slow"
    """A function is far too slow: a slow disk, a stuck computation."""
    SILENT = "silent"
    """A function does nothing any more, without a word."""
    LOST = "lost"
    """A node is not heard."""
    HOT = "hot"
    DIES = "dies"
    """A worker dies once and is started again."""
    CLOCK = "clock"
    """A node's clock is off."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at_s: float
    """Since the feed began."""
    lasts_s: float
    what: What
    target: str
    """Name of a node, function or link."""

    def is_on(self, now: float) -> bool:
        """Whether it is there."""
        return self.at_s <= now < self.at_s + self.lasts_s


DEMO: Final = (
    Fault(25.0, 20.0, What.CUT, "pulses_2"),
    Fault(70.0, 40.0, What.HOT, "pi-2"),
    Fault(100.0, 40.0, What.SLOW, "file"),
    Fault(150.0, 0.3, What.DIES, "filter_1[0]"),
    Fault(180.0, 12.0, What.LOST, "pi-1"),
    Fault(230.0, 15.0, What.SILENT, "reader_2"),
    Fault(280.0, 30.0, What.CLOCK, "pi-2"),
)
"""What `--demo` shows in its first five minutes; a name of a buffer stands for the links from it."""
