"""Screen 4: events as they are taken, a random sample that slows nothing down."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from textual import work
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._taps import Place, axis_of, places
from mimodaq.tui._widgets import Lines
from mimodaq.tui.feed import FeedError
from mimodaq.tui.render import Axis, event_head, event_lines, fit, limits, wrap

from ._base import PaneView

_KEPT = 100
_OVERLAID = 20


class _Canvas(Lines, can_focus=True):
    """Takes the keys of this screen."""


class EventPane(PaneView):
    """The newest event, or one of the last hundred; the tap is open only while this screen is in front."""

    BINDINGS: ClassVar = bindings_of("event")
    DEFAULT_CSS = "EventPane #head { height: 1; } EventPane #canvas { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="event")
        self.place: Place | None = None
        self.kept: deque[tuple[int, float, npt.NDArray[Any]]] = deque(maxlen=_KEPT)
        self.back_by = 0
        """Which one is shown, counted from the newest; 0 follows."""
        self._overlay = False
        self._only: str | None = None
        self._fixed: dict[str, tuple[float, float]] = {}
        self._trouble = ""

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield _Canvas(id="canvas")

    def focus_target(self) -> Widget | None:
        """The canvas."""
        return self.query_one("#canvas")

    def came_to_front(self) -> None:
        """Open the tap."""
        self._look_at(self.place or next(iter(self._places()), None))

    def went_to_back(self) -> None:
        """Close the tap."""
        self.workers.cancel_group(self, "tap")

    def show_model(self) -> None:
        """Draw the chosen event."""
        canvas = self.query_one("#canvas", Lines)
        width, height = canvas.size
        head = self.query_one("#head", Lines)
        if self.place is None and self._places():
            self.came_to_front()
        setup = self.model.setup
        if self.place is None or setup is None:
            head.show([fit([("no setup is loaded: there is nothing to look at", "dim")], width)])
            canvas.show([])
            return
        newest = len(self.kept) - 1 - self.back_by
        shown = [event for _, _, event in self.kept][
            max(0, newest - (_OVERLAID - 1 if self._overlay else 0)) : newest + 1
        ]
        number, utc_s, _ = self.kept[newest] if self.kept else (0, 0.0, None)
        state = [f"OVERLAY {len(shown)}"] if self._overlay else []
        state += ["FIXED SCALE"] if self._fixed else []
        head.show([event_head(str(self.place), number, utc_s, (self.back_by, len(self.kept)), state, width)])
        if self._trouble:
            canvas.show([fit([(f"  {text}", "warning")], width) for text in wrap(self._trouble, width - 4)])
            return
        axis = axis_of(setup, self.place.buffer) if self.place.buffer in setup.buffers else Axis()
        canvas.show(event_lines(shown, axis, self._only, self._fixed, (width, height)))

    def back(self) -> bool:
        """Show the newest again."""
        if not (self.back_by or self._overlay or self._only or self._fixed):
            return False
        self.back_by, self._overlay, self._only = 0, False, None
        self._fixed.clear()
        self.show_model()
        return True

    def _places(self) -> list[Place]:
        model = self.model
        return places(model.setup, model.graph) if model.setup and model.graph else []

    def _look_at(self, place: Place | None) -> None:
        if place != self.place:
            self.kept.clear()
            self._fixed.clear()
            self._only, self.back_by = None, 0
        self.place = place
        if place is not None:
            self._tap(place)

    @work(group="tap", exclusive=True)
    async def _tap(self, place: Place) -> None:
        self._trouble = ""
        try:
            async for sample in self.operator_app.feed.observe(place.node, place.buffer):
                if self.operator_app.is_frozen:
                    continue
                for event, number, utc_s in zip(sample.events, sample.numbers, sample.utc_s, strict=True):
                    self.kept.append((int(number), float(utc_s), event))
                    if self.back_by:  # what is looked at stays, as long as it is kept
                        self.back_by = min(self.back_by + 1, len(self.kept) - 1)
                self.show_model()
        except FeedError as error:
            self._trouble = str(error)
            self.show_model()

    def action_buffer(self, by: int) -> None:
        """Another buffer."""
        found = self._places()
        if found:
            now = found.index(self.place) if self.place in found else -1
            self._look_at(found[(now + by) % len(found)])
            self.show_model()

    def action_step(self, by: int) -> None:
        """An event before or after."""
        self.back_by = max(0, min(len(self.kept) - 1, self.back_by - by))
        self.show_model()

    def action_overlay(self) -> None:
        """The last 20 over each other, or one."""
        self._overlay = not self._overlay
        self.show_model()

    def action_channels(self) -> None:
        """All channels, then one after the other."""
        names = [None, *self._curves()]
        now = names.index(self._only) if self._only in names else 0
        self._only = names[(now + 1) % len(names)]
        self.show_model()

    def action_scale(self) -> None:
        """Keep the scale of what was seen so far, or fit it to each event."""
        if self._fixed:
            self._fixed.clear()
        else:
            for name in self._curves():
                self._fixed[name] = limits([np.ravel(event[name]) for _, _, event in self.kept])
        self.show_model()

    def action_write(self) -> None:
        """Write the event shown, as numpy reads it."""
        if not self.kept or self.place is None:
            self.operator_app.say("no event to write yet")
            return
        number, _, event = self.kept[len(self.kept) - 1 - self.back_by]
        path = self.operator_app.new_file(f"event_{self.place.buffer}_{number}", "npy")
        self.operator_app.write_file(Path(path), _npy(event))

    def _curves(self) -> list[str]:
        from mimodaq.tui.render import WAVEFORM

        setup = self.model.setup
        if setup is None or self.place is None or self.place.buffer not in setup.buffers:
            return []
        return [field.name for field in setup.buffers[self.place.buffer].fields if field.samples >= WAVEFORM]


def _npy(event: npt.NDArray[Any]) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.asarray(event), allow_pickle=False)
    return file.getvalue()
