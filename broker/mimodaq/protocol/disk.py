"""Decide what is to be done about a disk that fills up: forecast, warning, and when the run is to be held or stopped.

Pure code: the shell looks at the disks and files of a run, and feeds what it found with the monotonic time.

Theory of operation. What counts is the space that is used up for good: complete files and other programs' data. An
open journal counts with the size it will have as Parquet, going by those that are complete; space set aside for
completing files, and halves of files, do not count. The rate is that of the last minute. A disk is low when the
reserve, what is still in the buffers (as journal, and once more as room for the part) and a few seconds of data are
all that is left: then everything taken can still be written and every file completed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mimodaq.config import DiskSpec
from mimodaq.protocol.parts import DiskWish
from mimodaq.protocol.run import Say

MEASURED_S: Final = 60.0
"""The rate is the mean of the last minute."""
FIRST_S: Final = 5.0
"""No forecast before so much of it has been seen."""
REACT_S: Final = 5.0
"""Data of so long may still come after the decision."""
_STILL_BYTES_S: Final = 1000.0
"""A disk that fills more slowly is not filling."""
_WISHES: Final = {"stop": DiskWish.STOP, "pause": DiskWish.PAUSE, "warn": DiskWish.NONE}
_AGAIN: Final = 1.5
"""What has been said is said again after the forecast was so much better meanwhile."""


@dataclass(frozen=True, slots=True)
class DiskLook:
    """The disks and files of a run at one moment; all in bytes."""

    free: int
    """On all disks that the run may use together."""
    journals: Mapping[str, int]
    """That will become parts, by the part's name."""
    parts: Mapping[str, int]
    """Complete ones."""
    rooms: int
    """Set aside for completing files."""
    temporary: int
    """Halves of complete files."""
    others: int
    """All other files of the run."""
    to_close: int
    """What completing all files needs at most."""
    buffered: int
    """Events in the buffers."""


@dataclass(slots=True)
class DiskWatch:
    """Follows the disks of one run on one host."""

    spec: DiskSpec
    left_s: float | None = None
    """How long until the disks are low; None if that is not known or they do not fill."""
    rate: float | None = None
    """Bytes a second."""
    is_low: bool = False
    free: int = 0
    _used: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, bytes that are used up for good, up to a constant)."""
    _raw: dict[str, int] = field(default_factory=dict)
    """Size of each journal when it was last seen."""
    _is_ratio_known: bool = False
    _first_others: int | None = None
    _has_warned: bool = False

    def look(self, found: DiskLook, now: float) -> list[Say]:
        """Take a look; returns what the operator is to be told."""
        self.free = found.free
        self._raw.update(found.journals)
        if self._first_others is None:
            self._first_others = found.others
        is_writing = bool(found.journals or found.parts) or found.others > self._first_others
        self._note(found, now)
        keep = self.spec.reserve_bytes + 2 * found.buffered + max(0, found.to_close - found.rooms)
        keep += int(REACT_S * max(0.0, self.rate or 0.0))
        is_filling = self.rate is not None and self.rate > _STILL_BYTES_S
        self.left_s = max(0, found.free - keep) / self.rate if is_filling and self.rate else None
        was_low, self.is_low = self.is_low, is_writing and found.free < (keep * _AGAIN if self.is_low else keep)
        if self.is_low:
            return [] if was_low else [self._say_low()]
        return self._warn()

    @property
    def wish(self) -> DiskWish:
        """What the setup wants for the run now."""
        return _WISHES[self.spec.when_low] if self.is_low else DiskWish.NONE

    @property
    def trouble(self) -> str:
        """What is wrong, in words."""
        return f"only {_size(self.free)} are left on the disk"

    def _note(self, found: DiskLook, now: float) -> None:
        ratio = self._ratio(found)
        if ratio is not None and not self._is_ratio_known:
            self._is_ratio_known = True
            self._used.clear()  # open journals counted with their whole size until now
        shrinks_by = sum(found.journals.values()) * (1 - (1.0 if ratio is None else ratio))
        used = -found.free - found.rooms - found.temporary - shrinks_by
        self._used.append((now, used))
        while now - self._used[0][0] > MEASURED_S:
            self._used.popleft()
        since, before = self._used[0]
        self.rate = (used - before) / (now - since) if now - since >= FIRST_S else None

    def _ratio(self, found: DiskLook) -> float | None:
        """Bytes of Parquet for a byte of journal, by the parts of which both are known; None if there is none."""
        done = [name for name in found.parts if name in self._raw and name not in found.journals]
        raw = sum(self._raw[name] for name in done)
        return sum(found.parts[name] for name in done) / raw if raw else None

    def _say_low(self) -> Say:
        doing = {"stop": "the run is stopped", "pause": "the run is paused", "warn": "make room"}[self.spec.when_low]
        return Say("error", f"{self.trouble}: {doing} (disk.when_low: {self.spec.when_low})")

    def _warn(self) -> list[Say]:
        left_s, rate = self.left_s, self.rate
        if left_s is None or left_s >= self.spec.warn_s * _AGAIN:
            self._has_warned = False
        if self._has_warned or left_s is None or rate is None or left_s >= self.spec.warn_s:
            return []
        self._has_warned = True
        doing = {"stop": "then the run is stopped", "pause": "then the run is paused", "warn": "make room"}
        text = f"the disk is full in {_time(left_s)}, at {_size(rate)}/s ({_size(self.free)} are free): "
        return [Say("warning", text + doing[self.spec.when_low])]


def _size(value: float) -> str:
    for prefix in ("", "k", "M"):
        if abs(value) < 999.5:
            return f"{value:.3g} {prefix}B"
        value /= 1000
    return f"{value:.3g} GB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
