"""The operator's screens: run control and figures of the whole cluster in a terminal.

Imports nothing by itself: Textual is only loaded when the screens are opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mimodaq.client._run import RunRequest

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the screens as the arguments of the command line say; answers the exit code."""
    from mimodaq.tui._main import open_screens

    return open_screens(arguments)


def run(request: RunRequest) -> int:
    """Carry out a run on this host with the screens open; answers the exit code."""
    from mimodaq.tui.embedded import run as carry_out

    return carry_out(request)
