"""The keys of a screen, to be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._keys import COMMANDS, GENERAL, PANES, Key, keys_of
from .render import Line, cell, fit

_NAMES: Final = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "space": "Space",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "left": "←",
    "right": "→",
}


def help_lines(pane: str, width: int, about: Callable[[Key], str]) -> list[Line]:
    """All keys with what they are about, those of the screen first."""
    title = next(p.title for p in PANES if p.name == pane)
    commands = [key for key in COMMANDS if key.command != "resume"]  # the same key as pause
    lines = [fit([(title, "title")], width)]
    for heading, keys in (("", keys_of(pane)), ("Run", commands), ("Everywhere", GENERAL)):
        if heading:
            lines += [fit([], width), fit([(heading, "title")], width)]
        for key in keys:
            names = " or ".join(_shown(name) for name in key.keys.split(","))
            lines.append(fit([cell(f" {names}", 16, "key"), (f"  {about(key)}", "")], width))
    moving = "Arrows, j k, PgUp PgDn, Home End move. 1 to 8: screens. Tab in dialogs: next field."
    return [*lines, fit([], width), fit([(moving, "dim")], width)]


def _shown(key: str) -> str:
    """A key as it is written on the keyboard."""
    is_function_key = len(key) > 1 and key[0] == "f" and key[1:].isdigit()
    return _NAMES.get(key, key.upper() if is_function_key else key)
