"""A file that lists runs of one setup with changed parameters, read and checked like a setup."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._problems import Report, Where, nearest_file, show
from ._yaml import Document, read_document


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """One run: what it changes in the setup, by dotted key."""

    changes: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def overrides(self) -> list[str]:
        """As `--set` takes them."""
        return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in self.changes.items()]

    def __str__(self) -> str:
        """For tables."""
        text = ", ".join(f"{key}={value}" for key, value in self.changes.items())
        return f"{self.name}: {text}" if self.name and text else self.name or text or "the setup as it is"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue of runs."""

    path: Path
    """The file, absolute."""
    setup: Path
    runs: tuple[QueuedRun, ...]
    not_good: str = "repeat"
    """What follows a run that has not ended well: it is repeated, marked and passed over, or the queue stops."""
    attempts: int = 2
    """How often a run is begun at most, before it is marked."""


def load_queue(path: str | os.PathLike[str]) -> QueueSpec:
    """Read a queue; paths in it are relative to its folder. The setup itself is not read.

    Raises `SetupErrors` with everything that is wrong.
    """
    from ._schema import QueueFile, read_entry

    path = Path(path)
    report = Report()
    document = read_document(path, str(path), report) if path.is_file() else None
    if document is None:
        if not report:
            near = nearest_file(path)
            report.add(Where(str(path)), "there is no such file", str(path.with_name(near)) if near else "")
        raise report.errors()
    entry = read_entry(QueueFile, document.data, "", document, (), report)
    if entry is None:
        raise report.errors()
    common = _limits(entry.model_dump())
    runs = [*_combinations(entry.vary, common), *_listed(entry.runs, common, document, report)]
    for key, values in entry.vary.items():
        if isinstance(values, list) and not values:
            report.add(document.where("vary", key), f"vary.{key}: an empty list leaves no run")
    if not entry.vary and not entry.runs:
        runs = [QueuedRun(common)]
    if report:
        raise report.errors()
    folder = Path(os.path.abspath(path)).parent
    setup = Path(os.path.abspath(folder / os.path.expanduser(entry.setup)))
    return QueueSpec(Path(os.path.abspath(path)), setup, tuple(runs), entry.not_good, entry.attempts)


def _limits(table: dict[str, Any]) -> dict[str, Any]:
    """The limits of runs under the names a setup has for them."""
    found = {}
    for name, alias in (("runevents", "events"), ("runtime", "duration")):
        value = table.get(name) if table.get(name) is not None else table.get(alias)
        if value is not None:
            found[name] = value
    return found


def _combinations(vary: dict[str, Any], common: dict[str, Any]) -> Iterator[QueuedRun]:
    """Every combination of the values; the last key changes fastest. A single value is the same in all."""
    if vary:
        lists = [value if isinstance(value, list) else [value] for value in vary.values()]
        for values in itertools.product(*lists):
            yield QueuedRun({**common, **dict(zip(vary, values, strict=True))})


def _listed(
    runs: list[dict[Any, Any]], common: dict[str, Any], document: Document, report: Report
) -> Iterator[QueuedRun]:
    """The runs of the list; keys are those of the setup, and `name`, `events`, `duration`."""
    for i, table in enumerate(runs):
        changes = dict(table)
        name = changes.pop("name", "")
        if not isinstance(name, str):
            report.add(document.where("runs", i, "name"), f"runs: expected a name, found {show(name)}")
            continue
        for key in changes:
            if not isinstance(key, str):
                report.add(document.where("runs", i, key), f"runs: expected a key of the setup, found {show(key)}")
        limits = _limits({key: changes.pop(key, None) for key in ("runevents", "events", "runtime", "duration")})
        yield QueuedRun({**common, **limits, **changes}, name)
