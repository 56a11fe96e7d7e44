"""What the node tells a worker when it starts it, and what a worker says when it ends."""

from __future__ import annotations

import enum
import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np


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
    """Segment of each of its buffers."""
    run_info: dict[str, Any]
    all_segments: tuple[str, ...] = ()
    """Of all rings on this node: removed when the node dies."""
    source_segments: tuple[str, ...] = ()
    """Of rings that sources or other hosts write: ended when the node dies."""
    restarts: int = 0
    """How often this worker was started before."""
    check_only: bool = False
    is_here: bool = True
    """Whether this host is going to run the function; false when a setup for other hosts is only checked."""
    dtypes: dict[str, np.dtype[Any]] = field(default_factory=dict)
    """Event dtype of each of its buffers."""
    spill: tuple[str, ...] = ()
    """Folders for this run on other disks."""
    reserve_bytes: int = 0
    """Of each disk, that no event may take."""
    outlives_node_s: float = 0.0
    """How long it goes on without its node, which may be started again."""

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
