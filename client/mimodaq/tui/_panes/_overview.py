"""Screen 1: every node and what flows through it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._dialogs import AskText, Shown
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.render import Choice, Line, Row, details, overview_head, overview_line, overview_rows, tail, worst
from mimodaq.watch import Subject

from ._base import PaneView


class OverviewPane(PaneView):
    """The table, details of the chosen line beside it, the end of the log below, as far as there is room."""

    BINDINGS: ClassVar = bindings_of("overview")
    DEFAULT_CSS = """
    OverviewPane #body { height: 1fr; }
    OverviewPane #side { width: 44; border-left: solid $panel; padding: 0 1; display: none; }
    OverviewPane #head { height: 1; }
    OverviewPane #tail { height: 6; border-top: solid $panel; display: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="overview")
        self.choice = Choice()
        self._rows: list[Row] = []

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Horizontal(id="body"):
            with Vertical():
                yield Lines(id="head")
                yield Rows(id="table")
            yield Lines(id="side")
        yield Lines(id="tail")

    def focus_target(self) -> Widget | None:
        """The table."""
        return self.query_one("#table")

    def on_resize(self) -> None:
        """Show as much as there is room for."""
        width, height = self.app.size
        self.query_one("#side").display = width >= 140
        self.query_one("#tail").display = height >= 30
        self.call_after_refresh(self.show_model)

    def show_model(self) -> None:
        """Draw the table and what is around it."""
        model, table = self.model, self.query_one("#table", Rows)
        chosen = self.chosen.subject if self.chosen else None
        self._rows = overview_rows(model.snapshot, self.choice, worst(model.alarm_list))
        table.show(len(self._rows), self._line)
        if chosen and (self.chosen is None or self.chosen.subject != chosen):
            self.choose(chosen)
        where = self._filter_text()
        self.query_one("#head", Lines).show([overview_head(table.size.width, where)])
        self._show_side()
        log = self.query_one("#tail", Lines)
        if log.display:
            entries = list(model.log.entries)[-6:]
            log.show(tail([(e.line, e.times) for e in entries], log.size.height, log.size.width))

    @property
    def chosen(self) -> Row | None:
        """The line the cursor is on."""
        cursor = self.query_one("#table", Rows).cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def choose(self, subject: Subject) -> None:
        """Put the cursor on the line of `subject`, or on its node."""
        for wanted in (subject, Subject("node", subject.node)):
            for number, row in enumerate(self._rows):
                if row.subject == wanted:
                    self.query_one("#table", Rows).choose(number)
                    return

    def back(self) -> bool:
        """Show everything again."""
        if self.choice in (Choice(), Choice(by_trouble=False)):
            return False
        self.choice = Choice(by_trouble=self.choice.by_trouble)
        self.show_model()
        return True

    @on(Rows.Moved)
    def _moved(self) -> None:
        self._show_side()

    def _line(self, row: int, width: int) -> Line:
        return overview_line(self._rows[row], self.model.history, self.model.snapshot, width)

    def _show_side(self) -> None:
        side = self.query_one("#side", Lines)
        if side.display:
            side.show(details(self.chosen, self.model.alarm_list, self.model.history, side.size.width))

    def _filter_text(self) -> str:
        parts = [f"  /{self.choice.text}"] if self.choice.text else []
        parts += ["  FAULTS ONLY"] if self.choice.only_faults else []
        return "".join(parts)

    def action_details(self) -> None:
        """Everything about the chosen line."""
        row = self.chosen
        if row is not None:
            model = self.model
            self.app.push_screen(
                Shown(str(row.subject), lambda width: details(row, model.alarm_list, model.history, width))
            )

    def action_filter(self) -> None:
        """Ask for a text."""
        self.app.push_screen(
            AskText("Show only what has this in its name (! turns it round)", self.choice.text), self._set_text
        )

    def _set_text(self, text: str | None) -> None:
        if text is not None:
            self.choice = replace(self.choice, text=text)
            self.show_model()

    def action_faults(self) -> None:
        """Only what needs attention, or all."""
        self.choice = replace(self.choice, only_faults=not self.choice.only_faults)
        self.show_model()

    def action_sort(self) -> None:
        """Change the order."""
        self.choice = replace(self.choice, by_trouble=not self.choice.by_trouble)
        self.operator_app.say("trouble first" if self.choice.by_trouble else "in the order of the setup")
        self.show_model()

    def action_fold(self) -> None:
        """Fold or unfold the chosen node."""
        if self.chosen:
            self.choice = replace(self.choice, folded=self.choice.folded ^ {self.chosen.subject.node})
            self.show_model()
