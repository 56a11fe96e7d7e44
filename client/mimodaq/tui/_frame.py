"""What stands around every screen, and how all of it is drawn: state bar, list of screens, alarm line, footer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.style import Style
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from mimodaq.protocol.messages import LogLine
from mimodaq.watch import DEFAULT_RULES, Rule

from ._dialogs import Dialog
from ._keys import PANES, footer_keys, possible
from ._model import Model
from ._panes import (
    AlarmsPane,
    ConfigPane,
    EventPane,
    HistPane,
    LogsPane,
    OverviewPane,
    PaneView,
    RunsPane,
    TopologyPane,
)
from ._theme import styles
from ._widgets import Lines, Rows
from .feed import Feed
from .render import alarm_line, footer, screens_line, state_bar, too_small

_SMALLEST: Final = (60, 16)
_TOLD_S: Final = 8.0


class FrameApp(App[None]):
    """The screens with their frame; shows the model as it is."""

    CSS = """
    Screen { layers: base; }
    #state, #screens, #alarm, #foot { height: 1; }
    #state { background: $panel; }
    #foot { background: $panel; }
    ContentSwitcher { height: 1fr; }
    #small { display: none; height: 1fr; }
    .-ascii #tail, .-ascii #advice, .-ascii #links { border-top: ascii $panel; }
    .-ascii #side { border-left: ascii $panel; }
    .-ascii Dialog > Vertical { border: ascii $primary; }
    .-ascii Rows { scrollbar-size-vertical: 0; }
    """

    def __init__(
        self,
        feed: Feed,
        *,
        setup_file: Path | None = None,
        overrides: Sequence[str] = (),
        rules: Iterable[Rule] = DEFAULT_RULES,
        is_ascii: bool = False,
        refresh_s: float = 0.5,
        ticks: bool = True,
        has_bell: bool = True,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.feed = feed
        self.setup_file, self.overrides = setup_file, overrides
        self.model = Model(tuple(rules))
        self.is_ascii = is_ascii
        self.line_styles: dict[str, Style] = styles("lab-dark", is_colourless=self.no_color)
        self.folder = folder or Path()
        self.is_frozen = False
        self._refresh_s, self._ticks = refresh_s, ticks
        self._drawn_at = float("-inf")
        self._has_bell = has_bell
        self._said = ("", float("-inf"))

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="state")
        yield Lines(id="screens")
        yield Lines(id="alarm")
        with ContentSwitcher(initial="overview", id="panes"):
            yield from self._panes()
        yield Lines(id="small")
        yield Lines(id="foot")

    def _panes(self) -> Iterable[PaneView]:
        yield OverviewPane()
        yield TopologyPane()
        yield LogsPane()
        yield EventPane()
        yield HistPane()
        yield ConfigPane()
        yield RunsPane()
        yield AlarmsPane()

    def on_resize(self) -> None:
        """Another size, other lines."""
        self.call_after_refresh(self.draw)

    @property
    def pane(self) -> PaneView:
        """The screen in front."""
        name = self.query_one("#panes", ContentSwitcher).current or "overview"
        return self._base.query_one(f"#{name}", PaneView)

    @property
    def _base(self) -> Screen[object]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    @property
    def first_alarm(self) -> int | None:
        """The alarm in the alarm line."""
        return next((a.number for a in self.model.alarm_list if not a.is_acknowledged), None)

    def why_not(self, command: str) -> str | None:
        """Why the operator cannot give `command` now; None if it is possible."""
        model, feed = self.model, self.feed
        return possible(command, model.snapshot, model.commands, feed.operator, feed.may_command)

    def draw(self) -> None:
        """Show what is known."""
        base = self._base
        if not base.is_mounted or not self.size.width:
            return
        self._drawn_at = self.feed.now()
        width, height = self.size
        snapshot = self.model.snapshot
        bar = self.model.bar(is_frozen=self.is_frozen, is_replay=self.feed.is_replay, is_secure=self.feed.is_secure)
        base.query_one("#state", Lines).show([state_bar(snapshot, bar, width)])
        is_small = width < _SMALLEST[0] or height < _SMALLEST[1]
        base.query_one("#small").display = is_small
        base.query_one("#panes").display = not is_small
        if is_small:
            base.query_one("#small", Lines).show(too_small(width, height))
        operator, may_command = self.feed.operator, self.feed.may_command
        names = [(pane.digit, pane.title if width >= 140 else pane.short, pane.name == self.pane.id) for pane in PANES]
        base.query_one("#screens", Lines).show([screens_line(names, snapshot, operator, may_command, width)])
        alarm = alarm_line(self.model.alarm_list, width)
        line = base.query_one("#alarm", Lines)
        line.display = alarm is not None
        line.show([alarm] if alarm else [])
        if not self.is_frozen and not is_small:
            self.pane.show_model()
        if isinstance(self.screen, Dialog):
            self.screen.draw()
        self._draw_footer()

    def _draw_footer(self) -> None:
        said, at = self._said
        shown = said if self.feed.now() - at < _TOLD_S else ""
        name = self.pane.id or ""
        model, feed, has_alarm = self.model, self.feed, self.first_alarm is not None
        keys = list(footer_keys(name, model.snapshot, model.commands, feed.operator, feed.may_command, has_alarm))
        self._base.query_one("#foot", Lines).show([footer(keys, shown, self.size.width)])

    def say(self, text: str, *, is_bad: bool = False) -> None:
        """Tell the operator, in the footer for some seconds; what is bad also goes to the log."""
        self._said = (text, self.feed.now())
        if is_bad:
            self.model.log.add(LogLine("viewer", self.feed.utc_ns(), "warning", "viewer", text))
        if self._base.is_mounted:
            self._draw_footer()

    def _recolour(self) -> None:
        self.line_styles = styles(self.theme, is_colourless=self.no_color)
        for widget in self._base.query(Lines):
            widget.repaint()
        for rows in self._base.query(Rows):
            rows.repaint()
