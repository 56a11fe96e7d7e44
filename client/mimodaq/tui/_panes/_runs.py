"""Screen 7: the runs of the run database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._dialogs import Shown
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.feed import FeedError, RunSummary
from mimodaq.tui.render import Line, cell, clean, fit, run_head, run_line, wrap

from ._base import PaneView


class RunsPane(PaneView):
    """Newest first; read when the screen comes to the front, and when a run begins or ends."""

    BINDINGS: ClassVar = bindings_of("runs")
    DEFAULT_CSS = "RunsPane #head { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="runs")
        self.runs: Sequence[RunSummary] = ()
        self._read_for: tuple[int | None, bool] | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield Rows(id="table")

    def focus_target(self) -> Widget | None:
        """The list."""
        return self.query_one("#table")

    def came_to_front(self) -> None:
        """Read the database."""
        self.action_update()

    def show_model(self) -> None:
        """Draw the list; the run that goes on with what is known of it now."""
        cluster = self.model.snapshot.cluster
        situation = (cluster.run, cluster.state.is_in_run) if cluster else None
        if situation != self._read_for:
            self._read_for = situation
            self.action_update()
        table = self.query_one("#table", Rows)
        self.query_one("#head", Lines).show([run_head(max(1, table.size.width))])
        table.show(len(self.runs), self._line)

    def _line(self, row: int, width: int) -> Line:
        r = self.runs[row]
        events, running_s, cluster = r.events, r.running_s, self.model.snapshot.cluster
        if cluster and cluster.run == r.run and not r.verdict:
            events, running_s = cluster.events, cluster.running_s
        return run_line(r.run, r.verdict, r.started_utc_ns, running_s, events, r.operator, r.comment, width)

    @work(group="runs", exclusive=True)
    async def action_update(self) -> None:
        """Read the database again."""
        try:
            self.runs = await self.operator_app.feed.runs()
        except FeedError as error:
            self.operator_app.say(str(error), is_bad=True)
        self.show_model()

    def action_details(self) -> None:
        """Everything about the chosen run."""
        cursor = self.query_one("#table", Rows).cursor
        if cursor < len(self.runs):
            run, cluster = self.runs[cursor], self.model.snapshot.cluster
            now = cluster.reasons if cluster and cluster.run == run.run else ()
            reasons = run.reasons or now
            self.app.push_screen(
                Shown(f"Run {run.run}", lambda width: _details(self._line, cursor, run, reasons, width))
            )


def _details(line: object, row: int, run: RunSummary, reasons: Sequence[str], width: int) -> list[Line]:
    facts = [
        ("verdict", run.verdict or "goes on"),
        ("reasons", "; ".join(reasons) or "-"),
        ("ended", run.end_reason or "-"),
        ("setup", run.setup),
        ("operator", run.operator),
        ("comment", run.comment or "-"),
        ("events", f"{run.events:,}" if run.verdict else "see the state bar"),
        ("time", f"{run.running_s:,.1f} s without pauses" if run.verdict else "see the state bar"),
    ]
    lines: list[Line] = []
    for name, text in facts:
        for number, part in enumerate(wrap(clean(text), max(10, width - 11))):
            lines.append(fit([cell(name if number == 0 else "", 10, "dim"), (part, "")], width))
    return lines
