"""Dialogs: nothing happens by Enter or by accident; the safe answer has the focus, Esc always means no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from mimodaq.tui.render import Line

from ._widgets import Rows

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A frame with a title in the middle of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", show=False)]
    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 80; max-width: 100%; height: auto; max-height: 100%;
        border: solid $primary; padding: 0 1; background: $surface;
    }
    Dialog Button { margin-left: 2; }
    Dialog Horizontal { height: 1; align-horizontal: right; margin-top: 1; }
    Dialog Label { width: 1fr; }
    """

    def draw(self) -> None:
        """Show it as it is now; called whenever there is something new, even before the dialog is laid out."""

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(None)


class Shown(Dialog[None]):
    """Something to read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q", "no", show=False)]
    DEFAULT_CSS = "Shown > Vertical { width: 100; height: 80%; } Shown Rows { background: $surface; }"

    def __init__(self, title: str, make: Callable[[int], Sequence[Line]]) -> None:
        super().__init__()
        self._title, self._make = title, make

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = "esc closes"
            yield Rows(is_chooser=False)

    def on_resize(self) -> None:
        """Break the lines anew."""
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Show it as it is now."""
        rows = self.query_one_optional(Rows)
        if rows is not None:
            lines = list(self._make(max(10, rows.size.width - 1)))
            rows.show(len(lines), lambda row, width: lines[row])


class AskText(Dialog[str]):
    """A line of text; Enter takes it."""

    def __init__(self, question: str, text: str = "") -> None:
        super().__init__()
        self._question, self._text = question, text

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical() as frame:
            frame.border_title = self._question
            frame.border_subtitle = "enter takes it, esc leaves all as it was"
            yield Input(self._text, compact=True)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class Question(Dialog[Result]):
    """A question with its consequences, in numbers that are kept up to date; the safe answer has the focus."""

    first: ClassVar[str] = "#no"
    """What has the focus."""

    def __init__(self, question: str, consequences: Callable[[], Sequence[str]], no: str, **answers: str) -> None:
        """`answers` are the other buttons, by their ids."""
        super().__init__()
        self._question, self._consequences, self._buttons = question, consequences, {"no": no, **answers}

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical() as frame:
            frame.border_title = self._question
            yield Label("\n".join(self._consequences()), id="text", markup=False)
            yield from self.more()
            with Horizontal():
                for name, text in self._buttons.items():
                    yield Button(text, id=name, compact=True)

    def more(self) -> ComposeResult:
        """What stands between the text and the buttons."""
        return ()

    def on_mount(self) -> None:
        """Give it the focus."""
        self.query(self.first).first().focus()

    def draw(self) -> None:
        """The numbers as they are now."""
        label = self.query_one_optional("#text", Label)
        if label is not None:
            label.update("\n".join(self._consequences()))

    @on(Button.Pressed, "#no")
    def _no(self) -> None:
        self.dismiss(None)


class Confirm(Question[bool]):
    """Yes or no; y is yes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "yes", show=False), Binding("n", "no", show=False)]

    def __init__(self, question: str, consequences: Callable[[], Sequence[str]], yes: str) -> None:
        super().__init__(question, consequences, "No  n/esc", yes=f"{yes}  y")

    @on(Button.Pressed, "#yes")
    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(True)


class TypeToConfirm(Question[bool]):
    """For what loses something: a word has to be typed."""

    first: ClassVar[str] = "Input"

    def __init__(self, question: str, consequences: Callable[[], Sequence[str]], word: str, yes: str) -> None:
        super().__init__(question, consequences, "No  esc", yes=yes)
        self._word = word

    def more(self) -> ComposeResult:
        """The word."""
        yield Label(f"Type {self._word} to do it:", markup=False)
        yield Input(compact=True)

    def on_mount(self) -> None:
        """Not yet."""
        self.query_one("#yes", Button).disabled = True

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value.strip() != self._word

    @on(Input.Submitted)
    def _submitted(self) -> None:
        button = self.query_one("#yes", Button)
        (self.query_one("#no", Button) if button.disabled else button).focus()

    @on(Button.Pressed, "#yes")
    def _yes_pressed(self) -> None:
        self.dismiss(True)
