"""The log of a run: one line an entry in `run.log`, and to whoever listens."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

LOG: Final = "run.log"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    time_s: float
    """Seconds UTC."""
    level: str
    source: str
    """`run`, or the worker that said it."""
    text: str

    def line(self) -> str:
        """As written to the file."""
        return _head(self.time_s, self.level, self.source) + _indented(self.text)


def _head(time_s: float, level: str, source: str) -> str:
    stamp = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{stamp}Z {level.upper():7} {source}: "


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


class RunLog:
    """Writes entries to the file of the run, flushed line by line, and passes them on.

    The file is locked as long as it is open, which tells others that the run goes on. Raises BlockingIOError if it is
    that of a run that goes on.
    """

    def __init__(self, path: Path, listener: Callable[[Entry], None]) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        try:
            while not _try_lock(self._file):
                if is_running(path.parent):
                    raise BlockingIOError(f"{path} is the log of a run that goes on")
        except BaseException:
            self._file.close()
            raise
        self._listener = listener

    def write(self, entry: Entry) -> None:
        """Write and pass on one entry; a full disk must not stop the run, so the listener still hears of it."""
        problem = self.keep(entry.time_s, entry.level, entry.source, (entry.text,))
        if problem:
            self._listener(Entry(entry.time_s, "error", "run", f"writing the log: {problem}"))
        self._listener(entry)

    def keep(self, time_s: float, level: str, source: str, texts: Iterable[str]) -> str:
        """Write entries of one moment and pass them on to nobody; why they could not be written, or nothing."""
        head = _head(time_s, level, source)
        try:
            self._file.write("".join([f"{head}{_indented(text)}\n" for text in texts]))
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:
            self._listener(Entry(0.0, "error", "run", f"closing the log: {error.strerror}"))


def _try_lock(file: IO[str]) -> bool:
    """Whether a log is ours now; if not, somebody has it, or just looks whether somebody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: others cannot tell then
    return True


def is_running(run_dir: Path) -> bool:
    """Whether the run of this directory goes on at this moment."""
    try:
        with (run_dir / LOG).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
