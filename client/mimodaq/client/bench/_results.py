"""What was measured, as ratios to a limit, for programs (JSON) and for people (a table)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


class BenchError(Exception):
    """A measurement failed or its result is wrong; the message says which and why."""


class Missing(BenchError):
    """A measurement cannot be made on this machine; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one thing, or the reason why there are none."""

    name: str
    values: tuple[float, ...] = ()
    missing: str = ""
    """Why it could not be measured here (an optional part is not installed)."""
    failed: str = ""
    """Why the measurement broke off."""

    @property
    def median(self) -> float:
        """Median of the values; nan without any."""
        return statistics.median(self.values) if self.values else float("nan")

    def as_json(self) -> dict[str, Any]:
        """The median as `value`, with `min` and `max`; or `value` null and the reason."""
        if not self.values:
            return {"value": None, **({"missing": self.missing} if self.missing else {"failed": self.failed})}
        return {"value": self.median, "min": min(self.values), "max": max(self.values), "repeats": len(self.values)}


NOTHING: Final = Series("")
"""The limit of a row that is compared with nothing but its goal."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row should reach; None = nothing is asked of that figure."""

    value_min: float | None = None
    value_max: float | None = None
    ratio_min: float | None = None

    def is_met(self, value: float, ratio: float) -> bool:
        """Whether the figures reach everything that is asked; a figure that is missing (nan) does not."""
        return (
            (self.value_min is None or value >= self.value_min)
            and (self.value_max is None or value <= self.value_max)
            and (self.ratio_min is None or ratio >= self.ratio_min)
        )

    def as_json(self) -> dict[str, float]:
        """The figures asked for."""
        given = {"value_min": self.value_min, "value_max": self.value_max, "ratio_min": self.ratio_min}
        return {name: value for name, value in given.items() if value is not None}

    def __str__(self) -> str:
        """As people read it."""
        parts = []
        if self.value_min is not None:
            parts.append(f"≥ {number(self.value_min)}")
        if self.value_max is not None:
            parts.append(f"≤ {number(self.value_max)}")
        if self.ratio_min is not None:
            parts.append(f"≥ {self.ratio_min:g} ×")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: a subject, the limit it is compared with, and the goal."""

    name: str
    work: str
    """What was done, in words."""
    unit: str
    subject: Series
    limit: Series
    goal: Goal
    check: Mapping[str, Any] = field(default_factory=dict)
    """Result of a comparison of the data, if there was one: `same` and what was compared."""

    @property
    def ratio(self) -> float:
        """Median of the subject over median of the limit; nan if one of them is missing."""
        return self.subject.median / self.limit.median if self.limit.values else float("nan")

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached, None where there is none or it cannot be judged."""
        if self.goal == Goal() or not self.subject.values:
            return None
        if self.goal.ratio_min is not None and not self.limit.values:
            return None
        return self.goal.is_met(self.subject.median, self.ratio) and bool(self.check.get("same", True))

    def as_json(self) -> dict[str, Any]:
        """The row as DESIGN section 7 wants it, with the spread of the repeats."""
        ratios = [a / b for a, b in zip(self.subject.values, self.limit.values, strict=False)]
        spread = {"ratio_min": min(ratios), "ratio_max": max(ratios)} if ratios else {}
        return {
            "name": self.name,
            "work": self.work,
            **self.subject.as_json(),
            "unit": self.unit,
            "limit": None if self.limit is NOTHING else {"name": self.limit.name, **self.limit.as_json()},
            "ratio": self.ratio if ratios else None,
            **spread,
            "goal": {**self.goal.as_json(), "met": self.is_met},
            **({"check": dict(self.check)} if self.check else {}),
        }


def number(value: float) -> str:
    """A number with three digits and a prefix for thousands."""
    for prefix in ("", "k", "M"):
        if abs(value) < 999.5:
            return f"{value:.3g}{prefix}"
        value /= 1000
    return f"{value:.3g}G"


def table(rows: Sequence[Row]) -> str:
    """All rows for people."""
    heading = ("", "measured", "(min - max)", "", "limit in the same run", "ratio", "goal", "")
    lines = [heading, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(_aligned, line, widths, range(len(line)))).rstrip() for line in lines]
    return "\n".join([*text, *_remarks(rows)])


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in {1, 5} else cell.ljust(width)


def _cells(row: Row) -> tuple[str, ...]:
    subject, limit = row.subject, row.limit
    value = number(subject.median) if subject.values else "-"
    spread = f"({number(min(subject.values))} - {number(max(subject.values))})" if subject.values else ""
    found = f"{limit.name} {number(limit.median)}" if limit.values else f"{limit.name}: {limit.missing or 'failed'}"
    found = "" if limit is NOTHING else found
    ratio = f"{row.ratio:.2f}" if subject.values and limit.values else "-"
    mark = {True: "yes", False: "NO", None: "" if row.goal == Goal() else "?"}[row.is_met]
    return (row.name, value, spread, row.unit, found, ratio, str(row.goal), mark)


def _remarks(rows: Iterable[Row]) -> list[str]:
    lines = []
    for row in rows:
        if row.check:
            lines.append(f"{row.name}: {row.check.get('what', '')}: {'yes' if row.check['same'] else 'NO'}")
        lines += [
            f"{row.name}: {series.name} {word}: {reason}"
            for series in (row.subject, row.limit)
            for word, reason in (("not measured", series.missing), ("failed", series.failed))
            if reason
        ]
    return ["", *lines] if lines else []
