"""The signs: one cell wide in every terminal, no emoji, and an ASCII letter for each of them.

Renderers always write the Unicode signs; `in_ascii` translates finished lines, so no renderer knows two alphabets.
"""

from __future__ import annotations

from typing import Final

from mimodaq.protocol.states import State
from mimodaq.watch import Level

from ._line import Line

STATES: Final = {
    State.RUNNING: "●",
    State.PAUSED: "‖",
    State.READY: "○",
    State.CONFIGURED: "◇",
    State.IDLE: "·",
    State.ERROR: "✗",
    State.OFFLINE: "?",
}
CHANGING: Final = "»"
"""A state that ends by itself."""
LEVELS: Final = {Level.NOTE: "i", Level.WARNING: "!", Level.ALARM: "▲"}
LEVEL_STYLES: Final = {Level.NOTE: "dim", Level.WARNING: "warning", Level.ALARM: "alarm"}
FULL, EMPTY = "█", "░"
SPARKS: Final = "▁▂▃▄▅▆▇█"
EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
BRAILLE: Final = 0x2800

_ASCII: Final = {
    **dict(zip("▁▂▃▄▅▆▇", ".:-=+*#", strict=True)),
    "●": "*",
    "‖": "=",
    "○": "o",
    "◇": "c",
    "·": ".",
    "✗": "X",
    "✓": "+",
    "»": ">",
    "▲": "A",
    "█": "#",
    "░": "-",
    "▾": "v",
    "▸": ">",
    "◂": "<",
    "▶": ">",
    "→": ">",
    "←": "<",
    "…": "~",
    "─": "-",
    "━": "=",
    "│": "|",
    "┃": "|",
    "┌": "+",
    "┐": "+",
    "└": "+",
    "┘": "+",
    "├": "+",
    "┤": "+",
    "┬": "+",
    "┴": "+",
    "┼": "+",
    "╳": "X",
    "°": "'",
    "µ": "u",
    "±": "~",
    "×": "x",
    "²": "2",
    "–": "-",
    "\u202f": " ",
    "⏎": "^",
}


def _braille_in_ascii(pattern: int) -> str:
    """By height: dots 1, 2, 4, 5 are the upper half of the cell."""
    upper, lower = pattern & 0b00011011, pattern & 0b11100100
    return ":" if upper and lower else "'" if upper else "." if lower else " "


_TABLE: Final = {ord(sign): letter for sign, letter in _ASCII.items()} | {
    BRAILLE + pattern: _braille_in_ascii(pattern) for pattern in range(256)
}


def text_in_ascii(text: str) -> str:
    """The same number of characters, all of them ASCII."""
    return text if text.isascii() else text.translate(_TABLE).encode("ascii", "replace").decode()


def in_ascii(line: Line) -> Line:
    """The line for a terminal that knows nothing but ASCII."""
    return tuple((text_in_ascii(text), style) for text, style in line)


def state_glyph(state: State) -> str:
    """The sign of a state."""
    return STATES.get(state, CHANGING)


def state_style(state: State) -> str:
    """The style of a state."""
    match state:
        case State.ERROR | State.OFFLINE:
            return "alarm"
        case State.RUNNING:
            return "good"
        case State.PAUSED | State.ABORTING:
            return "warning"
        case _ if state.is_transitional:
            return "strong"
        case _:
            return ""


def bar(fraction: float, width: int) -> str:
    """How full something is; never shown empty unless it is, never full unless it is."""
    inside = min(max(fraction, 0.0), 1.0)
    full = round(inside * width)
    if inside > 0:
        full = max(full, 1)
    if inside < 1:
        full = min(full, width - 1)
    return FULL * full + EMPTY * (width - full)


def sparkline(values: list[float], width: int) -> str:
    """The last `width` values as a curve from zero up; a value that is not zero never looks like zero."""
    shown = values[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    if top <= 0:
        return SPARKS[0] * len(shown)
    last = len(SPARKS) - 1
    return "".join(
        SPARKS[0] if value <= 0 else SPARKS[max(1, min(last, int(value / top * last + 0.5)))] for value in shown
    )
