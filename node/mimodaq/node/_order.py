"""What the node tells a worker when it starts it, and what exit codes of a worker mean."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

EXIT_FAILED: Final = 1
EXIT_FATAL: Final = 2
"""Failed in a way that trying again cannot mend."""
EXIT_ABORTED: Final = 3


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
    check_only: bool = False

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Order:
        """The inverse of `encode`."""
        content = json.loads(raw)
        return cls(**{**content, "source_buffers": tuple(content["source_buffers"])})
