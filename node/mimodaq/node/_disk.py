"""The disks that a run writes to: which they are, and what is on them; `mimodaq.protocol.disk` decides."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mimodaq.config import DiskSpec
from mimodaq.functions.files import free_bytes, look_at_files
from mimodaq.node._log import LOG
from mimodaq.node._rundir import RECORD
from mimodaq.protocol.disk import DiskLook, DiskWatch
from mimodaq.protocol.run import Say

LOOK_S: Final = 1.0
_NO_DATA: Final = (LOG, RECORD)
_SHARE: Final = 0.05
"""Looking takes at most this part of the time, however many files there are."""


class RunDisks:
    """The disks of one run on this host. `find` may be called in another thread."""

    def __init__(self, spec: DiskSpec, run_dir: Path) -> None:
        self.watch = DiskWatch(spec)
        self.due = 0.0
        """When to look again, monotonic."""
        self.problems: list[str] = []
        """Folders of the setup that are of no use here, and why."""
        self._run_dir = run_dir
        self._reserve_bytes = spec.reserve_bytes
        self._problem = ""
        self.spill = tuple(place / _name_on_other_disks(run_dir) for place in spec.spill if self._is_usable(place))
        """Where this run may write on other disks."""

    def find(self, buffered: int) -> DiskLook | str:
        """Look at files and disks; what was found, or why that cannot be told."""
        began = time.monotonic()
        try:
            files = look_at_files(self._run_dir, but=_NO_DATA)
            places = (self._run_dir,) if files.sorted_later else (self._run_dir, *self.spill)
            free = self._free([free_bytes(place) for place in places])
        except OSError as error:
            return f"looking at the disk of {self._run_dir}: {error.strerror}"
        finally:
            now = time.monotonic()
            self.due = now + max(LOOK_S, (now - began) / _SHARE)
        return DiskLook(
            free=free,
            journals=files.journals,
            parts=files.parts,
            rooms=files.rooms,
            temporary=files.temporary,
            others=files.others,
            to_close=files.to_close,
            buffered=buffered,
        )

    def note(self, found: DiskLook | str, now: float) -> list[Say]:
        """Take what was found; returns what the operator is to be told."""
        if isinstance(found, DiskLook):
            self._problem = ""
            return self.watch.look(found, now)
        is_news, self._problem = found != self._problem, found
        return [Say("warning", found)] if is_news else []

    def _free(self, each: Sequence[int]) -> int:
        """What is free on all disks together: no event may take the reserve of any of them."""
        above = sum(max(0, free - self._reserve_bytes) for free in each)
        return self._reserve_bytes + above if above else max(each)

    def _is_usable(self, place: Path) -> bool:
        what = f"disk.spill: {place}"
        if not place.is_dir():
            self.problems.append(f"{what} is not there and cannot be used: make the folder, or mount the disk")
        elif place.stat().st_dev == self._run_dir.stat().st_dev:
            self.problems.append(f"{what} is on the disk of {self._run_dir} and of no use: name one on another disk")
        elif not os.access(place, os.W_OK):
            self.problems.append(f"{what} cannot be written to: give this user the right to")
        else:
            return True
        return False


def _name_on_other_disks(run_dir: Path) -> str:
    """The name of a run directory, made different from that of the same name elsewhere."""
    whole = f"{socket.gethostname()}:{run_dir.resolve()}"
    return f"{run_dir.name}-{hashlib.blake2b(whole.encode(), digest_size=3).hexdigest()}"
