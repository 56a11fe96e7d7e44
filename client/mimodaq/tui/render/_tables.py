"""Slow lists: runs, alarms, setups as text."""

from __future__ import annotations

from collections.abc import Sequence

from mimodaq.watch import Alarm

from ._glyphs import LEVEL_STYLES, LEVELS
from ._line import Line, cell, clean, fit, wrap
from ._numbers import clock, count, date_and_time, time_of_day

_VERDICTS = {"good": ("✓", "good"), "": ("●", "strong"), "tainted": ("!", "warning"), "degraded": ("!", "warning")}


def run_head(width: int) -> Line:
    """The names of the columns."""
    columns = [
        cell("  RUN", 8),
        cell("VERDICT", 13),
        cell("STARTED (UTC)", 20),
        cell("TIME", 9),
        cell("EVENTS", 12, right=True),
    ]
    columns += [("  ", ""), cell("BY", 9), ("COMMENT", "")]
    return tuple((text, "title") for text, _ in fit(columns, width))


def run_line(
    run: int, verdict: str, started_utc_ns: int, running_s: float, events: int, operator: str, comment: str, width: int
) -> Line:
    """One run."""
    mark, style = _VERDICTS.get(verdict, ("✗", "alarm"))
    stamp = date_and_time(started_utc_ns) if width >= 90 else date_and_time(started_utc_ns)[5:16]
    columns = [(f"{mark} ", style), cell(str(run), 6), cell(verdict or "goes on", 13, style)]
    columns += [cell(stamp, 20), cell(clock(running_s), 9), cell(count(events), 12, right=True), ("  ", "")]
    columns += [cell(clean(operator), 8), (" ", ""), (clean(comment), "")]
    return fit(columns, width)


def alarm_rows(alarm: Alarm, width: int) -> Line:
    """One alarm."""
    state = "acknowledged" if alarm.is_acknowledged else "waits" if alarm.is_active else "over"
    mark = LEVELS[alarm.level]
    style = "dim" if alarm.is_acknowledged else LEVEL_STYLES[alarm.level]
    times = f" x{alarm.times}" if alarm.times > 1 else ""
    columns = [cell(f"{mark} {alarm.level.name.lower()}", 10, style), cell(time_of_day(alarm.since_utc_ns), 9)]
    columns += [cell(state, 13), (clean(alarm.text), style), (times, "strong")]
    return fit(columns, width)


def alarm_details(alarm: Alarm, width: int) -> list[Line]:
    """What to do about an alarm, and which rule it is of."""
    rule = alarm.rule
    texts = [
        ("what to do", rule.advice or "-"),
        ("rule", f"{rule.name}: {rule.when.text}" + (f" for {rule.for_s:g} s" if rule.for_s else "")),
        ("over when", rule.clear.text if rule.clear else "the condition is false"),
        ("does", ", ".join(rule.do) or "nothing"),
    ]
    lines: list[Line] = []
    for name, text in texts:
        for number, part in enumerate(wrap(text, max(10, width - 13))):
            lines.append(fit([cell(name if number == 0 else "", 12, "dim"), (part, "")], width))
    return lines


def no_alarm(width: int, rules: int) -> Line:
    """Instead of a list."""
    return fit([("✓ ", "good"), (f"nothing waits; {rules} rules watch", "")], width)


def setup_lines(lines: Sequence[str], width: int, marks: Sequence[int] = ()) -> list[Line]:
    """Text of a setup with line numbers; `marks` are lines with mistakes."""
    shown: list[Line] = []
    for number, text in enumerate(lines, 1):
        code, found, comment = text.partition("#")
        style = "alarm" if number in marks else ""
        mark = "✗" if number in marks else " "
        parts = [(f"{mark}{number:>4} ", style or "dim"), (clean(code), style), (clean(found + comment), "dim")]
        shown.append(fit(parts, width))
    return shown


def diff_lines(lines: Sequence[str], width: int) -> list[Line]:
    """A unified diff."""
    styles = {"+": "good", "-": "warning", "@": "dim"}
    return [
        fit([(clean(line), "strong" if line[:3] in {"---", "+++"} else styles.get(line[:1], ""))], width)
        for line in lines
    ]
