"""When something deserves attention: what a rule is.

A rule is about every thing of its kind. It holds from when `when` has been true for `for_s` seconds until `clear` is
true (if there is no `clear`: until `when` is false). Texts may name figures: `{fill:%}`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Final

from ._expression import Condition, ConditionError, Value, condition
from ._figures import FIGURES, Subject


class Level(enum.IntEnum):
    """How much it matters."""

    NOTE = 1
    WARNING = 2
    ALARM = 3


ACTIONS: Final = ("log", "bell", "pause", "stop", "command")
"""What may be done when a rule begins to hold."""
_USUAL_ACTIONS: Final = {Level.NOTE: ("log",), Level.WARNING: ("log",), Level.ALARM: ("log", "bell")}


class RuleError(Exception):
    """A rule that cannot be used."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When which things deserve attention, and what is done then."""

    name: str
    on: str
    """The kind of thing it is about: a key of `FIGURES`."""
    level: Level
    when: Condition
    clear: Condition | None
    for_s: float
    text: str
    """What is the matter, with figures in braces."""
    advice: str
    """What to do."""
    do: tuple[str, ...]
    command: tuple[str, ...] = ()
    """Program and arguments of the action `command`; gets the alarm's text as last argument."""

    def describe(self, subject: Subject, figures: Mapping[str, Value]) -> str:
        """The text about one thing."""
        shown = {name: _Shown(value) for name, value in figures.items()}
        about = "" if subject.kind == "cluster" else f"{subject}: "
        return about + self.text.format_map(shown)


class _Shown:
    """A figure in a text: `{x}` rounded, `{x:%}` in percent, `{x:t}` as a time."""

    def __init__(self, value: Value) -> None:
        self._value = value

    def __format__(self, how: str) -> str:
        value = self._value
        if value is None:
            return "?"
        if isinstance(value, str | bool):
            return str(value)
        match how:
            case "%":
                return f"{value:.0%}"
            case "t":
                return f"{value:.3g} s" if value < 120 else f"{value / 60:.0f} min"
            case "ms":
                return f"{value * 1000:.3g} ms"
            case _:
                return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rule(
    name: str,
    on: str,
    level: Level,
    when: str,
    text: str,
    *,
    clear: str = "",
    for_s: float = 0.0,
    advice: str = "",
    do: Sequence[str] | None = None,
    command: Sequence[str] = (),
) -> Rule:
    """Make a rule; raises RuleError if it says something that is not there."""
    if on not in FIGURES:
        raise RuleError(f"rule {name!r}: there is nothing called {on!r} to watch; there are {', '.join(FIGURES)}")
    actions = tuple(do) if do is not None else _USUAL_ACTIONS[level]
    for action in actions:
        if action not in ACTIONS:
            raise RuleError(f"rule {name!r}: there is no action {action!r}; there are {', '.join(ACTIONS)}")
    if "command" in actions and not command:
        raise RuleError(f"rule {name!r}: action 'command' needs 'command: [program, argument, ...]'")
    try:
        when_read, clear_read = condition(when, FIGURES[on]), condition(clear, FIGURES[on]) if clear else None
    except ConditionError as error:
        raise RuleError(f"rule {name!r}: {error}") from error
    try:
        fields = [
            (field, how, conversion) for _, field, how, conversion in Formatter().parse(text) if field is not None
        ]
    except ValueError as error:
        raise RuleError(f"rule {name!r}: text {text!r}: {error}; figures go in braces, like {{fill:%}}") from error
    for field, how, conversion in fields:
        if field not in FIGURES[on] or conversion or "{" in (how or ""):
            raise RuleError(
                f"rule {name!r}: text {text!r}: {field!r} is no figure; figures go in braces, like {{fill:%}}"
            )
    return Rule(name, on, level, when_read, clear_read, for_s, text, advice, actions, tuple(command))
