"""A matplotlib figure to draw on: in a window where there is a display, else in memory only."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def has_display() -> bool:
    """Whether a window can be opened."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def new_figure(title: str, width: float, height: float) -> tuple[Any, Callable[[], None]]:
    """A figure of this size in inches, and what to call after drawing so that a window shows it."""
    if has_display():
        from matplotlib import pyplot

        figure = pyplot.figure(title, figsize=(width, height), layout="constrained")
        pyplot.show(block=False)
        return figure, lambda: pyplot.pause(0.02)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained"), lambda: None
