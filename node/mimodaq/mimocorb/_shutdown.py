"""Let a ring run empty before it is closed: first its writers, then its readers, neither without limit."""

from __future__ import annotations

import os
import time
from typing import Final

from mimodaq.mimocorb._endpoints import label_of
from mimodaq.mimocorb._later import catch_up
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.ring import GroupStatus, Observed, Ring

_POLL_S: Final = 0.01
_GRACE_S: Final = 2.0
"""How long a group without any reader may take to get one: its process may just be starting."""


class Drain:
    """Ends the stream of a ring and waits until all its groups have read it."""

    def __init__(self, ring: Ring, patience_s: float) -> None:
        self._ring = ring
        self._patience_s = patience_s
        self._logger = Gen_logger("mimo_buffer")
        self._progress: object = None
        self._since = time.monotonic()

    def run(self) -> None:
        """Return when nothing is left to read, or `patience_s` after the last progress, with a warning."""
        catch_up()
        self._ring.end()
        while not self._are_writers_gone():
            time.sleep(_POLL_S)
        self._ring.declare_ended()
        while not self._are_readers_done():
            time.sleep(_POLL_S)

    def _idle_s(self, progress: object) -> float:
        """Seconds since `progress` has changed."""
        now = time.monotonic()
        if progress != self._progress:
            self._progress, self._since = progress, now
        return now - self._since

    def _are_writers_gone(self) -> bool:
        self._ring.reap()
        status = self._ring.status()
        others = [writer for writer in status.writers if writer.pid != os.getpid()]
        if not others:
            return True
        if self._idle_s((status.committed, len(others))) < self._patience_s:
            return False
        self._logger.warning(
            "shutdown of %s: process %s still writes and did not stop within %g s; what it has not committed is lost",
            *(self._ring.name, ", ".join(str(writer.pid) for writer in others), self._patience_s),
        )
        return True

    def _are_readers_done(self) -> bool:
        self._ring.reap()
        self._ring.quarantine(self._give_up)
        behind = [group for group in self._ring.status().groups if not _is_done(group)]
        if not behind:
            return True
        has_reader = all(group.readers for group in behind)
        limit_s = self._patience_s if has_reader else min(self._patience_s, _GRACE_S)
        if self._idle_s([(group.name, group.released, len(group.readers)) for group in behind]) < limit_s:
            return False
        for group in behind:
            self._logger.warning(
                "shutdown of %s: %d events are not read by %s, %s",
                *(self._ring.name, group.pending + group.reading, group.name),
                f"which made no progress for {limit_s:g} s" if group.readers else "which has no reader",
            )
        return True

    def _give_up(self, group: str, event: Observed, times: int) -> None:
        self._logger.warning(
            "shutdown of %s: event %d is left out, it ended %d readers of %s",
            *(self._ring.name, event.counter, times, group),
        )


def _is_done(group: GroupStatus) -> bool:
    """Whether nothing is left to read, not counting what only this process holds: it is busy with the shutdown."""
    mine = label_of("reader")
    return group.pending == 0 and (group.reading == 0 or all(label == mine for label in group.readers))
