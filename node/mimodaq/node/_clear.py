"""Clear away what an earlier node daemon of the same state folder has left and nobody will take over."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Final
from urllib.parse import quote, unquote

from mimodaq.node._folder import Folder, FolderInUse, folder_path

_SHM: Final = Path("/dev/shm")
_GRACE_S: Final = 5.0


def clear_left(tag: str) -> None:
    """End all processes of runs of this state folder, and remove their folders and rings."""
    for path in sorted(_SHM.glob(f"{folder_path(tag).name}-*")):
        with suppress(FolderInUse):
            folder = Folder(path)
            for lock in sorted(path.glob("*.lock")):
                pid = folder.holder(unquote(lock.name.removesuffix(".lock")))
                if pid is not None:
                    _end(pid)
            folder.remove()
    for path in sorted(_SHM.glob(f"mimodaq.{os.getuid()}.{quote(tag, safe='')}-*")):
        path.unlink(missing_ok=True)


def _end(pid: int) -> None:
    """Kill a process with its group, and wait until it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        select([fd], [], [], _GRACE_S)
    finally:
        os.close(fd)
