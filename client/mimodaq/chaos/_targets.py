"""Find the processes of one cluster on this computer, and signal no others.

A daemon is known by its state folder: epoch, setup and run in there are those that the broker tells of the node, and
the process has the folder's lock open; the broker is known by the epoch in its run database and the port where it
listens. A process of a run is known by the lock of its label in the run's folder. Signals go through descriptors of
processes (pidfd_open(2)), and what they refer to is looked at again once they are held, so a number that was used again
is never hit.
"""

from __future__ import annotations

import os
import select
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from mimodaq.chaos._faults import BROKER
from mimodaq.chaos._network import listening
from mimodaq.client.session import Status
from mimodaq.node import folder_path, memory_of, process_of, processes_of, tag_of
from mimodaq.protocol.messages import Report
from mimodaq.system import read_number

_LOCK: Final = "lock"
_EPOCH: Final = "epoch"
_DATABASE: Final = "runs.sqlite"


class CannotDo(Exception):
    """A fault cannot be done now; the message says why."""


class Handle:
    """One process, whatever becomes of its number."""

    def __init__(self, find: Callable[[], int | None], what: str) -> None:
        """Take hold of the process that `find` tells. Raises CannotDo if there is none."""
        pid = find()
        if pid is None:
            raise CannotDo(f"{what} does not run now")
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise CannotDo(f"{what} has just ended") from None
        if find() != pid:
            self.close()
            raise CannotDo(f"{what} has just ended")
        self.pid = pid

    def signal(self, number: signal.Signals) -> None:
        """Signal it, if it still runs. Raises CannotDo if it is another user's."""
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise CannotDo(f"process {self.pid} is another user's: run chaos as the user of the daemons") from None

    def wait(self, limit_s: float) -> None:
        """Wait for its end. Raises CannotDo if it does not come."""
        if not select.select([self._fd], [], [], limit_s)[0]:
            raise CannotDo(f"process {self.pid} does not end")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


class Targets:
    """The daemons of a cluster on this computer, and the processes of its runs."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Those with these state folders, by name; see `find`."""
        self._folders = folders

    @classmethod
    def find(cls, status: Status, port: int | None, within: Path | None = None) -> Targets:
        """Those of the cluster that tells this of itself and whose broker listens there.

        `within` = only those whose state is below this folder.
        """
        folders = {}
        for folder, pid in _daemons():
            if within is not None and not folder.is_relative_to(within):
                continue
            if (folder / _DATABASE).exists():
                if _broker_epoch(folder) == status.cluster.epoch and (port is None or _listens(pid, port)):
                    folders[BROKER] = folder
                continue
            for report in status.reports.values():
                if _is_of(folder, pid, report):
                    folders[report.node] = folder
        return cls(folders)

    @property
    def names(self) -> tuple[str, ...]:
        """Nodes that are here, and `broker` if it is."""
        return tuple(sorted(self._folders))

    def daemon(self, name: str) -> int | None:
        """Process id of a daemon; None if it does not run."""
        folder = self._folders[name]
        pid = read_number(folder / _LOCK)
        return pid if pid and folder / _LOCK in _open_files(pid) else None

    def process(self, node: str, run: int | None, label: str) -> int | None:
        """Process id of a worker or of the end of a link; None if it does not run."""
        return None if run is None else process_of(self._run_folder(node, run), label)

    def processes(self, node: str, run: int | None) -> dict[str, int]:
        """All processes of a run on a node, by label."""
        return {} if run is None else processes_of(self._run_folder(node, run))

    def _run_folder(self, node: str, run: int) -> Path:
        return folder_path(f"{tag_of(self._folders[node])}-{run}")


def _daemons() -> Iterator[tuple[Path, int]]:
    """State folders of the daemons that run here, and their process ids."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            for path in _open_files(int(entry)):
                if path.name == _LOCK and any((path.parent / name).exists() for name in (_EPOCH, _DATABASE)):
                    yield path.parent, int(entry)


def _open_files(pid: int) -> Iterator[Path]:
    folder = f"/proc/{pid}/fd"
    with suppress(FileNotFoundError, PermissionError, ProcessLookupError):  # it has gone, or is another user's
        for fd in os.listdir(folder):
            with suppress(FileNotFoundError):
                yield Path(os.readlink(f"{folder}/{fd}"))


def _is_of(folder: Path, pid: int, report: Report) -> bool:
    memory = memory_of(folder)
    with suppress(psutil.Error):
        is_named = report.node in psutil.Process(pid).cmdline()
        known = (memory.epoch, memory.setup_id, memory.run) if memory is not None else None
        return is_named and known == (report.epoch, report.setup_id, report.run)
    return False


def _broker_epoch(folder: Path) -> int:
    uri = f"file:{quote(str(folder / _DATABASE))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        (epoch,) = database.execute("SELECT COALESCE(MAX(epoch), 0) FROM epochs").fetchone()
    return int(epoch)


def _listens(pid: int, port: int) -> bool:
    with suppress(OSError):
        return any(port == one for _, one in listening(pid))
    return False
