"""Where a run writes, taken when it begins: its directory, its log, its record, and what makes it repeatable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mimodaq.node._hostrun import HostRun
from mimodaq.node._log import LOG, Entry, RunLog
from mimodaq.node._record import RunFacts, write_record
from mimodaq.node._rundir import RunDirectory, explained, keep_setup, make_run_directory


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a run that has begun."""

    directory: RunDirectory
    log: RunLog

    def give_back(self) -> None:
        """Nothing was taken: leave nothing of it, so that the same command may be tried again."""
        self.log.close()
        self.directory.remove()


def take_place(host: HostRun, directory: Path | None, facts: RunFacts, on_log: Callable[[Entry], None]) -> Place:
    """Make the place of a run: in `directory`, or where its setup says.

    Whenever this is killed, there is a whole record or none, and no event was taken. The log is locked before there is
    a record, so nobody takes a run that is beginning for one that was killed. Raises RunDirectoryError, and leaves
    nothing then.
    """
    with explained(directory or host.setup.output_directory), ExitStack() as undo:
        made = make_run_directory(host.setup, directory, datetime.now())
        log = _log_of(made, on_log)
        place = Place(made, log)
        undo.callback(place.give_back)
        host.use_directory(made.path)
        write_record(made.path, host.record(facts, final=False))
        keep_setup(host.setup, made.path)
        undo.pop_all()
    return place


def _log_of(made: RunDirectory, on_log: Callable[[Entry], None]) -> RunLog:
    """The log of a directory that is ours now: whoever has it locked has the directory."""
    try:
        log = RunLog(made.path / LOG, on_log)
    except BlockingIOError:
        raise made.in_use() from None
    if made.holds_run():
        log.close()
        raise made.in_use()
    return log
