"""The process that lets clients look at events of a run; no run depends on it, so it is only tried again later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mimodaq.node._folder import Folder
from mimodaq.node._run_rings import RunRings
from mimodaq.node._workers import Job, JobError
from mimodaq.protocol.run import WorkerId
from mimodaq.system import write_file

if TYPE_CHECKING:
    from mimodaq.node._links import LinkJobs

WINDOW: Final = WorkerId("window", 0)
AGAIN_S: Final = 5.0
"""When it has died, or could not be started, it is tried again after this time."""


@dataclass(slots=True)
class Window:
    """The window of one run on this host."""

    folder: Folder
    rings: RunRings
    jobs: LinkJobs | None
    """None: there is none."""
    launch: Callable[[WorkerId, Job], None]
    say_once: Callable[[str, str, str], None]
    """Level, text, source."""
    _due: float | None = None
    """When it is to be started again."""

    def start(self) -> None:
        """Start the process."""
        self._due = None
        if self.jobs is None:
            return
        if self.renew():
            self.launch(WINDOW, self.jobs.window(self._file))
        else:
            self.try_again(AGAIN_S)

    def renew(self) -> bool:
        """Tell the process who may look; whether there can be one."""
        assert self.jobs is not None
        segments = {name: ring.segment for name, ring in self.rings.by_name.items()}
        try:
            text = self.jobs.window_order(segments)
            write_file(self._file, text.encode())
        except (JobError, OSError) as error:
            self.say_once("warning", f"nobody can look at events of this host: {error}", str(WINDOW))
            return False
        return True

    def try_again(self, after_s: float) -> None:
        """There is none just now: start it after this time."""
        self._due = time.monotonic() + after_s

    def look(self) -> None:
        """Start it if that is due."""
        if self._due is not None and time.monotonic() >= self._due:
            self.start()

    @property
    def _file(self) -> Path:
        return self.folder.path / "window.json"
