"""Screen 8: all alarms, worst first, with what to do about the chosen one."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.render import Line, alarm_details, alarm_rows, no_alarm
from mimodaq.watch import Alarm

from ._base import PaneView


class AlarmsPane(PaneView):
    """Latched: an alarm leaves the list when it is over and somebody has acknowledged it."""

    BINDINGS: ClassVar = bindings_of("alarms")
    DEFAULT_CSS = "AlarmsPane #advice { height: 7; border-top: solid $panel; }"

    def __init__(self) -> None:
        super().__init__(id="alarms")

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Rows(id="table")
        yield Lines(id="advice")

    def focus_target(self) -> Widget | None:
        """The list."""
        return self.query_one("#table")

    def show_model(self) -> None:
        """Draw the list."""
        table, alarms = self.query_one("#table", Rows), self.model.alarm_list
        if alarms:
            table.show(len(alarms), self._line)
        else:
            table.show(1, lambda row, width: no_alarm(width, len(self.model.rules)))
        self._show_advice()

    @property
    def chosen(self) -> Alarm | None:
        """The alarm the cursor is on."""
        cursor, alarms = self.query_one("#table", Rows).cursor, self.model.alarm_list
        return alarms[cursor] if cursor < len(alarms) else None

    def _line(self, row: int, width: int) -> Line:
        return alarm_rows(self.model.alarm_list[row], width)

    @on(Rows.Moved)
    def _show_advice(self) -> None:
        view, alarm = self.query_one("#advice", Lines), self.chosen
        view.show(alarm_details(alarm, view.size.width)[: view.size.height] if alarm else [])

    def action_go(self) -> None:
        """To what the chosen alarm is about."""
        if self.chosen:
            self.operator_app.go_to(self.chosen.subject)

    def action_acknowledge_all(self) -> None:
        """Acknowledge all."""
        self.operator_app.acknowledge(None)
