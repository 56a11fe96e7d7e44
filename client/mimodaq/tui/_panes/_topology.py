"""Screen 2: the graph of buffers, with links and their state."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.render import Line, TopologyState, dimmed, drawing, drawing_width, fit, links, tree, worst

from ._base import PaneView


class TopologyPane(PaneView):
    """A drawing if it fits, else a tree; `t` goes through drawing, tree from the ends, tree from the sources."""

    BINDINGS: ClassVar = bindings_of("topology")
    DEFAULT_CSS = "TopologyPane #head { height: 1; } TopologyPane #links { height: auto; border-top: solid $panel; }"

    def __init__(self) -> None:
        super().__init__(id="topology")
        self._wish = 0
        """0 drawing if it fits, 1 from the ends, 2 from the sources."""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield Rows(id="table")
        yield Lines(id="links")

    def focus_target(self) -> Widget | None:
        """What can be scrolled."""
        return self.query_one("#table")

    def show_model(self) -> None:
        """Draw the graph as it is now."""
        model, table = self.model, self.query_one("#table", Rows)
        width = max(1, table.size.width)
        head = "━ between hosts   ─ on one host   ╳ down   t other form"
        if model.graph is None:
            lines: list[Line] = [fit([("  no setup is loaded", "dim")], width)]
        else:
            state = TopologyState.of(model.snapshot, worst(model.alarm_list))
            if self._wish == 0 and drawing_width(model.graph) <= width:
                lines = drawing(model.graph, state, width)
                table.is_chooser = False
            else:
                from_sources = self._wish == 2
                table.is_chooser = True
                lines = [row.line for row in tree(model.graph, state, from_sources, width)]
                way = "from the sources on" if from_sources else "what feeds what, back to the sources"
                head = f"{way}   t other form"
        self.query_one("#head", Lines).show([fit([(head, "dim")], width)])
        self._show_links(width)
        if model.snapshot.is_stale:
            lines = [dimmed(line) for line in lines]
        table.show(len(lines), lambda row, _: lines[row])

    def _show_links(self, width: int) -> None:
        """The table below, of at most a third of the screen."""
        model, view = self.model, self.query_one("#links", Lines)
        rows = links(model.graph, model.snapshot, width, self.size.height // 3) if model.graph else []
        view.display = bool(rows)
        view.styles.height = len(rows) + 1  # with its border
        view.show([dimmed(line) for line in rows] if model.snapshot.is_stale else rows)

    def action_tree(self) -> None:
        """The next form."""
        graph = self.model.graph
        does_fit = graph is not None and drawing_width(graph) <= self.query_one("#table", Rows).size.width
        first = 0 if does_fit else 1
        self._wish = self._wish + 1 if self._wish < 2 else first
        if not does_fit and self._wish == 1 and first == 1:
            self._wish = 2
        self.show_model()
