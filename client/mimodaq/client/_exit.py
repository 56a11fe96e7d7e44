"""How a command ends: exit codes, and the error that the user has to mend."""

from __future__ import annotations

from typing import Final

EXIT_GOOD: Final = 0
EXIT_NOT_GOOD: Final = 1
"""The run has ended, but its verdict is not good."""
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
"""There is no way to the broker."""
EXIT_REFUSED: Final = 4
"""The broker has refused, or the command has failed; the words are on stderr."""
EXIT_INTERRUPTED: Final = 130


class UsageError(Exception):
    """The user has to change something; the message says what."""
