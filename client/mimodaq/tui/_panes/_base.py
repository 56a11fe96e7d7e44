"""What all screens have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.containers import Vertical
from textual.widget import Widget

from mimodaq.tui._model import Model

if TYPE_CHECKING:
    from mimodaq.tui._app import OperatorApp


class PaneView(Vertical):
    """One screen: shows the model when it is told to, never asks for anything by itself."""

    @property
    def operator_app(self) -> OperatorApp:
        """The app, which sends commands and knows the feed."""
        return cast("OperatorApp", self.app)

    @property
    def model(self) -> Model:
        """What there is to show."""
        return self.operator_app.model

    def show_model(self) -> None:
        """Draw what is known now; called about once a second while this screen is in front."""
        raise NotImplementedError

    def came_to_front(self) -> None:
        """Seen now."""

    def went_to_back(self) -> None:
        """Not seen any more."""

    def focus_target(self) -> Widget | None:
        """What gets the keys."""
        return None

    def back(self) -> bool:
        """Undo the last restriction of what is shown (filter, overlay); false if there is none."""
        return False
