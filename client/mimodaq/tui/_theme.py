"""Colours: the only place that names any. Each meaning also has a sign, a word or bold face, so none is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.style import Style
from textual.theme import Theme

THEMES: Final = (
    Theme(
        "lab-dark",
        primary="#7cc4ff",
        secondary="#9fb3c8",
        warning="#ffb454",
        error="#ff7ac6",
        success="#7cc4ff",
        accent="#7cc4ff",
        foreground="#dde3ea",
        background="#10141a",
        surface="#171d26",
        panel="#222b38",
        dark=True,
    ),
    Theme(
        "lab-light",
        primary="#004b87",
        secondary="#44546a",
        warning="#8a4b00",
        error="#a0005a",
        success="#004b87",
        accent="#004b87",
        foreground="#15202b",
        background="#fbfbf8",
        surface="#f0f0ea",
        panel="#dcdcd2",
        dark=False,
    ),
    Theme(
        "high-contrast",
        primary="#ffffff",
        secondary="#ffffff",
        warning="#ffd400",
        error="#ff8ad8",
        success="#ffffff",
        accent="#ffd400",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#202020",
        dark=True,
    ),
)
_STYLES: Final[Mapping[str, Mapping[str, str]]] = {
    "lab-dark": {
        "dim": "#8b98a9",
        "good": "#7cc4ff",
        "warning": "bold #ffb454",
        "alarm": "bold #ff7ac6",
        "shout": "bold #10141a on #ff7ac6",
    },
    "lab-light": {
        "dim": "#4a5361",
        "good": "#004b87",
        "warning": "bold #7a4200",
        "alarm": "bold #a0005a",
        "shout": "bold #ffffff on #a0005a",
    },
    "high-contrast": {
        "dim": "#c8c8c8",
        "good": "#ffffff",
        "warning": "bold #ffd400",
        "alarm": "bold #ff8ad8",
        "shout": "bold #000000 on #ff8ad8",
    },
    "ansi-dark": {
        "dim": "bright_black",
        "good": "bright_blue",
        "warning": "bold yellow",
        "alarm": "bold bright_magenta",
        "shout": "bold reverse bright_magenta",
    },
}
_SAME: Final = {"": "", "strong": "bold", "title": "underline", "key": "bold reverse", "chosen": "bold reverse"}
NAMES: Final = tuple(_STYLES)


def styles(theme: str, *, is_colourless: bool) -> dict[str, Style]:
    """Style by name. Without colours, what matters is reversed or bold."""
    if is_colourless:
        named = {
            "dim": "dim",
            "good": "",
            "warning": "bold underline",
            "alarm": "bold reverse",
            "shout": "bold reverse",
        }
    else:
        named = dict(_STYLES.get(theme, _STYLES["lab-dark"]))
    return {name: Style.parse(text) if text else Style.null() for name, text in (_SAME | named).items()}
