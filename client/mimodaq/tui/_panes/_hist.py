"""Screen 5: histograms of what goes through the buffers, counted beside them: of every event, or of a sample."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.protocol.counts import Counts
from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._taps import Place, places
from mimodaq.tui._widgets import Lines
from mimodaq.tui.feed import FeedError
from mimodaq.tui.render import WAVEFORM, CountedField, Look, fit, histogram_head, histogram_lines, wrap

from ._base import PaneView

_AGAIN_S: Final = 2.0


class _Canvas(Lines, can_focus=True):
    """Takes the keys of this screen."""


class HistPane(PaneView):
    """One histogram a field: its value, or for a waveform its height above the base line.

    What a function of the run counts is shown whenever this screen is in front; samples fill meanwhile, and are
    emptied when another run begins.
    """

    BINDINGS: ClassVar = bindings_of("hist")
    DEFAULT_CSS = "HistPane #head { height: 1; } HistPane #canvas { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="hist")
        self.histograms: dict[tuple[Place, str], CountedField] = {}
        self.number = 0
        self.look = Look()
        self._run: int | None = None
        self._troubles: dict[Place, str] = {}
        self._known: list[Place] = []

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield _Canvas(id="canvas")

    def focus_target(self) -> Widget | None:
        """The canvas."""
        return self.query_one("#canvas")

    def came_to_front(self) -> None:
        """Open the taps."""
        model = self.model
        self._known = places(model.setup, model.graph) if model.setup and model.graph else []
        names = [(p, f.name) for p in self._known for f in model.setup.buffers[p.buffer].fields] if model.setup else []
        names.sort(
            key=lambda name: model.setup is not None and _samples(model.setup.buffers[name[0].buffer], name[1]) > 1
        )
        self.histograms = {key: self.histograms.get(key) or CountedField(_title(model.setup, key)) for key in names}
        self._open_taps(anew=False)

    def _open_taps(self, *, anew: bool) -> None:
        self.workers.cancel_group(self, "tap")
        self._troubles.clear()
        for place in self._known:
            self._tap(place, anew)

    def went_to_back(self) -> None:
        """Close the taps."""
        self.workers.cancel_group(self, "tap")

    def show_model(self) -> None:
        """Draw the chosen histogram."""
        model = self.model
        if model.setup and model.graph and self._known != places(model.setup, model.graph):
            self.came_to_front()
        run = model.snapshot.cluster.run if model.snapshot.cluster else None
        if run is not None and run != self._run:
            if self._run is not None:
                self.histograms = {key: CountedField(one.name) for key, one in self.histograms.items()}
                self._open_taps(anew=True)
            self._run = run
        canvas = self.query_one("#canvas", Lines)
        width, height = canvas.size
        head = self.query_one("#head", Lines)
        if not self.histograms:
            head.show([fit([("no setup is loaded: there is nothing to fill from", "dim")], width)])
            canvas.show([])
            return
        self.number %= len(self.histograms)
        (place, _), histogram = list(self.histograms.items())[self.number]
        line = histogram_head(histogram, str(place), self.look, self.number + 1, len(self.histograms), width)
        head.show([line])
        trouble = self._troubles.get(place, "")
        if trouble and not histogram.entries:
            canvas.show([fit([(f"  {text}", "warning")], width) for text in wrap(trouble, width - 4)])
        else:
            canvas.show(histogram_lines(histogram, self.look, width, height))

    def back(self) -> bool:
        """The plain look again."""
        if self.look == Look():
            return False
        self.look = Look()
        self.show_model()
        return True

    @work(group="tap")
    async def _tap(self, place: Place, anew: bool) -> None:
        """Follow what is counted of a buffer; when that ends, with the run or otherwise, try again."""
        while True:
            try:
                async for counts in self.operator_app.feed.counts(place.node, place.buffer, anew=anew):
                    anew = False
                    self._troubles.pop(place, None)
                    if not self.operator_app.is_frozen:
                        self._show_counts(place, counts)
                        self.show_model()
            except FeedError as error:
                self._troubles[place] = str(error)
                self.show_model()
            await asyncio.sleep(_AGAIN_S)

    def _show_counts(self, place: Place, counts: Sequence[Counts]) -> None:
        """Keep them; a function that counts every event goes before a sample."""
        for key, before in self.histograms.items():
            found = [(one, field) for one in counts if (field := one.of(key[1])) is not None and key[0] == place]
            if found:
                one, field = min(found, key=lambda pair: pair[0].is_sample)
                function = "" if one.is_sample else one.function
                self.histograms[key] = CountedField(before.name, field.histogram, function)

    def action_next(self, by: int) -> None:
        """Another histogram."""
        self.number += by
        self.show_model()

    def action_log_scale(self) -> None:
        """Logarithmic or linear."""
        self.look = replace(self.look, is_log=not self.look.is_log)
        self.show_model()

    def action_rebin(self) -> None:
        """Fewer bins, and all again."""
        self.look = replace(self.look, merged={0: 1, 1: 2, 2: 4, 4: 8, 8: 0}[self.look.merged])
        self.show_model()

    def action_region(self, by: int) -> None:
        """Move the region over the axis; the first press shows it."""
        begin = self.look.region[0] + 0.05 * by if self.look.region else 0.4
        begin = min(0.8, max(0.0, begin))
        self.look = replace(self.look, region=(begin, begin + 0.2))
        self.show_model()

    def action_clear(self) -> None:
        """Let samples begin to fill anew; what a function of the run counts is the run's."""
        self.histograms = {key: one if one.function else CountedField(one.name) for key, one in self.histograms.items()}
        self._open_taps(anew=True)


def _samples(buffer: object, name: str) -> int:
    from mimodaq.config import BufferSpec

    fields = buffer.fields if isinstance(buffer, BufferSpec) else ()
    return next((field.samples for field in fields if field.name == name), 1)


def _title(setup: object, key: tuple[Place, str]) -> str:
    from mimodaq.config import Setup

    place, name = key
    is_curve = isinstance(setup, Setup) and _samples(setup.buffers[place.buffer], name) >= WAVEFORM
    return f"{name} (height)" if is_curve else name
