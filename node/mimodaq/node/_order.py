"""What the node tells a worker when it starts it, and what a worker says when it ends."""

from __future__ import annotations

import enum
import pickle
from dataclasses import dataclass
from typing import Any


class Outcome(enum.Enum):
    """How a worker has ended, by its own account; one that was killed gives none."""

    DONE = "done"
    """Its function has returned."""
    FAILED = "failed"
    FATAL = "fatal"
    """Failed in a way that trying again cannot mend."""
    ABORTED = "aborted"
    """Its buffers were closed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do."""

    function: str
    """Name of the entry in the setup."""
    process: int
    processes: int
    module: str
    name: str
    """Name of the function in the module."""
    source_file: str | None
    folder: str
    run_dir: str
    config: dict[str, Any]
    rb_assign: dict[str, str]
    segments: dict[str, str]
    """Segment of every buffer of the run."""
    source_buffers: tuple[str, ...]
    """Buffers that sources write: ended when the node dies."""
    run_info: dict[str, Any]
    restarts: int = 0
    """How often this worker was started before."""
    check_only: bool = False

    @property
    def label(self) -> str:
        """Name of the worker in its buffers and in the log, for example `Fkt_2[0]`."""
        return f"{self.function}[{self.process}]"

    @property
    def is_input(self) -> bool:
        """Whether it only writes: it is told to stop, all others end with their input."""
        return not {"read", "observe"} & set(self.rb_assign.values())

    def encode(self) -> bytes:
        """As bytes for the worker's stdin; options keep their types (keys of YAML may be numbers, values dates)."""
        return pickle.dumps(self)

    @classmethod
    def decode(cls, raw: bytes) -> Order:
        """The inverse of `encode`; the bytes come from the node that has started this process."""
        order = pickle.loads(raw)
        assert isinstance(order, cls)
        return order
