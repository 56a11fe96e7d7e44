"""The graph of buffers: as a drawing where there is room, as a tree where there is not.

Places depend on the setup alone, so nothing jumps while a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mimodaq.protocol.parts import BufferLine, LinkLine
from mimodaq.watch import Edge, Graph, Level, Snapshot, Subject

from ._glyphs import LEVEL_STYLES, LEVELS
from ._line import Line, Span, cell, clean, fit
from ._numbers import count, rate


@dataclass(frozen=True, slots=True)
class State:
    """What is known of everything in the graph at one moment."""

    buffers: Mapping[Subject, BufferLine]
    links: Mapping[Subject, LinkLine]
    levels: Mapping[Subject, Level]

    @classmethod
    def of(cls, snapshot: Snapshot, levels: Mapping[Subject, Level]) -> State:
        """Out of a snapshot."""
        reports = snapshot.reports.items()
        buffers = {Subject("buffer", node, b.name): b for node, r in reports for b in r.buffers}
        links = {Subject("link", node, link.name): link for node, r in reports for link in r.links}
        return cls(buffers, links, levels)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree, and what it is about."""

    subject: Subject | None
    line: Line


# -- tree ---------------------------------------------------------------------------------------------------------


def tree(graph: Graph, state: State, is_from_sources: bool, width: int) -> list[Row]:
    """What feeds what: from the ends back to the sources, or from the sources on."""
    rows: list[Row] = []
    roots = [b for b in graph.buffers if not _next(graph, b, not is_from_sources)]
    seen: set[Subject] = set()
    for root in roots:
        rows.append(Row(Subject("node", root.node), fit([(clean(root.node), "strong")], width)))
        _grow(graph, state, root, None, "", is_from_sources, seen, rows, width)
    return rows


def _next(graph: Graph, buffer: Subject, is_from_sources: bool) -> list[Edge]:
    edges = graph.out_of(buffer) if is_from_sources else graph.into(buffer)
    return [e for e in edges if (e.target if is_from_sources else e.source).kind == "buffer"]


def _grow(
    graph: Graph,
    state: State,
    buffer: Subject,
    edge: Edge | None,
    indent: str,
    is_from_sources: bool,
    seen: set[Subject],
    rows: list[Row],
    width: int,
) -> None:
    before = _way(edge, state)
    other_node = edge is not None and edge.source.node != edge.target.node
    name = f"{buffer.node} {buffer.name}" if other_node else buffer.name
    sign, figures = _buffer(buffer, state)
    left = fit([(indent, "dim"), *before, sign, (clean(name), "")], 40 if width < 100 else 56)
    rows.append(Row(buffer, fit([*left, *figures], width)))
    if buffer in seen:
        return
    seen.add(buffer)
    below = indent + ("   " if edge is not None else "")
    for end in graph.edges:
        if "worker" in {end.source.kind, end.target.kind} and buffer in {end.source, end.target}:
            worker = end.target if end.source == buffer else end.source
            rows.append(Row(worker, fit([(f"{below}│  ", "dim"), *_worker(worker, end, state)], width)))
    for step in _next(graph, buffer, is_from_sources):
        other = step.target if is_from_sources else step.source
        _grow(graph, state, other, step, f"{below}", is_from_sources, seen, rows, width)


def _way(edge: Edge | None, state: State) -> Iterator[Span]:
    if edge is None:
        yield "", ""
        return
    if not edge.is_link:
        yield f"└─{clean(edge.via)}─ ", "dim"
        return
    link = state.links.get(Subject("link", edge.source.node, edge.via))
    if link is None or link.connected:
        yield "└━━ ", "strong"
    else:
        yield f"└╳ down, {count(link.lag)} wait ", "alarm"


def _buffer(buffer: Subject, state: State) -> tuple[Span, list[Span]]:
    """Its sign, and its figures."""
    figures, level = state.buffers.get(buffer), state.levels.get(buffer)
    if figures is None:
        return ("· ", "dim"), []
    style = "alarm" if figures.fill > 0.95 else "warning" if figures.fill > 0.8 else ""
    columns = [cell(f"{rate(figures.rate_hz)}/s", 10, right=True), (f"  fill {figures.fill * 100:4.0f}%", style)]
    return _sign(figures, level), [*columns, (f"  lag {count(figures.lag)}", "dim")]


def _sign(figures: BufferLine, level: Level | None) -> Span:
    if level is not None:
        return f"{LEVELS[level]} ", LEVEL_STYLES[level]
    return ("● ", "good") if figures.rate_hz > 0 else ("· ", "dim")


def _worker(worker: Subject, edge: Edge, state: State) -> Iterator[Span]:
    levels = [level for subject, level in state.levels.items() if _is_process_of(subject, worker)]
    arrow = "▶" if edge.target == worker else "◂"
    yield f"{arrow} ", "dim"
    yield clean(worker.name), LEVEL_STYLES[max(levels)] if levels else ""
    yield " (looks on)" if edge.is_observer else "", "dim"


def _is_process_of(subject: Subject, worker: Subject) -> bool:
    return (subject.kind, subject.node, subject.name.split("[")[0]) == (worker.kind, worker.node, worker.name)


# -- drawing ------------------------------------------------------------------------------------------------------

_BOX, _GAP = 16, 11
_PITCH = _BOX + _GAP


def layers(graph: Graph) -> list[list[Subject]]:
    """Buffers by the longest way from a source; in each layer in the order of the setup."""
    depth: dict[Subject, int] = {}
    for buffer in graph.buffers:
        before = [depth[e.source] + 1 for e in graph.into(buffer) if e.source in depth]
        depth[buffer] = max(before, default=0)
    return [[b for b in graph.buffers if depth[b] == level] for level in range(max(depth.values(), default=-1) + 1)]


def drawing_width(graph: Graph) -> int:
    """Cells a drawing needs."""
    return len(layers(graph)) * _PITCH + 3


def drawing(graph: Graph, state: State, width: int) -> list[Line]:
    """One box a buffer, from left to right; heavy lines are links between hosts, a cross is a link that is down."""
    places: dict[Subject, tuple[int, int]] = {}
    columns = layers(graph)
    for x, layer in enumerate(columns):
        for y, buffer in enumerate(_sorted_by_feeders(layer, graph, places)):
            places[buffer] = (x * _PITCH + 1, y * 6)
    height = max((y for _, y in places.values()), default=0) + 6
    ends = {b: [e for e in graph.out_of(b) if e.target.kind == "worker"] for b in graph.buffers}
    height = max([height, *(places[b][1] + 2 + len(e) for b, e in ends.items())])
    canvas = _Canvas(width, height)
    drawn = [edge for edge in graph.edges if edge.source in places and edge.target in places]
    for edge in sorted(drawn, key=lambda e: places[e.source][1] != places[e.target][1]):  # straight ones first
        _draw_edge(canvas, edge, places, state)
    for buffer, (x, y) in places.items():
        _draw_box(canvas, buffer, x, y, state)
        _draw_ends(canvas, ends[buffer], x, y, state, is_last=not _next(graph, buffer, True))
    return canvas.lines()


def _sorted_by_feeders(layer: list[Subject], graph: Graph, places: dict[Subject, tuple[int, int]]) -> list[Subject]:
    def feeder_row(buffer: Subject) -> float:
        rows = [places[e.source][1] for e in graph.into(buffer) if e.source in places]
        return sum(rows) / len(rows) if rows else -1.0

    return sorted(layer, key=feeder_row)


class _Canvas:
    """Cells that can be written in any order."""

    def __init__(self, width: int, height: int) -> None:
        self._cells = [[(" ", "")] * width for _ in range(height)]
        self._width = width

    def put(self, x: int, y: int, text: str, style: str = "") -> None:
        """Write text; what lies outside is left out."""
        if 0 <= y < len(self._cells):
            for offset, letter in enumerate(text):
                if 0 <= x + offset < self._width:
                    self._cells[y][x + offset] = (letter, style)

    def at(self, x: int, y: int) -> str:
        """What stands there."""
        return self._cells[y][x][0] if 0 <= y < len(self._cells) and 0 <= x < self._width else " "

    def lines(self) -> list[Line]:
        """The cells, those of one style together."""
        return [self._line(row) for row in self._cells]

    @staticmethod
    def _line(row: list[Span]) -> Line:
        spans: list[Span] = []
        for letter, style in row:
            if spans and spans[-1][1] == style:
                spans[-1] = (spans[-1][0] + letter, style)
            else:
                spans.append((letter, style))
        return tuple(spans)


def _draw_box(canvas: _Canvas, buffer: Subject, x: int, y: int, state: State) -> None:
    figures, level = state.buffers.get(buffer), state.levels.get(buffer)
    style = LEVEL_STYLES[level] if level is not None else ""
    sign, sign_style = _sign(figures, level) if figures else ("· ", "dim")
    canvas.put(x, y, clean(buffer.node)[:_BOX], "dim")
    canvas.put(x, y + 1, "┌" + "─" * (_BOX - 2) + "┐", style)
    canvas.put(x, y + 2, "│" + " " * (_BOX - 2) + "│", style)
    canvas.put(x + 1, y + 2, sign, sign_style)
    canvas.put(x + 3, y + 2, clean(buffer.name)[: _BOX - 4], "strong")
    canvas.put(x, y + 3, "│" + " " * (_BOX - 2) + "│", style)
    if figures:
        canvas.put(x + 2, y + 3, f"{rate(figures.rate_hz)}/s {figures.fill * 100:.0f}%"[: _BOX - 3], style)
    canvas.put(x, y + 4, "└" + "─" * (_BOX - 2) + "┘", style)


def _draw_ends(canvas: _Canvas, ends: list[Edge], x: int, y: int, state: State, is_last: bool) -> None:
    if not is_last:  # the way on goes where ends would stand: below the box they are in nobody's way
        names = ", ".join(clean(e.target.name) for e in ends)
        canvas.put(x, y + 5, f"▸ {names}"[: _BOX + _GAP - 2] if names else "", "dim")
        return
    for number, end in enumerate(ends):
        levels = [level for subject, level in state.levels.items() if _is_process_of(subject, end.target)]
        mark = LEVELS[max(levels)] if levels else "▶"
        style = LEVEL_STYLES[max(levels)] if levels else ""
        looks_on = " (looks on)" if end.is_observer else ""
        canvas.put(x + _BOX, y + 2 + number, f"─{mark} {clean(end.target.name)}{looks_on}", style)


def _draw_edge(canvas: _Canvas, edge: Edge, places: Mapping[Subject, tuple[int, int]], state: State) -> None:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    begin, end, row, target_row = x1 + _BOX, x2 - 1, y1 + 2, y2 + 2
    link = state.links.get(Subject("link", edge.source.node, edge.via)) if edge.is_link else None
    is_down = link is not None and not link.connected
    flat, upright = ("━", "┃") if edge.is_link else ("─", "│")
    style = "alarm" if is_down else "strong" if edge.is_link else "dim"
    turn = end - 2
    canvas.put(begin, row, flat * (turn - begin + 1), style)
    step = 1 if target_row > row else -1
    for y in range(row + step, target_row, step) if target_row != row else ():
        canvas.put(turn, y, upright, style)
    if target_row != row:
        canvas.put(turn, row, "┐" if step > 0 else "┘", style)
        joins = canvas.at(turn, target_row) in "─━"
        canvas.put(turn, target_row, ("┴" if joins else "└") if step > 0 else ("┬" if joins else "┌"), style)
    canvas.put(turn + 1, target_row, f"{flat}▶", style)
    if is_down and link is not None:
        canvas.put((begin + turn) // 2, row, "╳", style)
        canvas.put(begin + 1, row + 1, f"{count(link.lag)} wait", "alarm")
    elif link is not None:
        canvas.put(begin + 1, row - 1, f"{rate(link.rate_hz)}/s", "dim")
    else:
        canvas.put(begin + 1, row - 1, clean(edge.via)[: _GAP - 3], "dim")
