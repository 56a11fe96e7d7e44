"""`--set KEY=VALUE`: change a setup from the command line, key by key.

KEY is a variable (`input`), a key of the file (`runevents`, `RingBuffer.RB_1.number_of_slots`), or starts
with the name of a buffer or function (`RB_1.number_of_slots`, `Fkt_2.config.threshold`). VALUE is YAML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._problems import Report, Where, nearest, show
from ._yaml import Document, parse_text

_SECTIONS = ("RingBuffer", "Functions")
_SAME = {"events": "runevents", "runevents": "events", "duration": "runtime", "runtime": "duration"}
_PATH_KEYS = ("output_directory", "config_file")
_FILE_NAME = re.compile(r"(?!\S*://)(?:(?:\.{0,2}|~)/\S*|\S*\.[A-Za-z]\w{0,7})")


@dataclass(frozen=True, slots=True)
class OptionOverride:
    """An option of a function given on the command line; it wins over every place in the files."""

    target: str
    """Name of the entry (`Fkt_2`), or of the function (`find_peaks`) if `by_function`."""
    by_function: bool
    path: tuple[str, ...]
    value: Any
    where: Where


def apply_overrides(
    texts: Sequence[str], document: Document, variables: dict[str, Any], top_keys: Sequence[str], report: Report
) -> list[OptionOverride]:
    """Change `document` (whose sections are mappings) and `variables` in place.

    Returns the changes to options of functions, which can only be made when all files are read. Keys of
    the file that do not exist are set nevertheless, and reported when the file is checked.
    """
    options: list[OptionOverride] = []
    for text in texts:
        key, equals, value_text = text.partition("=")
        where = Where(f"--set {text if text.isprintable() else repr(text)}")
        if not equals or not key:
            report.add(where, "expected KEY=VALUE")
            continue
        before = len(report)
        value = _value(value_text, where, report)
        if len(report) > before:
            continue
        head, *rest = key.split(".")
        if head == "variables" and rest:
            head, *rest = rest
        if head == "FunctionConfigs" and rest:
            block = {tuple(rest[1:]): value} if rest[1:] else {(k,): v for k, v in _items(value, where, report)}
            options.extend(OptionOverride(rest[0], True, path, v, where) for path, v in block.items())
            continue
        path = _path_in_file(head, rest, document, top_keys)
        if path is None and head in variables and not rest:
            variables[head] = _absolute_if_file(value)
        elif path is None:
            message, suggestion = _unknown(key, head, rest, document, variables, top_keys)
            report.add(where, message, suggestion)
        elif path[0] == "Functions" and path[2] == "config" and len(path) > 3:
            options.append(OptionOverride(path[1], False, path[3:], value, where))
        else:
            if path[-1] in _PATH_KEYS and isinstance(value, str):
                value = _absolute(value)
            if len(path) == 1:
                document.data.pop(_SAME.get(head), None)
            set_value(document, path, value, where, report)
    return options


def set_value(document: Document, path: Sequence[str], value: Any, where: Where, report: Report) -> None:
    """Put `value`, coming from `where`, at `path` inside `document`, making mappings on the way.

    Reports a path that leads into a single value or beyond the end of a list.
    """
    table = document.data
    keys: list[Any] = []
    for part in path:
        parent = ".".join(str(key) for key in keys)
        if isinstance(table, list):
            if not part.isdecimal() or int(part) >= len(table):
                report.add(where, f"{parent} is a list with the indices 0 to {len(table) - 1}, not {part!r}")
                return
            keys.append(int(part))
        elif isinstance(table, dict):
            keys.append(int(part) if part not in table and part.isdecimal() and int(part) in table else part)
        else:
            report.add(where, f"{parent} is a single value, so there is no {part!r} in it")
            return
        if len(keys) == len(path):
            table[keys[-1]] = value
        elif isinstance(table, dict) and table.get(keys[-1]) is None:
            table[keys[-1]] = {}
        table = table[keys[-1]]
    document.replace(tuple(keys), where)


def _value(text: str, where: Where, report: Report) -> Any:
    """VALUE as YAML; what YAML takes for a comment (`#fff`) is text here."""
    document = parse_text(text, where.file, report)
    return text if document.data is None and text.strip().startswith("#") else document.data


def _path_in_file(head: str, rest: list[str], document: Document, top_keys: Sequence[str]) -> tuple[str, ...] | None:
    """The path of a key in the file, for buffers and functions `(section, name, key, ...)`; None if unknown."""
    for section in _SECTIONS:
        entries = document.data.get(section) or {}
        if head == section and len(rest) > 1 and rest[0] in entries:
            return (section, *rest)
        if head in entries and rest:
            return (section, head, *rest)
    return (head, *rest) if head in top_keys and head not in _SECTIONS else None


def _unknown(
    key: str,
    head: str,
    rest: list[str],
    document: Document,
    variables: dict[str, Any],
    top_keys: Sequence[str],
) -> tuple[str, str]:
    """What to say about a KEY that cannot be set, and what was probably meant."""
    entries = [name for section in _SECTIONS for name in document.data.get(section) or {}]
    if head in _SECTIONS and rest and rest[0] not in entries:
        return f"there is no {rest[0]!r} under {head}", nearest(rest[0], document.data.get(head) or {})
    if head in _SECTIONS and not rest:
        return f"name an entry and a key of it: '{head}.NAME.KEY=VALUE'", ""
    if head in entries or head in _SECTIONS:
        return f"name a key of it: '{key}.KEY=VALUE'", ""
    known = [*variables, *top_keys, *entries]
    return f"there is no key or variable {head!r} in the setup", nearest(head, known)


def _absolute_if_file(value: Any) -> Any:
    """File names on the command line are meant from the current directory, not from the setup's folder."""
    if isinstance(value, list):
        return [_absolute_if_file(item) for item in value]
    if isinstance(value, str) and value:
        path = _absolute(value)
        if _FILE_NAME.fullmatch(value) or os.path.exists(path):
            return path
    return value


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _items(value: Any, where: Where, report: Report) -> list[tuple[Any, Any]]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return list(value.items())
    report.add(where, f"expected a mapping such as '{{option: value}}', found {show(value)}")
    return []
