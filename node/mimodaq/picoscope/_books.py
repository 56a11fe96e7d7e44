"""Where the time of a readout goes: every nanosecond is live, paused, lost with the scope, or dead for a named cause.

Pure: times are handed in. Invariant: the sum of all accounts is the time from the beginning to the last booking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LIVE: Final = "live"
PAUSED: Final = "paused"
GAP: Final = "gap"
TRANSFER: Final = "transfer"
BUFFER: Final = "buffer"
"""Waiting for free slots: readers do not keep up."""
HOST: Final = "host"
"""Everything between the driver's calls."""
REARM: Final = "rearm"
"""Between two captures of a batch, if it is known."""
DEAD: Final = (TRANSFER, BUFFER, HOST, REARM)


@dataclass(slots=True)
class Books:
    """The accounts of one readout, in ns."""

    begin_ns: int
    booked_ns: int = 0
    """Up to here all time is booked."""
    accounts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((LIVE, PAUSED, GAP, *DEAD), 0))

    def __post_init__(self) -> None:
        self.booked_ns = self.begin_ns

    def book(self, account: str, until_ns: int) -> None:
        """Put the time since the last booking into an account."""
        self.accounts[account] += until_ns - self.booked_ns
        self.booked_ns = until_ns

    def move(self, ns: int, source: str, target: str) -> None:
        """Correct what was booked, as far as there is something."""
        ns = max(0, min(ns, self.accounts[source]))
        self.accounts[source] -= ns
        self.accounts[target] += ns

    @property
    def live_ns(self) -> int:
        """Time in which a trigger would have been recorded."""
        return self.accounts[LIVE]

    @property
    def dead_ns(self) -> int:
        """Time in which it would not, for whatever cause, except pauses and gaps."""
        accounts = self.accounts
        return accounts[TRANSFER] + accounts[BUFFER] + accounts[HOST] + accounts[REARM]
