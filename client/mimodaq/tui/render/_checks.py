"""The checks before a start."""

from __future__ import annotations

from collections.abc import Sequence

from mimodaq.watch import Check, Grade

from ._line import Line, clean, fit, wrap

_MARKS = {Grade.OK: ("✓", "good"), Grade.WARNING: ("!", "warning"), Grade.BLOCKING: ("✗", "alarm")}


def checks(points: Sequence[Check], width: int) -> list[Line]:
    """One point a line, what stands in the way first."""
    order = [Grade.BLOCKING, Grade.WARNING, Grade.OK]
    lines: list[Line] = []
    for point in sorted(points, key=lambda p: order.index(p.grade)):
        mark, style = _MARKS[point.grade]
        for number, text in enumerate(wrap(clean(point.text), max(10, width - 2))):
            lines.append(fit([(mark if number == 0 else " ", style), (f" {text}", "")], width))
    return lines
