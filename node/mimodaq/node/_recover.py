"""Complete what runs that were killed have left: their files, and the verdict in their record."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mimodaq.functions.files import FilesError, RecoveryReport, recover, seal_run
from mimodaq.node._log import LOG, is_running
from mimodaq.node._record import write_record
from mimodaq.node._rundir import RECORD

_NO_VERDICT: Final = b'"verdict": null'
_HEAD_BYTES: Final = 4096
"""The verdict is at the beginning of a record, and there may be thousands of them."""


@dataclass(frozen=True, slots=True)
class RecoveredRun:
    """What became of a run."""

    run_dir: Path
    report: RecoveryReport
    problems: tuple[str, ...] = ()
    """What could not be done, in words."""
    has_begun: bool = True

    def line(self) -> str:
        """For the log."""
        if not self.has_begun:
            return unbegun_in_words(self.run_dir)
        failed = [file for file in self.report.files if file.outcome not in ("recovered", "complete")]
        text = f"{self.run_dir} was left by a run that was killed: {self.report.events} events recovered"
        return "; ".join([text, *(f"{file.path}: {file.outcome}, {file.problem}" for file in failed), *self.problems])


def killed_runs(output_directory: Path) -> Iterator[Path]:
    """The run directories whose run has no verdict and does not go on; those of other hosts are left to them."""
    for path in sorted(output_directory.glob(f"*/{RECORD}")):
        try:
            with path.open("rb") as file:
                if _NO_VERDICT not in file.read(_HEAD_BYTES):
                    continue
            host = json.loads(path.read_text(encoding="utf-8"))["where"]["host"]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # damaged (`mimodaq recover` names it), or of another program
        if host == socket.gethostname() and not is_running(path.parent):
            yield path.parent


def is_unbegun(run_dir: Path) -> bool:
    """Whether a run was killed before it had a record: nothing but its empty log is there."""
    try:
        is_empty = (run_dir / LOG).stat().st_size == 0
    except OSError:
        return False
    return is_empty and not is_running(run_dir) and not (run_dir / RECORD).exists()


def unbegun_in_words(run_dir: Path) -> str:
    """What is to be said of such a directory."""
    return f"{run_dir} was left by a run that was killed before it began: no event was taken, so it can be removed"


def recover_run(run_dir: Path) -> RecoveredRun:
    """Complete the files of a run that was killed and, if nothing is left to do, its record; harmless if repeated.

    Raises FilesError if the directory does not exist, ValueError if its record is damaged.
    """
    report = recover(run_dir)
    return RecoveredRun(run_dir, report, close_record(run_dir) if report.is_complete else ())


def close_record(run_dir: Path) -> tuple[str, ...]:
    """Give the record of a run that was killed its verdict; returns what could not be written into its files.

    Raises ValueError if the record is damaged.
    """
    path = run_dir / RECORD
    if not path.exists():
        return ()
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["verdict"] is None:
        record["verdict"] = "interrupted"
        record["reasons"] = [*record["reasons"], "the run was killed; its files were recovered"]
        write_record(run_dir, record)
    return tuple(seal_run(run_dir, record))


def recover_killed_runs(output_directory: Path) -> Iterator[RecoveredRun]:
    """Recover all killed runs of an output directory, one after another."""
    for run_dir in killed_runs(output_directory):
        try:
            yield recover_run(run_dir)
        except (FilesError, OSError, ValueError) as error:
            yield RecoveredRun(run_dir, RecoveryReport(()), (f"it cannot be recovered: {error}",))
    for log in sorted(output_directory.glob(f"*/{LOG}")):
        if is_unbegun(log.parent):
            yield RecoveredRun(log.parent, RecoveryReport(()), has_begun=False)
