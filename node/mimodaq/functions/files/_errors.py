"""The errors of reading and writing event files: one class for each failure a caller can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FilesError(Exception):
    """Something about an event file is wrong; the message says what was done, what was found and what to do."""


class DiskFullError(FilesError, OSError):
    """A file cannot grow: file system full, quota used up or size limit reached.

    `errno` is ENOSPC, EDQUOT or EFBIG. Everything whose slots were released before is kept. Trying the
    same again helps only after somebody has made room.
    """


class CorruptFileError(FilesError):
    """A file to be read is damaged or is not what its name says."""

    def __init__(self, path: Path | str, problem: str, *, skippable: bool = False) -> None:
        self.path = Path(path)
        self.problem = problem
        self.is_skippable = skippable
        way_out = (
            "Set `skip_corrupt: true` to read the rest without it." if skippable else "Give another file as `input`."
        )
        super().__init__(f"reading {path}: {problem}. {way_out}")


class NothingYetError(FilesError):
    """A file that is being written holds no event, so that it is not known yet what events are."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(f"reading {path}: there is nothing in it yet. Try again when events have come.")


class MismatchError(FilesError):
    """The events of a file do not fit into the buffer they are to be written to."""


@contextmanager
def storing(doing: str, *, safe: str) -> Iterator[None]:
    """Turn an OSError of the block into DiskFullError or FilesError; `safe` says what is kept all the same."""
    try:
        yield
    except FilesError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno not in _NO_ROOM:
            raise FilesError(f"{doing}: {reason}. {safe}") from error
        remedy = "Raise the file size limit" if error.errno == errno.EFBIG else "Free some space"
        full = DiskFullError(f"{doing}: {reason}. {safe} {remedy}, then `mimodaq recover` completes the file.")
        full.errno = error.errno
        raise full from error
