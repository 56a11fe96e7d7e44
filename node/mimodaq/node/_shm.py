"""Tell when /dev/shm runs full: rings have their pages, but what processes report and print goes there, too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

LEAST_BYTES: Final = 1 << 20


@dataclass(slots=True)
class ShmWatch:
    """Looks at it, and knows what was said last."""

    place: str = "/dev/shm"
    is_full: bool = False

    def look(self) -> tuple[str, str] | None:
        """Level and text of what there is to say, if anything has changed."""
        size = os.statvfs(self.place)
        is_full = size.f_bavail * size.f_frsize < LEAST_BYTES
        if is_full == self.is_full:
            return None
        self.is_full = is_full
        if not is_full:
            return "info", f"there is room in {self.place} again"
        return "error", (
            f"{self.place} is full: events flow on, but no run can be armed, and what processes say may be lost. "
            f"Make room: ls -lS {self.place}"
        )
