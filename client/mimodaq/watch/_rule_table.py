"""Rules as they stand in a file: what changes and extends those that are on without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ._default_rules import DEFAULT_RULES
from ._rules import Level, Rule, RuleError, rule

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
