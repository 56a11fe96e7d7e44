"""The two widgets for live data: they draw finished lines, and only those that have changed.

Measured: a table of 300 rows costs a fifth of Textual's DataTable this way or less, in time and in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from mimodaq.tui.render import Line, fit, in_ascii

if TYPE_CHECKING:
    from textual.app import App


class Painting(Protocol):
    """What the app knows about drawing."""

    line_styles: dict[str, Style]
    is_ascii: bool


def _strip(app: App[object], line: Line, base: Style, width: int, extra: Style | None = None) -> Strip:
    painting = cast(Painting, app)
    shown = in_ascii(line) if painting.is_ascii else line
    named = painting.line_styles
    parts: list[Segment] = []
    for style, spans in groupby(shown, key=itemgetter(1)):  # each change of style costs some 40 bytes to the terminal
        look = base + named[style]
        parts.append(Segment("".join(text for text, _ in spans), look + extra if extra else look))
    return Strip(parts).adjust_cell_length(width, base)


class Lines(Widget):
    """Some lines, as many as fit."""

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = list(lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these instead."""
        before, self._lines = self._lines, list(lines)
        for y in range(max(len(before), len(self._lines))):
            if before[y : y + 1] != self._lines[y : y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def repaint(self) -> None:
        """Draw everything again, in other colours."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        line = self._lines[y] if y < len(self._lines) else ()
        return _strip(self.app, line, self.rich_style, self.size.width)


class Rows(ScrollView, can_focus=True):
    """Many lines, of which only those in view are made; one may be chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
    ]
    DEFAULT_CSS = """
    Rows { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    """

    class Moved(Message):
        """Another row has been chosen."""

        def __init__(self, rows: Rows) -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> Rows:
            """Whose row it is."""
            return self.rows

    def __init__(self, *, is_chooser: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make: Callable[[int, int], Line] = lambda row, width: ()
        self._count = 0
        self._drawn: dict[int, Line] = {}
        self.is_chooser = is_chooser
        self.cursor = 0
        self.follows = False
        """Whether it stays at the end when lines are added."""

    def show(self, count: int, make: Callable[[int, int], Line]) -> None:
        """Draw `count` lines; `make(row, width)` gives one. Lines that are as before are not drawn again."""
        self._make = make
        if count != self._count:
            self._count = count
            self.virtual_size = Size(self.scrollable_content_region.width, count)
            self.cursor = max(0, min(self.cursor, count - 1))
            self.refresh()
        if self.follows:
            self.cursor = max(0, count - 1)
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        top, width = self.scroll_offset.y, self._width
        for row in list(self._drawn):
            if not top <= row < top + self.size.height:
                del self._drawn[row]
        for row in range(top, min(count, top + self.size.height)):
            line = fit(make(row, width), width)
            if self._drawn.get(row) != line:
                self._drawn[row] = line
                self.refresh(Region(0, row - top, self.size.width, 1))

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self._count

    def choose(self, row: int) -> None:
        """Put the cursor on a row and bring it into view."""
        self.action_move(row - self.cursor)

    def action_move(self, by: int) -> None:
        """Move the cursor; without one, scroll."""
        before = self.cursor
        self.cursor = max(0, min(self._count - 1, self.cursor + by))
        self.follows = self.follows and self.cursor == self._count - 1
        self._redraw_row(before)
        self._redraw_row(self.cursor)
        height, top = self.size.height, self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        self.post_message(self.Moved(self))

    def action_page(self, by: int) -> None:
        """Move by what is in view."""
        self.action_move(by * max(1, self.size.height - 1))

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        row = self.scroll_offset.y + event.y
        if row < self._count:
            self.choose(row)

    def on_resize(self) -> None:
        """Other widths make other lines."""
        self.repaint()

    def repaint(self) -> None:
        """Draw everything again."""
        self._drawn.clear()
        self.virtual_size = Size(self.scrollable_content_region.width, self._count)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        row = self.scroll_offset.y + y
        if row >= self._count:
            return Strip.blank(self.size.width, self.rich_style)
        line = self._drawn.get(row)
        if line is None:
            line = self._drawn[row] = fit(self._make(row, self._width), self._width)
        is_chosen = self.is_chooser and row == self.cursor and self.has_focus
        extra = Style(reverse=True) if is_chosen else None
        return _strip(self.app, line, self.rich_style, self.size.width, extra)

    @property
    def _width(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def _redraw_row(self, row: int) -> None:
        self.refresh(Region(0, row - self.scroll_offset.y, self.size.width, 1))
