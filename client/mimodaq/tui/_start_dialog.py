"""The dialog before a start: comment, limits, what may be lost, and checks that go on while it is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

from mimodaq.tui.render import Line

from ._dialogs import Dialog
from ._widgets import Lines
from ._wishes import Wishes


@dataclass(frozen=True, slots=True)
class Start:
    """What was typed before a start."""

    comment: str
    wishes: Wishes


class StartRun(Dialog[Start]):
    """Comment, options and checks; F5 or Ctrl+S starts, if nothing stands in the way. Enter never does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5,ctrl+s", "start", show=False)]
    DEFAULT_CSS = """
    StartRun .row { height: 1; margin-top: 0; align-horizontal: left; }
    StartRun .row Label { width: 17; }
    StartRun .row .unit { width: auto; padding: 0 1; }
    StartRun .row Input { width: 1fr; }
    StartRun .row .short { width: 14; }
    """

    def __init__(
        self,
        title: str,
        checks: Callable[[int, Wishes], tuple[Sequence[Line], bool]],
        wishes: Wishes | None,
        *,
        has_comment: bool = True,
    ) -> None:
        super().__init__()
        self._title, self._checks, self._wishes, self._has_comment = title, checks, wishes, has_comment

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical() as frame:
            frame.border_title = self._title
            if self._has_comment:
                with Horizontal(classes="row"):
                    yield Label("Comment")
                    yield Input(placeholder="kept with the run", compact=True, id="comment")
            if self._wishes is not None:
                yield from self._options(self._wishes)
            yield Label("")
            yield Lines(id="checks")
            with Horizontal():
                yield Button("Cancel  esc", id="no", compact=True)
                yield Button("Start  F5 / ctrl+s", id="start", compact=True)

    def _options(self, wishes: Wishes) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label("Stop after")
            yield Input(wishes.runtime, placeholder="no limit", compact=True, id="runtime", classes="short")
            yield Label("or", classes="unit")
            yield Input(wishes.events, placeholder="no limit", compact=True, id="events", classes="short")
            yield Label("events", classes="unit")
        with Horizontal(classes="row"):
            yield Label("Optional hosts")
            yield Input(wishes.optional, placeholder="none; the run can do without these", compact=True, id="optional")
        with Horizontal(classes="row"):
            yield Label("Other host lost")
            yield Input(wishes.on_loss, placeholder="pause", compact=True, id="on_loss", classes="short")
            yield Label("pause or stop", classes="unit")

    def on_mount(self) -> None:
        """Look before anything else."""
        self.query("Input, #no").first().focus()
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Check again."""
        view, button = self.query_one_optional("#checks", Lines), self.query_one_optional("#start", Button)
        if view is None or button is None:
            return
        lines, is_possible = self._checks(max(20, view.size.width), self._typed_wishes())
        view.styles.height = len(lines)
        view.show(lines)
        button.disabled = not is_possible

    def _typed_wishes(self) -> Wishes:
        return Wishes(*map(self._typed, Wishes.__slots__)) if self._wishes is not None else Wishes()

    def _typed(self, name: str) -> str:
        field = self.query_one_optional(f"#{name}", Input)
        return field.value.strip() if field is not None else ""

    @on(Input.Changed)
    def _changed(self) -> None:
        self.draw()

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Start, if it is possible."""
        if self._checks(40, self._typed_wishes())[1]:
            self.dismiss(Start(self._typed("comment"), self._typed_wishes()))

    @on(Button.Pressed, "#no")
    def _no(self) -> None:
        self.dismiss(None)
