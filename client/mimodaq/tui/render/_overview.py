"""The overview: every node and what flows through it, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mimodaq.protocol.messages import NodeLine, Report
from mimodaq.protocol.parts import BufferLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State
from mimodaq.watch import Alarm, History, Level, Snapshot, Subject

from ._glyphs import LEVEL_STYLES, LEVELS, bar, sparkline, state_glyph, state_style
from ._line import Line, Span, cell, clean, dimmed, fit
from ._numbers import count, megabytes, milliseconds, percent, rate, size, span


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the overview: a node, or something on it."""

    subject: Subject
    node: NodeLine
    report: Report | None
    part: BufferLine | LinkLine | WorkerLine | None = None
    level: Level | None = None
    """The worst alarm about it."""
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines are shown, and in which order."""

    text: str = ""
    """Only what has this in its name; `!` before it turns that round."""
    only_faults: bool = False
    by_trouble: bool = True
    """Nodes with alarms first; else in the order of the setup."""
    folded: frozenset[str] = field(default_factory=frozenset)
    """Nodes of which only their own line is shown."""


def worst(alarms: Sequence[Alarm]) -> Mapping[Subject, Level]:
    """The worst alarm about each thing, of those that hold."""
    levels: dict[Subject, Level] = {}
    for alarm in alarms:
        if alarm.is_active:
            levels[alarm.subject] = max(alarm.level, levels.get(alarm.subject, alarm.level))
    return levels


def overview_rows(snapshot: Snapshot, choice: Choice, levels: Mapping[Subject, Level]) -> list[Row]:
    """All lines, a node before what is on it."""
    by_node: dict[str, int] = {}
    for subject, level in levels.items():
        by_node[subject.node] = max(level, by_node.get(subject.node, 0))
    nodes = list(snapshot.nodes)
    if choice.by_trouble:
        nodes.sort(key=lambda line: -by_node.get(line.node, 0))
    rows: list[Row] = []
    for line in nodes:
        report = snapshot.reports.get(line.node)
        is_folded = line.node in choice.folded
        head = Row(Subject("node", line.node), line, report, None, levels.get(Subject("node", line.node)), is_folded)
        parts = [row for row in _parts(line, report, levels) if _is_chosen(row, choice)]
        if parts or _is_chosen(head, choice):
            rows.append(head)
            rows += [] if is_folded else parts
    return rows


def _parts(line: NodeLine, report: Report | None, levels: Mapping[Subject, Level]) -> Iterator[Row]:
    if report is None:
        return
    own_links = [link for link in report.links if not _is_receiver(link.name, line.node)]
    for kind, parts in (("buffer", report.buffers), ("link", own_links)):
        for part in parts:
            subject = Subject(kind, line.node, part.name)
            yield Row(subject, line, report, part, levels.get(subject))
    for worker in report.workers:
        subject = Subject("worker", line.node, worker.name)
        if worker.restarts or subject in levels:
            yield Row(subject, line, report, worker, levels.get(subject))


def _is_receiver(link: str, node: str) -> bool:
    """A link has two ends, and is shown where it begins; its name is `buffer:sender>receiver`."""
    return link.endswith(f">{node}")


def link_label(link: str, node: str) -> str:
    """A link's name as seen from where it begins."""
    return "━" + link.replace(f":{node}>", "→", 1)


def _is_chosen(row: Row, choice: Choice) -> bool:
    if choice.only_faults and (row.level is None or row.level < Level.WARNING):
        return False
    wanted, is_inverse = choice.text.lower(), choice.text.startswith("!")
    found = wanted.lstrip("!") in f"{row.subject.node} {row.subject.name}".lower()
    return found != is_inverse


# -- columns ----------------------------------------------------------------------------------------------------

_NAME, _STATE, _RATE, _DEAD, _LAG = 19, 10, 8, 6, 7


def is_wide(width: int) -> bool:
    """Whether there is room for all columns."""
    return width >= 100


def overview_head(width: int, sent: str = "") -> Line:
    """The names of the columns."""
    wide = is_wide(width)
    columns = [cell("  NODE / BUFFER", _name_width(width)), cell("STATE", _STATE), cell("RATE/s", _RATE, right=True)]
    if wide:
        columns.append(cell("MB/s", 8, right=True))
    columns += [cell("  FILL", 18 if wide else 12), cell("DEAD", _DEAD, right=True), cell("LAG", _LAG, right=True)]
    if wide:
        columns.append(cell("LOST", 6, right=True))
    columns.append((f"  BECAUSE OF, RATES{sent}" if wide else "  LAST MINUTE", ""))
    return tuple((text, "title") for text, _ in fit(columns, width))


def _name_width(width: int) -> int:
    return 28 if width >= 120 else 24 if width >= 100 else _NAME


def overview_line(row: Row, history: History, snapshot: Snapshot, width: int) -> Line:
    """One row. Values of a node that is not heard are dimmed: they are old."""
    match row.part:
        case None:
            line = _node(row, snapshot, width)
        case BufferLine():
            line = _buffer(row, row.part, history, width)
        case LinkLine():
            line = _link(row, row.part, history, width)
        case WorkerLine():
            line = _worker(row, row.part, width)
    if snapshot.is_stale:
        return dimmed(line)
    if row.node.presence == "lost":
        return tuple((text, "dim" if style in {"", "good"} else style) for text, style in line)
    return line


def _mark(row: Row) -> Span:
    if row.level is None:
        return " ", ""
    return LEVELS[row.level], LEVEL_STYLES[row.level]


def _node(row: Row, snapshot: Snapshot, width: int) -> Line:
    line, report = row.node, row.report
    name = cell(f"{'▸' if row.is_folded else '▾'}{clean(line.node)}", _name_width(width) - 1, "strong")
    if line.presence == "here":
        state = cell(f"{state_glyph(line.state)} {line.state.value}", _STATE + 3, state_style(line.state))
    else:
        style = "alarm" if line.presence == "lost" else "warning"
        state = cell(f"? {line.presence.upper()}", _STATE + 3, style)
    figures = [(f" silent {span(line.silent_s)}", "alarm")] if line.presence == "lost" else []
    figures += [(f" {text}" if width < 100 else f"  {text}", style) for text, style in _health(report)]
    if line.is_optional:
        figures.append(("  optional", "dim"))
    if not line.is_in_setup:
        figures.append(("  not in the setup", "dim"))
    if line.text:
        figures.append((f"  {clean(line.text)}", "warning"))
    return fit([_mark(row), name, state, *figures], width)


def _health(report: Report | None) -> Iterator[Span]:
    if report is None:
        yield "nothing reported yet", "dim"
        return
    host, clock = report.host, report.clock
    if host and host.cpu is not None:
        yield f"cpu {host.cpu * 100:3.0f}%", ""
    if host and host.temperature_c is not None:
        yield f"{host.temperature_c:.0f} °C", "warning" if host.temperature_c > 75 else ""
    if host and host.memory is not None:
        yield f"mem {host.memory * 100:.0f}%", ""
    if clock:
        yield f"clock {milliseconds(clock.offset_s)}", "warning" if abs(clock.offset_s) > 0.05 else ""
    if host and host.disk_free_bytes is not None:
        yield f"disk {size(host.disk_free_bytes)}", ""


def _buffer(row: Row, b: BufferLine, history: History, width: int) -> Line:
    is_running = row.node.state is State.RUNNING
    if b.fill > 0.95 and b.dead_fraction > 0.02:
        state = cell("▲ blocked", _STATE, "alarm")
    elif b.rate_hz > 0:
        state = cell("● flows", _STATE, "good")
    else:
        state = cell("‖ held" if row.node.state is State.PAUSED else "· still", _STATE, "" if is_running else "dim")
    dead = cell(percent(b.dead_fraction) if b.dead_fraction else "-", _DEAD, _dead_style(b), right=True)
    cause = f"{clean(', '.join(b.blamed))} " if b.blamed and b.dead_fraction >= 0.005 else ""
    wide = is_wide(width)
    columns = [_mark(row), cell(f"   {clean(b.name)}", _name_width(width) - 1), state, _rate(b.rate_hz)]
    if wide:
        columns.append(cell(megabytes(b.bytes_per_s), 8, right=True))
    columns += [*_fill(b.fill, wide), dead, cell(count(b.lag), _LAG, right=True)]
    if wide:
        columns.append(cell(count(b.quarantined), 6, "alarm" if b.quarantined else "", right=True))
    return _with_curve(columns, cause, row, history, width)


def _dead_style(b: BufferLine) -> str:
    return "alarm" if b.dead_fraction > 0.2 else "warning" if b.dead_fraction > 0.05 else ""


def _link(row: Row, link: LinkLine, history: History, width: int) -> Line:
    state = cell("● up", _STATE, "good") if link.connected else cell("✗ down", _STATE, "alarm")
    wide = is_wide(width)
    columns = [_mark(row), cell(f"   {link_label(clean(link.name), row.node.node)}", _name_width(width) - 1), state]
    columns.append(_rate(link.rate_hz))
    trip = f"  {link.round_trip_s * 1000:.3g} ms" if link.connected else "  -"
    if wide:
        columns.append(cell(megabytes(link.bytes_per_s), 8, right=True))
    columns += [cell(trip, 18 if wide else 12), cell("-", _DEAD, right=True)]
    columns.append(cell(count(link.lag), _LAG, "" if link.connected else "warning", right=True))
    if wide:
        columns.append(cell("-", 6, right=True))
    cause = f"reconnected {link.reconnects}x " if link.reconnects else ""
    return _with_curve(columns, cause, row, history, width)


def _worker(row: Row, worker: WorkerLine, width: int) -> Line:
    style = "alarm" if worker.state == "failed" else "warning" if row.level else ""
    columns = [_mark(row), cell(f"   {clean(worker.name)}", _name_width(width) - 1)]
    columns += [cell(clean(worker.state), _STATE, style), (f"  started again {worker.restarts}x", style)]
    return fit(columns, width)


def _rate(rate_hz: float) -> Span:
    return cell(rate(rate_hz), _RATE, right=True)


def _fill(fill: float, wide: bool) -> list[Span]:
    style = "alarm" if fill > 0.95 else "warning" if fill > 0.8 else ""
    cells = 10 if wide else 5
    return [("  " + bar(fill, cells), style), cell(f"{fill * 100:.0f}%", 5, style, right=True), (" " * (wide), "")]


def _with_curve(columns: list[Span], cause: str, row: Row, history: History, width: int) -> Line:
    used = sum(len(text) for text, _ in columns) + 2
    cause = cause[: max(0, width - used - 6)]
    room = width - used - len(cause)
    curve = sparkline(list(history.of(row.subject)), room)
    return fit([*columns, ("  ", ""), (cause, "warning"), (curve, "dim")], width)


# -- details ----------------------------------------------------------------------------------------------------


def details(row: Row | None, alarms: Sequence[Alarm], history: History, width: int) -> list[Line]:
    """Everything about one row."""
    if row is None:
        return []
    lines: list[list[Span]] = [[(clean(str(row.subject)), "title")], [(row.subject.kind, "dim")], []]
    part = row.part if row.part is not None else row.node
    for name in type(part).__slots__:
        value = getattr(part, name)
        if name in {"name", "node"} or value in ("", ()):
            continue
        lines.append([cell(name.replace("_", " "), 15, "dim"), (_shown(name, value), "")])
    report = row.report
    if row.part is None and report is not None:
        lines += [
            [cell(w.name, 15), (w.state, ""), (f"  {w.restarts}x again" if w.restarts else "", "warning")]
            for w in report.workers
        ]
        if report.failure:
            lines.append([(clean(report.failure), "alarm")])
    for alarm in alarms:
        if alarm.subject == row.subject:
            mark = LEVELS[alarm.level]
            lines += [[], [(f"{mark} {alarm.rule.name}", LEVEL_STYLES[alarm.level])], [(clean(alarm.text), "")]]
            lines += [[(clean(alarm.rule.advice), "dim")]] if alarm.rule.advice else []
    values = history.of(row.subject)
    if values:
        top = max(values)
        lines += [[], [(f"rate, up to {rate(top)}/s", "dim")], [(sparkline(list(values), width - 1), "")]]
    return [fit(line, width) for line in lines]


def _shown(name: str, value: object) -> str:
    match value:
        case State():
            return value.value
        case tuple():
            return clean(", ".join(str(item) for item in value))
        case bool():
            return "yes" if value else "no"
        case float() if name in {"fill", "dead_fraction"}:
            return percent(value)
        case float() if name.endswith("_s") and name != "bytes_per_s":
            return f"{value:.3g} s"
        case float() if name == "bytes_per_s":
            return f"{megabytes(value)} MB/s"
        case float():
            return f"{rate(value)}/s"
        case int():
            return count(value)
        case _:
            return clean(str(value))
