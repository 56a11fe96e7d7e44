"""What a node's wall clock did in the course of one run, for the record of the run. Pure code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from mimodaq.protocol.clock import Clock, is_jump

_JUMPS_KEPT: Final = 100


@dataclass(slots=True)
class ClockBooks:
    """Offsets to the broker's clock from the first sample of a run to the last, over all lives of the daemon."""

    samples: int = 0
    offset_s: float = 0.0
    jitter_s: float = 0.0
    way_s: float = 0.0
    offset_min_s: float = 0.0
    offset_max_s: float = 0.0
    jitter_max_s: float = 0.0
    jumps: int = 0
    jumped: list[dict[str, Any]] = field(default_factory=list)
    """The first hundred: when it was noticed, by this clock, and by how much the offset has changed, in s."""
    _measured_ns: int = 0

    def note(self, clock: Clock) -> bool:
        """Take over what is known now, unless it has been; whether the clock has jumped since the last sample."""
        if clock.measured_ns == self._measured_ns:
            return False
        step_s = clock.offset_s - self.offset_s
        has_jumped = self.samples > 0 and is_jump(step_s, clock.way_s + self.way_s)
        if has_jumped:
            self.jumps += 1
            if len(self.jumped) < _JUMPS_KEPT:
                self.jumped.append({"at": _utc(clock.measured_ns), "step_s": step_s})
        least, most = (self.offset_min_s, self.offset_max_s) if self.samples else (clock.offset_s, clock.offset_s)
        self.offset_min_s, self.offset_max_s = min(least, clock.offset_s), max(most, clock.offset_s)
        self.jitter_max_s = max(self.jitter_max_s, clock.jitter_s)
        self.offset_s, self.jitter_s, self.way_s = clock.offset_s, clock.jitter_s, clock.way_s
        self.samples, self._measured_ns = self.samples + 1, clock.measured_ns
        return has_jumped

    def record(self) -> dict[str, Any] | None:
        """For `run.json`; None if the clock was never compared."""
        if not self.samples:
            return None
        values = {name: getattr(self, name) for name in self.__slots__ if not name.startswith("_")}
        return {**values, "measured": _utc(self._measured_ns)}

    @classmethod
    def restore(cls, record: Mapping[str, Any] | None) -> Self:
        """The inverse of `record`; what is of another form counts as nothing."""
        try:
            content = dict(record or {})
            measured = content.pop("measured", None)
            books = cls(**content)
            books._measured_ns = round(datetime.fromisoformat(measured).timestamp() * 1e9) if measured else 0
        except (TypeError, ValueError):
            return cls()
        return books


def _utc(utc_ns: int) -> str:
    return datetime.fromtimestamp(utc_ns / 1e9, UTC).isoformat(timespec="microseconds")
