"""A node that is no part of a cluster: it carries out the runs of one host, for `mimodaq run`.

Its broker was started for it and ends with it, and nobody will start it again. Files and record are to be those of
`Engine`, which does the same without a broker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from mimodaq.config import Setup
from mimodaq.node._daemon import Node
from mimodaq.node._hostrun import HostRun
from mimodaq.node._log import Entry, RunLog
from mimodaq.node._options import NodeOptions
from mimodaq.node._record import RunFacts
from mimodaq.node._rings import remove_left_overs
from mimodaq.node._rundir import RECORD
from mimodaq.node._slow import close_books
from mimodaq.protocol import node_events as events
from mimodaq.protocol.run import Verdict

_COMMANDED: Final = "by the broker"
"""What a node brain gives as the reason of whatever the broker has told it."""
_CONNECT_S: Final = 5.0
"""The broker is waited for so long, because the run is to begin at once."""


class NodeAlone(Node):
    """One life of such a node. Runs write to `directory`, or where the setup says if that is None."""

    SOURCE = "run"

    def __init__(self, options: NodeOptions, directory: Path | None) -> None:
        """Take the state folder. Raises LockedError, OSError."""
        super().__init__(options)
        self._directory = directory

    def _boot(self) -> None:
        self._broker.wait(_CONNECT_S)
        for path in remove_left_overs():
            self._log.say("warning", f"removed {path}, left over from a run that was killed")
        super()._boot()

    def _choose_directory(self, host: HostRun) -> Path | None:
        return self._directory

    def _has_place(self, log: RunLog) -> None:
        super()._has_place(log)
        assert self._host is not None
        self._log.say("info", f"run {self._host.number} of {self._host.setup.path.name} in {self._host.run_dir}")

    def _facts(self, host: HostRun) -> RunFacts:
        limit, count = host.setup.events_limit, host.rings.committed(host.setup.counted_buffer)
        if limit and count >= limit:  # the buffer takes no more by itself
            host.books.stop_asked = host.books.stop_asked or time.time()
        return in_words(super()._facts(host), host.setup, count)

    def _close_books(self, effect: events.CloseBooks) -> None:
        assert self._host is not None
        effect = replace(effect, reasons=reasons_in_words(effect.reasons))
        self._background.do(partial(close_books, effect, self._host, self._facts(self._host)))

    def _clear(self) -> None:
        if self._host is not None and self._log.run is not None:
            with suppress(OSError, ValueError):  # no record: it ended before it had begun
                self._write_end(self._log.run, json.loads((self._host.run_dir / RECORD).read_text()))
        super()._clear()

    def _write_end(self, log: RunLog, record: Mapping[str, Any]) -> None:
        """The last line of the log of the run; everybody else is told by the broker."""
        reasons = f" ({'; '.join(record['reasons'])})" if record["reasons"] else ""
        level = "info" if record["verdict"] == Verdict.GOOD.value else "warning"
        log.write(Entry(time.time(), level, "run", f"run {record['run']} ended: {record['verdict']}{reasons}"))


def in_words(facts: RunFacts, setup: Setup, events: int) -> RunFacts:
    """The facts with the reason why the run was ended, which only the broker knew; `events` are those counted."""
    reason = facts.end_reason
    if not reason or facts.verdict is Verdict.INTERRUPTED:
        return facts
    if setup.events_limit and events >= setup.events_limit:
        reason = f"{setup.events_limit} events are taken"
    elif reason == _COMMANDED and setup.duration_s is not None and facts.running_s >= setup.duration_s:
        reason = f"{setup.duration_s:g} s are over"
    return replace(facts, end_reason=_as_engine(reason))


def reasons_in_words(reasons: Iterable[str]) -> tuple[str, ...]:
    """What keeps a run from being good, as its operator knows it."""
    return tuple(map(_as_engine, reasons))


def _as_engine(text: str) -> str:
    return text.replace(_COMMANDED, "by the operator")
