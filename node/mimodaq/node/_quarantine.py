"""Events that killed their reader too often, kept in files of the run instead of blocking it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimodaq.ring import Observed


class Quarantine:
    """Writes one numpy file an event, `quarantine/<buffer>-<function>-<counter>.npy`; metadata go into the record."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "quarantine"
        self._run_dir = run_dir
        self.files: list[dict[str, object]] = []
        """One entry an event: file, buffer, function, counter, timestamp, how often it was tried."""

    def keep(self, buffer: str, group: str, event: Observed, times: int) -> None:
        """Save one event; raises OSError when it cannot, and the event stays in its ring."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{buffer}-{group}-{event.counter}.npy"
        np.save(path, np.array([event.event]))
        self.files.append(
            {
                "file": str(path.relative_to(self._run_dir)),
                "buffer": buffer,
                "function": group,
                "counter": event.counter,
                "timestamp": event.timestamp,
                "tries": times,
            }
        )
