"""Events that killed their reader too often, kept in files of the run instead of blocking it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimodaq.ring import Observed


class Quarantine:
    """Writes one numpy file an event, `quarantine/<buffer>-<function>-<number>.npy`; metadata go into the record.

    The number is that of the event in the buffer, which is unique; its counter need not be.
    """

    def __init__(self, run_dir: Path, record: list[dict[str, object]]) -> None:
        self._folder = run_dir / "quarantine"
        self._run_dir = run_dir
        self._record = record

    def keep(self, buffer: str, group: str, event: Observed, times: int) -> None:
        """Save one event; raises OSError when it cannot, and the event stays in its ring."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{buffer}-{group}-{event.sequence}.npy"
        np.save(path, np.array([event.event]))
        self._record.append(
            {
                "file": str(path.relative_to(self._run_dir)),
                "buffer": buffer,
                "function": group,
                "counter": event.counter,
                "timestamp": event.timestamp,
                "tries": times,
            }
        )
