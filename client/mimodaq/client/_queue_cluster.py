"""The runs of a queue on a cluster: the broker carries them out, and they go on whatever becomes of this process."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from typing import Final

from mimodaq.client._cluster_commands import Choices, Where
from mimodaq.client._queue_book import Outcome
from mimodaq.client._queue_here import RunRefusedError, is_at_end
from mimodaq.client.session import RestartedError, RunInfo, Session, UnreachableError
from mimodaq.config import QueuedRun, Setup, load_setup

_LOOK_S: Final = 0.5
_AGAIN_S: Final = 2.0
"""Between two tries to reach a broker that is away."""
_MANY: Final = 1000
"""Runs among which one that was begun is looked for."""


class HandsCluster:
    """Begins runs on the cluster of a broker, waits for them, and tells how they ended."""

    def __init__(self, setup: Setup, name: str, where: Where) -> None:
        self._setup = setup
        self._name = name
        self._where = where

    def place(self, number: int) -> str:
        """The comment by which the run is found in the database of the broker."""
        return f"queue {self._name} {number} {secrets.token_hex(4)}"

    def begin(self, wanted: QueuedRun, place: str) -> None:
        """Configure the cluster and start a run. Raises RunRefusedError."""
        with self._where.session() as session:
            answer = Choices.typed((), None).send(session, load_setup(self._setup.path, wanted.overrides()))
            if answer.ok:
                answer = session.ask("start", comment=place)
        if not answer.ok:
            raise RunRefusedError(answer.text)

    def wait(self, wanted: QueuedRun, place: str, is_stopping: Callable[[], bool]) -> Outcome | None:
        """Wait for the end of a run; None if there never was one of this name. A broker that is away is waited for."""
        is_told = False
        while True:
            try:
                with self._where.session() as session:
                    row = self._find(session, place)
                    while row is not None and row.verdict is None:
                        if is_stopping() and not is_told:
                            is_told = session.ask("stop").ok
                        session.news(_LOOK_S)
                        row = session.run(row.run)
                return None if row is None else self._outcome(wanted, row)
            except (UnreachableError, RestartedError) as error:
                if is_stopping():
                    raise
                print(f"{error}. Trying again", file=sys.stderr)
                time.sleep(_AGAIN_S)

    @staticmethod
    def _find(session: Session, place: str) -> RunInfo | None:
        return next((row for row in session.runs(_MANY) if row.comment == place), None)

    def _outcome(self, wanted: QueuedRun, row: RunInfo) -> Outcome:
        reason = "; ".join(row.reasons) or row.end_reason
        setup = load_setup(self._setup.path, wanted.overrides())
        is_whole = is_at_end(setup.events_limit, setup.duration_s, row.events, row.running_s, row.end_reason)
        return Outcome(row.run, row.verdict or "interrupted", reason, row.events, row.running_s, is_whole)
