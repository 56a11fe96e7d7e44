"""The links between hosts as a table: those that are down first, else in the order of the setup."""

from __future__ import annotations

from mimodaq.protocol.parts import LinkLine
from mimodaq.watch import Graph, Snapshot, Subject

from ._line import Line, cell, clean, fit
from ._numbers import count, megabytes, rate

_NAME = 24


def links(graph: Graph, snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """A heading and at most `height - 1` lines; nothing if there are no links."""
    ends = [edge for edge in graph.edges if edge.is_link]
    if not ends or height < 2:
        return []
    figures = {Subject("link", node, link.name): link for node, r in snapshot.reports.items() for link in r.links}
    rows = [(edge.via, figures.get(Subject("link", edge.source.node, edge.via))) for edge in ends]
    rows.sort(key=lambda row: row[1] is None or row[1].connected)
    room = height - 1 if len(rows) < height else height - 2
    lines = [_head(width), *(_row(name, link, width) for name, link in rows[:room])]
    if len(rows) > room:
        lines.append(fit([(f"  and {len(rows) - room} more", "dim")], width))
    return lines


def _columns(width: int) -> list[tuple[str, int]]:
    wide = width >= 100
    columns = [("STATE", 8), ("RATE/s", 8), *([("MB/s", 8)] if wide else []), ("WAIT", 9), ("UNACK", 7)]
    return [*columns, ("AGAIN", 7), ("RECONN", 8), ("TRIP", 9)]


def _name_width(width: int) -> int:
    return max(_NAME, min(48, width - sum(size for _, size in _columns(width))))


def _head(width: int) -> Line:
    names = [cell("LINK", _name_width(width))]
    names += [cell(name, size, right=name != "STATE") for name, size in _columns(width)]
    return tuple((text, "title") for text, _ in fit(names, width))


def _row(name: str, link: LinkLine | None, width: int) -> Line:
    label = cell(clean(name), _name_width(width))
    if link is None:
        return fit([label, ("· not there", "dim")], width)
    values = {
        "STATE": ("● up", "good") if link.connected else ("✗ down", "alarm"),
        "RATE/s": (rate(link.rate_hz), ""),
        "MB/s": (megabytes(link.bytes_per_s), ""),
        "WAIT": (count(link.lag), "" if link.connected else "warning"),
        "UNACK": (count(link.unacknowledged), ""),
        "AGAIN": (count(link.redelivered), ""),
        "RECONN": (count(link.reconnects), "warning" if link.reconnects else ""),
        "TRIP": (f"{link.round_trip_s * 1000:.3g} ms" if link.connected else "-", ""),
    }
    cells = [cell(values[n][0], size, values[n][1], right=n != "STATE") for n, size in _columns(width)]
    return fit([label, *cells], width)
