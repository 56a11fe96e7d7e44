"""What a command is waiting for, while it waits: redrawn on a terminal, else a line whenever it changes."""

from __future__ import annotations

import sys
from typing import Final, Self

from mimodaq.client._log_lines import as_text
from mimodaq.client._streams import to_nowhere
from mimodaq.client.session import Session
from mimodaq.protocol.messages import Cluster, LogLine
from mimodaq.protocol.states import State

_CLEAR: Final = "\r\033[K"


class Progress:
    """Shows on stderr what the cluster is doing for one command."""

    class Begun(Exception):
        """What was asked for has begun, and nobody wants to wait for its end."""

        def __init__(self, text: str, run: int | None) -> None:
            super().__init__(text)
            self.run = run

    def __init__(self, command: str, session: Session, *, until_begun: bool = False) -> None:
        self._command, self._session, self._until_begun = command, session, until_begun
        self._is_terminal = sys.stderr.isatty()
        self._shown = ""
        self._lasts = True

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a clean line."""
        if self._is_terminal and self._shown:
            self._write(_CLEAR)

    def show(self) -> None:
        """Show what has come over the feed. Raises Begun."""
        for one in self._session.news():
            match one:
                case LogLine(level="error" | "warning"):
                    self._write(f"{_CLEAR if self._is_terminal else ''}{as_text(one)}\n")
                    self._shown = ""
                case Cluster():
                    self._show(one)
                    if self._until_begun and one.aim in (State.STOPPING, State.ABORTING):
                        raise self.Begun(f"run {one.run} is {one.aim.value}; see mimodaq status --watch", one.run)
                case _:
                    pass

    def _show(self, cluster: Cluster) -> None:
        if not cluster.aim.is_transitional:
            return
        what = f"{self._command}: {cluster.aim.value}"
        waiting = f", {cluster.text}" if cluster.text else ""
        if self._is_terminal:
            self._shown = f"{what} for {cluster.for_s:.0f} s{waiting} (Ctrl-C ends the waiting only)"
            self._write(f"{_CLEAR}{self._shown}")
        elif f"{what}{waiting}" != self._shown:
            self._shown = f"{what}{waiting}"
            self._write(f"{self._shown}\n")

    def _write(self, text: str) -> None:
        """That nobody watches is no reason not to wait."""
        if not self._lasts:
            return
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._lasts = False
            to_nowhere(sys.stderr)
