"""When something deserves attention: the rules that are on without being asked for, and how to read others.

A rule is about every thing of its kind. It holds from when `when` has been true for `for_s` seconds until `clear` is
true (if there is no `clear`: until `when` is false). Texts may name figures: `{fill:%}`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final

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


_KEYS: Final = {"about", "level", "when", "clear", "for_s", "text", "advice", "do", "command"}


def rules_from(table: Any) -> tuple[Rule, ...]:
    """The default rules, changed and extended by a table as it stands in a file.

    `{RULE: {about:, level:, when:, ...}}` adds a rule or changes one, key by key; `{RULE: off}` switches one off.
    Raises RuleError at the first mistake.
    """
    if not isinstance(table, Mapping):
        raise RuleError(f"alarm rules: expected names with their rules, found {type(table).__name__}")
    rules = {r.name: r for r in DEFAULT_RULES}
    for name, entry in table.items():
        if entry is False or entry == "off":
            if name not in rules:
                raise RuleError(f"rule {name!r}: switched off, but there is none; there are {', '.join(rules)}")
            del rules[name]
        elif isinstance(entry, Mapping):
            rules[str(name)] = _changed(str(name), entry, rules.get(str(name)))
        else:
            raise RuleError(f"rule {name!r}: expected keys ({', '.join(sorted(_KEYS))}) or 'off'")
    return tuple(rules.values())


def _changed(name: str, entry: Mapping[Any, Any], old: Rule | None) -> Rule:
    for key in entry:
        if key not in _KEYS:
            raise RuleError(f"rule {name!r}: there is no key {key!r}; there are {', '.join(sorted(_KEYS))}")
    if old is None:
        for key in ("about", "when"):
            if key not in entry:
                raise RuleError(f"rule {name!r}: {key!r} is missing")
    level = str(entry.get("level", old.level.name if old else "warning")).upper()
    if level not in Level.__members__:
        raise RuleError(f"rule {name!r}: level {level.lower()!r}: note, warning or alarm")
    try:
        for_s = float(entry.get("for_s", old.for_s if old else 0.0))
    except (TypeError, ValueError) as error:
        raise RuleError(f"rule {name!r}: for_s {entry['for_s']!r}: a number of seconds") from error
    clear = old.clear.text if old and old.clear and "when" not in entry else ""
    actions = entry.get("do", old.do if old and "level" not in entry else None)
    return rule(
        name,
        str(entry.get("about", old.on if old else "")),
        Level[level],
        str(entry.get("when", old.when.text if old else "")),
        str(entry.get("text", old.text if old else name)),
        clear=str(entry.get("clear", clear)),
        for_s=for_s,
        advice=str(entry.get("advice", old.advice if old else "")),
        do=_texts(name, "do", actions),
        command=_texts(name, "command", entry.get("command", old.command if old else ())) or (),
    )


def _texts(name: str, key: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise RuleError(f"rule {name!r}: {key}: a list of texts")


_NOTE, _WARNING, _ALARM = Level.NOTE, Level.WARNING, Level.ALARM
DEFAULT_RULES: Final[tuple[Rule, ...]] = (
    rule(
        "no contact",
        "cluster",
        _ALARM,
        "is_stale and silent_s > 2.4",
        "no word from the broker for {silent_s:t}; what is shown is old",
        advice="the run goes on without the broker; look whether the broker's computer and the network are up",
    ),
    rule(
        "error",
        "cluster",
        _ALARM,
        'state == "error"',
        "the cluster is in error",
        advice="read the log (3), mend the cause, then reset",
    ),
    rule(
        "not good",
        "cluster",
        _WARNING,
        "reasons > 0",
        "this run will not be good",
        advice="the reasons are in the overview (1)",
    ),
    rule(
        "dead time",
        "cluster",
        _WARNING,
        "dead_fraction > 0.05 and dead_fraction <= 0.5 and in_run",
        "{dead_fraction:%} dead time: {dead_buffer} is full",
        clear="dead_fraction < 0.03 or dead_fraction > 0.5 or not in_run",
        for_s=5.0,
        advice="the experiment is blind for a part of the time; nothing is lost. Look for the cause downstream (2)",
    ),
    rule(
        "blind",
        "cluster",
        _ALARM,
        "dead_fraction > 0.5 and in_run",
        "the experiment is blind {dead_fraction:%} of the time: {dead_buffer} is full",
        clear="dead_fraction < 0.4 or not in_run",
        for_s=2.0,
        advice="nothing is lost, but nothing is seen either. Look for the cause downstream (2)",
    ),
    rule(
        "node late",
        "node",
        _NOTE,
        'presence == "late"',
        "not heard for {silent_s:t}",
        advice="wait: it is lost after 2.5 s",
    ),
    rule(
        "node lost",
        "node",
        _ALARM,
        'presence == "lost" and is_in_setup',
        "lost; it probably takes data on, unseen",
        advice="look whether the computer is up and its cable is plugged in; it comes back by itself",
    ),
    rule("node error", "node", _ALARM, 'state == "error"', "in error", advice="read its log (3), then reset"),
    rule(
        "clock",
        "node",
        _WARNING,
        "clock_offset_s > 0.05 or clock_offset_s < -0.05",
        "clock is off by {clock_offset_s:ms}",
        clear="clock_offset_s < 0.03 and clock_offset_s > -0.03",
        for_s=5.0,
        advice="start time synchronisation (chrony) on this computer",
    ),
    rule(
        "warm",
        "node",
        _WARNING,
        "temperature_c > 75",
        "{temperature_c} °C",
        clear="temperature_c < 70",
        for_s=5.0,
        advice="a small computer slows down at about 80 °C: give it air",
    ),
    rule(
        "hot",
        "node",
        _ALARM,
        "temperature_c > 85",
        "{temperature_c} °C",
        clear="temperature_c < 80",
        for_s=2.0,
        advice="stop the run or cool the computer: it will slow down or switch itself off",
    ),
    rule("memory", "node", _WARNING, "memory > 0.95", "memory {memory:%} full", clear="memory < 0.9", for_s=5.0),
    rule(
        "disk",
        "node",
        _WARNING,
        "disk_left_s < 3600",
        "disk is full in {disk_left_s:t}",
        clear="disk_left_s > 4500",
        for_s=30.0,
        advice="make room, or end the run before",
    ),
    rule(
        "disk full",
        "node",
        _ALARM,
        "disk_free_bytes < 1000000000",
        "less than 1 GB left on the disk",
        clear="disk_free_bytes > 2000000000",
        advice="make room now: writers stop when it is full, and block the readout",
    ),
    rule(
        "filling",
        "buffer",
        _WARNING,
        "fill > 0.8 and dead_fraction <= 0.02 and in_run and is_cause",
        "{fill:%} full",
        clear="fill < 0.7 or dead_fraction > 0.02 or not in_run",
        for_s=3.0,
        advice="whoever reads it is too slow: more processes, or a lower rate",
    ),
    rule(
        "blocked",
        "buffer",
        _ALARM,
        "fill > 0.95 and dead_fraction > 0.02 and in_run and is_cause",
        "{fill:%} full, its writer waits {dead_fraction:%} of the time for {blamed}",
        clear="fill < 0.9 or not in_run",
        for_s=2.0,
        advice="nothing is lost, but the experiment is dead meanwhile: look at who is waited for",
    ),
    rule(
        "set aside",
        "buffer",
        _ALARM,
        "new_quarantined > 0",
        "{new_quarantined} events killed their function and were set aside",
        advice="they are in the run's quarantine folder; the log names the function",
    ),
    rule(
        "nothing moves",
        "buffer",
        _ALARM,
        "missing > 20 and idle_s > 0.9 and is_running",
        "nothing came for {idle_s:t}, usually {usual_hz}/s",
        clear="missing < 5 or not is_running",
        advice="look at what writes it: its log (3), its place in the topology (2)",
    ),
    rule(
        "not taken",
        "buffer",
        _ALARM,
        "untaken > 20 and untaken_s > 0.9 and is_running",
        "{lag} events wait: {readers} took none for {untaken_s:t}",
        clear="untaken < 5 or not is_running",
        advice="look at who reads it: its log (3), its computer. Nothing is lost, but a full buffer blocks its writer",
    ),
    rule(
        "no event yet",
        "buffer",
        _NOTE,
        "committed == 0 and running_s > 10 and is_running",
        "no event since the run started",
        clear="committed > 0 or not is_running",
    ),
    rule(
        "rate",
        "buffer",
        _WARNING,
        "rate_hz < low_hz or rate_hz > high_hz",
        "{rate_hz}/s, in the first minutes {low_hz} to {high_hz}",
        for_s=10.0,
        advice="has something changed at the detector, the trigger or the high voltage?",
    ),
    rule(
        "link down",
        "link",
        _ALARM,
        "not is_connected and is_running and running_s > 5 and is_cause",
        "no connection; {lag} events wait at the sender, nothing is lost",
        clear="is_connected or not is_running",
        for_s=2.0,
        advice="it connects by itself when network and the other end are there",
    ),
    rule(
        "link idle",
        "link",
        _ALARM,
        "missing > 20 and idle_s > 0.9 and is_running and is_cause",
        "nothing came through for {idle_s:t}, usually {usual_hz}/s",
        clear="missing < 5 or not is_running",
        advice="is the buffer at the other end full?",
    ),
    rule(
        "restarted",
        "worker",
        _WARNING,
        "new_restarts > 0",
        "was started again ({new_restarts} times)",
        advice="its log (3) says why it died",
    ),
    rule("failed", "worker", _ALARM, 'state == "failed"', "has failed for good", advice="its log (3) says why"),
)
"""On without configuration."""
