"""Bring the lists `RingBuffer:` and `Functions:` into one form: a mapping from name to settings.

mimoCoRB writes lists of one-key mappings (`- RB_1: {...}`). A mapping of names is accepted as well, and so
is an entry whose settings are not indented below its name:

    - RB_1:
      number_of_slots: 16
"""

from __future__ import annotations

import re
from typing import Any

from ._problems import Report, Where, show
from ._yaml import Document, KeyPath

_NAME = re.compile(r"[^\s/.][^/]{0,63}")


def name_entries(document: Document, section: str, report: Report) -> None:
    """Replace `document.data[section]` by a dict from name to the table of its settings.

    Places are afterwards found below `(section, name)`. Entries that cannot be understood are reported
    and left out; a section that is missing stays missing.
    """
    content = document.data.get(section)
    if content is None:
        return
    named: dict[str, Any] = {}
    first_line: dict[str, int] = {}
    items: list[tuple[KeyPath, Any]] = []
    if isinstance(content, dict):
        items = [((section,), {name: table}) for name, table in content.items()]
    elif isinstance(content, list):
        items = [((section, index), item) for index, item in enumerate(content)]
    else:
        report.add(document.where(section), f"{section}: expected '- NAME:' entries, found {show(content)}")
    for path, item in items:
        entry = _name_and_table(item, path, document, report)
        if entry is None:
            continue
        name, table, table_path = entry
        where = document.where(*path, name)
        if name in named:
            first = first_line[name]
            report.add(where, f"the name {name!r} is used twice under {section}, first in line {first}")
            continue
        named[name] = table
        first_line[name] = where.line
        document.move(table_path, (section, name))
        document.note((section, name), where)
    if not content and isinstance(content, dict | list):
        report.add(document.where(section), f"{section} has no entries")
    document.data[section] = named


def _name_and_table(
    item: Any, path: KeyPath, document: Document, report: Report
) -> tuple[str, dict[Any, Any], KeyPath] | None:
    """Name of an entry, its settings, and the path they have in the document."""
    where: Where = document.where(*path)
    if not isinstance(item, dict) or not item:
        report.add(where, f"{path[0]}: expected '- NAME:' with settings below it, found {show(item)}")
        return None
    name, *others = item
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.isprintable():
        message = f"{show(name)} cannot be a name: use up to 64 characters, no '/' and no '.' at the start"
        report.add(document.where(*path, name), message)
        return None
    if others and item[name] is not None:
        message = f"{str(others[0])!r} stands in the entry of {name!r}: indent it further, or start it with '-'"
        report.add(document.where(*path, others[0]), message)
        return None
    if others:
        return name, {key: item[key] for key in others}, path
    table = item[name] if item[name] is not None else {}
    if not isinstance(table, dict):
        report.add(document.where(*path, name), f"{name}: expected settings below it, found {show(table)}")
        return None
    return name, table, (*path, name)
