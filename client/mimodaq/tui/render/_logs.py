"""Log lines."""

from __future__ import annotations

from collections.abc import Sequence

from mimodaq.protocol.messages import LogLine

from ._line import Line, cell, clean, fit, wrap
from ._numbers import date_and_time, time_of_day

_WORDS = {"error": ("ERROR", "alarm"), "alarm": ("ALARM", "alarm"), "warning": ("WARN", "warning")}


def log_line(line: LogLine, times: int, width: int) -> Line:
    """One line; only the first of its text, the rest is in `log_record`."""
    word, style = _WORDS.get(line.level.lower(), (line.level.upper(), "dim"))
    first, _, rest = line.text.partition("\n")
    name, source = (8, 12) if width < 100 else (12, 20)
    repeated = f"  x{times}" if times > 1 else ""
    head = [(f"{time_of_day(line.utc_ns)} ", "dim"), cell(word, 6, style), cell(clean(line.node), name)]
    head += [(" ", ""), cell(clean(line.source), source, "dim"), (" ", "")]
    room = width - sum(len(text) for text, _ in head) - len(repeated)
    text = clean(first) + (" …" if rest else "")
    shown = text if len(text) <= room else text[: max(0, room - 1)] + "…"
    return fit([*head, (shown, style if style != "dim" else ""), (repeated, "strong")], width)


def log_record(line: LogLine, times: int, width: int) -> list[Line]:
    """The whole line, with all its text."""
    rows = [
        ("time", f"{date_and_time(line.utc_ns)} UTC"),
        ("level", line.level),
        ("node", line.node),
        ("source", line.source),
    ]
    if times > 1:
        rows.append(("times", f"{times}, the last one shown"))
    lines: list[Line] = [fit([cell(name, 8, "dim"), (clean(value), "")], width) for name, value in rows]
    lines.append(fit([], width))
    for paragraph in line.text.splitlines():
        lines += [fit([(text, "")], width) for text in wrap(paragraph, width)]
    return lines


def log_head(level: int, node: str, text: str, shown: int, total: int, follows: bool, width: int) -> Line:
    """Which lines are shown."""
    levels = {0: "all", 2: "warnings and errors", 3: "errors"}
    how = "following" if follows else "not following (F)"
    parts = [f"level: {levels.get(level, level)}", f"node: {node or 'all'}"]
    parts += [f"/{text}"] if text else []
    return fit([("  ".join(parts), "title"), (f"   {shown:,} of {total:,}   {how}", "dim")], width)


def tail(entries: Sequence[tuple[LogLine, int]], height: int, width: int) -> list[Line]:
    """The last lines, newest at the bottom."""
    return [log_line(line, times, width) for line, times in entries[-height:]] if height > 0 else []
