"""One operator at a time is in charge; all others watch.

A person is known by the name of the key, not by the connection: closing a client changes nothing. The first command
takes charge if nobody has it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Charge:
    """Who may command."""

    holder: str | None = None
    since: float = 0.0

    def refusal(self, operator: str, may_command: bool, command: str, now: float) -> str | None:
        """Why `operator` may not give a command, in words; None if it may. Takes charge if nobody has it."""
        if not may_command:
            return f"{command}: {operator} is an observer and may watch, not command; ask for an operator's key"
        if self.holder is None:
            self.holder, self.since = operator, now
        if self.holder != operator:
            minutes = (now - self.since) / 60
            return (
                f"{command}: {self.holder} is in charge, for {minutes:.0f} min now; "
                f"let {self.holder} surrender, or take charge by force"
            )
        return None

    def take(self, operator: str, may_command: bool, force: bool, now: float) -> str | None:
        """Put `operator` in charge; answers why not, if not."""
        if force and may_command and self.holder != operator:
            self.holder = None
        return self.refusal(operator, may_command, "take", now)

    def surrender(self, operator: str) -> str | None:
        """Put nobody in charge; answers why not, if not."""
        if self.holder != operator:
            return f"surrender: {operator} is not in charge" + (f", {self.holder} is" if self.holder else "")
        self.holder = None
        return None
