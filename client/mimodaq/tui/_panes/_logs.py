"""Screen 3: the log of all nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._dialogs import AskText, Shown
from mimodaq.tui._logbook import Entry, LogChoice
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.render import Line, log_head, log_line, log_record
from mimodaq.tui.render import plain as text_of

from ._base import PaneView


class LogsPane(PaneView):
    """Follows the log until somebody scrolls back."""

    BINDINGS: ClassVar = bindings_of("logs")
    DEFAULT_CSS = "LogsPane #head { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="logs")
        self.choice = LogChoice()
        self._entries: list[Entry] = []
        self._shown: tuple[int, LogChoice] | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield Rows(id="table")

    def on_mount(self) -> None:
        """Begin at the end."""
        self.query_one("#table", Rows).follows = True

    def focus_target(self) -> Widget | None:
        """The lines."""
        return self.query_one("#table")

    def show_model(self) -> None:
        """Draw what is new."""
        log, table = self.model.log, self.query_one("#table", Rows)
        if self._shown != (log.total, self.choice):
            anchor = self._entries[table.cursor] if table.cursor < len(self._entries) else None
            self._entries = log.chosen(self.choice)
            self._shown = log.total, self.choice
            if anchor is not None and not table.follows:  # lines that left at the beginning must not move the view
                moved = next((i for i, entry in enumerate(self._entries) if entry is anchor), table.cursor)
                table.cursor = moved
        table.show(len(self._entries), self._line)
        choice = self.choice
        head = self.query_one("#head", Lines)
        total = len(log.entries)
        counts = (len(self._entries), total, table.follows)
        head.show([log_head(choice.level, choice.node, choice.text, *counts, head.size.width)])

    def back(self) -> bool:
        """Show everything again."""
        if self.choice == LogChoice():
            return False
        self._choose(LogChoice())
        return True

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.show_model()

    def _line(self, row: int, width: int) -> Line:
        entry = self._entries[row]
        return log_line(entry.line, entry.times, width)

    def _choose(self, choice: LogChoice) -> None:
        self.choice = choice
        self.action_follow()

    def action_details(self) -> None:
        """The whole line."""
        cursor = self.query_one("#table", Rows).cursor
        if cursor < len(self._entries):
            entry = self._entries[cursor]
            self.app.push_screen(Shown("Log line", lambda width: log_record(entry.line, entry.times, width)))

    def action_filter(self) -> None:
        """Ask for a text."""
        self.app.push_screen(
            AskText("Show only lines with this in them (! turns it round)", self.choice.text), self._set_text
        )

    def _set_text(self, text: str | None) -> None:
        if text is not None:
            self._choose(replace(self.choice, text=text))

    def action_level(self) -> None:
        """All, warnings, errors."""
        self._choose(replace(self.choice, level={0: 2, 2: 3, 3: 0}[self.choice.level]))

    def action_node(self) -> None:
        """One node after the other."""
        nodes = ["", *sorted({entry.line.node for entry in self.model.log.entries})]
        now = nodes.index(self.choice.node) if self.choice.node in nodes else 0
        self._choose(replace(self.choice, node=nodes[(now + 1) % len(nodes)]))

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.query_one("#table", Rows).follows = True
        self.show_model()

    def action_write(self) -> None:
        """Write what is shown to a file."""
        path = self.operator_app.new_file("log", "txt")
        lines = [text_of(log_line(entry.line, entry.times, 400)).rstrip() for entry in self._entries]
        self.operator_app.write_file(Path(path), "\n".join(lines) + "\n")
