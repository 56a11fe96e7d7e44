"""What a display window shows and what its keys do; and the window itself.

`Screen` knows nothing of windows: it takes messages and keys and draws on any figure. `show` is the only place where
pyplot and its choice of a window system are used; it needs the main thread of a process.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from mimodaq.functions.physics._draw import INK, NoPictures
from mimodaq.functions.physics._window import Message, draw_message, figure_for

_LOOK_S: Final = 0.1
_OVERLAID: Final = 30
"""Earlier events drawn behind the newest."""
_KEYS: Final = {"space": "freeze", "o": "overlay", "l": "log scale"}

Arriving = queue.SimpleQueue[Message | None]
"""Messages to be shown; None ends the window."""


class NoWindowError(RuntimeError):
    """A window cannot be opened; the message says why and what to do."""


def note(text: str) -> Message:
    """A message that stands below the picture, and leaves the picture as it is."""
    return {"kind": "note", "text": text}


@dataclass(slots=True)
class Screen:
    """The newest picture, and how it is looked at."""

    is_overlaid: bool = False
    is_log: bool | None = None
    """None: as each histogram is meant to be."""
    is_frozen: bool = False
    message: Message | None = None
    note: str = ""
    _next: Message | None = None
    """What has come while the picture was frozen."""
    _earlier: deque[Message] = field(default_factory=lambda: deque(maxlen=_OVERLAID))

    def take(self, message: Message) -> bool:
        """Take what has come; whether there is something new to be seen."""
        if message["kind"] == "note":
            self.note = message["text"]
            return True
        if self.is_frozen:
            self._next = message
            return False
        if self.message is not None and self.message["kind"] == "waveforms":
            self._earlier.append(self.message)
        self.message = message
        return True

    def press(self, key: str | None) -> bool:
        """Do what a key means; whether there is something new to be seen."""
        match key:
            case " " | "space":
                self.is_frozen = not self.is_frozen
                if not self.is_frozen and self._next is not None:
                    newer, self._next = self._next, None
                    self.take(newer)
            case "o" if self._shows("waveforms"):
                self.is_overlaid = not self.is_overlaid
                self._earlier.clear()
            case "l" if self._shows("histograms"):
                shown = [item["style"]["logarithmic"] for item in self.message["items"]] if self.message else []
                self.is_log = not (all(shown) if self.is_log is None else self.is_log)
            case _:
                return False
        return True

    def _shows(self, kind: str) -> bool:
        return self.message is not None and self.message["kind"] == kind

    def draw(self, figure: Any) -> None:
        """Draw on a figure; replaces what was on it."""
        self._draw(figure, self._footer())

    def _draw(self, figure: Any, footer: str) -> None:
        if self.message is None:
            figure.clear()
        else:
            earlier = tuple(self._earlier) if self.is_overlaid else ()
            draw_message(figure, self.message, earlier=earlier, is_log=self.is_log)
        if footer:
            figure.supxlabel(footer, fontsize=8.5, color=INK)

    def _footer(self) -> str:
        useless = "l" if self._shows("waveforms") else "o"
        keys = "   ".join(f"{key}: {what}" for key, what in _KEYS.items() if key != useless)
        state = "FROZEN" if self.is_frozen else ""
        return "   ".join(part for part in (state, self.note, keys if self.message else "") if part)

    def save(self, path: str) -> None:
        """Draw into a file, without the keys. Raises NoPictures, OSError, ValueError for a suffix that is none."""
        assert self.message is not None, "there is something to be saved"
        figure = figure_for(self.message)
        self._draw(figure, self.note)
        figure.savefig(path, dpi=120)


def check_window() -> None:
    """Raise NoPictures or NoWindowError unless a window can be opened."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise NoPictures from error
    remedy = "Log in with `ssh -X`, work at the host's own screen, or have the picture written: --png FILE"
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise NoWindowError(f"there is no display to open a window on (DISPLAY is not set). {remedy}")
    backend = str(pyplot.get_backend())
    if backend.lower() in ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template"):
        raise NoWindowError(
            f"matplotlib found no window system (it would use {backend}): install python3-tk or PyQt6. {remedy}"
        )


def show(title: str, screen: Screen, arriving: Arriving) -> None:
    """Open a window and show what arrives, until None comes or the user closes it; opens none if None comes first."""
    message = arriving.get()
    if message is None:
        return
    from matplotlib import pyplot

    for name, keys in pyplot.rcParams.items():
        if name.startswith("keymap."):  # these keys have a meaning of their own here
            pyplot.rcParams[name] = [key for key in keys if key not in ("o", "l", " ")]
    figure = pyplot.figure(title, figsize=_size(message), layout="constrained", facecolor="white")
    pressed: list[str] = []
    figure.canvas.mpl_connect("key_press_event", lambda event: pressed.append(str(event.key)))
    pyplot.show(block=False)
    is_new = screen.take(message)
    while pyplot.fignum_exists(figure.number):
        if is_new:
            screen.draw(figure)
            figure.canvas.draw_idle()
        figure.canvas.start_event_loop(_LOOK_S)  # however fast pictures come: here they are drawn and keys heard
        while arriving.empty() and not pressed and pyplot.fignum_exists(figure.number):
            figure.canvas.start_event_loop(_LOOK_S)
        is_new = False
        while pressed:
            is_new |= screen.press(pressed.pop(0))
        while not arriving.empty():
            newer = arriving.get()
            if newer is None:
                pyplot.close(figure)
                return
            if screen.message is None and newer["kind"] != "note":
                figure.set_size_inches(_size(newer))
            is_new |= screen.take(newer)


def _size(message: Message) -> Any:
    """Width and height in inches."""
    return figure_for(message).get_size_inches()
