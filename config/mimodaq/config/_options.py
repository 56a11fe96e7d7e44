"""Collect the options of each function from all the places where they may stand.

In rising order: block of the function's name in `FunctionConfigs`, in the common configuration file
(`Fkt_main.config_file`), the function's own `config_file`: as under mimoCoRB, the last of these that is there
counts alone. On top of it, option by option, come the function's `config:` block and the command line.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ._overrides import OptionOverride, set_value
from ._problems import Problem, Report, Where, nearest, nearest_file, show
from ._variables import substitute
from ._yaml import Document, KeyPath, read_document

_RESEMBLES = 0.85


class ConfigFiles:
    """Reads the configuration files a setup names, each one once."""

    def __init__(self, folder: Path, shown: Path, variables: dict[str, Any], report: Report) -> None:
        self._folder = folder
        self._shown = shown
        self._variables = variables
        self._report = report
        self._documents: dict[Path, Document | None] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the files read."""
        return tuple(self._documents)

    def read(self, name: str, where: Where) -> Document | None:
        """The file `name`, found in the setup's folder or else in the current one; None if unusable."""
        path, shown = self._find(name)
        if not os.path.isfile(path):
            if os.path.exists(path):
                self._report.add(where, f"the configuration file {name!r} is not a file")
            else:
                folders = f" in {self._shown} or the current folder" if self._folder != Path.cwd() else ""
                message = f"the configuration file {name!r} does not exist{folders}"
                near = nearest_file(path)
                self._report.add(where, message, str(Path(name).with_name(near)) if near else "")
            return None
        if path not in self._documents:
            document = read_document(path, shown, self._report)
            if document is not None:
                substitute(document, self._variables, self._report)
            self._documents[path] = document
        return self._documents[path]

    def _find(self, name: str) -> tuple[Path, str]:
        """Absolute path, and the path to show in messages."""
        relative = os.path.expanduser(name)
        for folder, shown in ((self._folder, self._shown), (Path.cwd(), Path())):
            path = Path(os.path.abspath(folder / relative))
            if os.path.exists(path):
                return path, str(shown / relative)
        return Path(os.path.abspath(self._folder / relative)), str(self._shown / relative)


def collect_options(
    layers: Iterable[tuple[Document, KeyPath]], inline: KeyPath, overrides: Sequence[OptionOverride], report: Report
) -> tuple[dict[str, Any], Document]:
    """The merged options of one function, and a document whose `where(option, ...)` finds each of them.

    A layer is a document and the path of a block in it, which may be missing; the one at `inline` adds to those
    before it, every other one replaces them.
    """
    options: dict[str, Any] = {}
    places = Document("", options)
    for document, path in layers:
        block: Any = document.data
        for key in path:
            block = block.get(key) if isinstance(block, dict) else None
        if isinstance(block, dict) and path != inline:
            options.clear()
            places = Document("", options)
        if block is not None and not isinstance(block, dict):
            where = document.where(*path)
            report.add(where, f"{path[-1]}: expected options as 'name: value' lines, found {show(block)}")
        for key, value in (block if isinstance(block, dict) else {}).items():
            if not isinstance(key, str):
                where = document.where(*path, key)
                report.add(where, f"an option must have a name: put {show(key)} in quotes to use it as one")
                continue
            options[key] = copy.deepcopy(value)  # other functions may take the same block
            places.replace((key,), document.where(*path, key))
            for known, where in document.below(*path, key):
                places.note((key, *known), where)
    for override in overrides:
        set_value(places, override.path, override.value, override.where, report)
    return options, places


def unused_blocks(documents: Iterable[tuple[Document, KeyPath]], used: Sequence[str]) -> list[Problem]:
    """Blocks of options that no function takes, but whose name is almost that of one."""
    warnings = []
    for document, path in documents:
        table: Any = document.data
        for key in path:
            table = table.get(key)
        for name in table if isinstance(table, dict) else ():
            near = nearest(name, used, _RESEMBLES) if name not in used else ""
            if near:
                where = document.where(*path, name)
                warnings.append(Problem(where, f"no function is called {name!r}: the block has no effect", near))
    return warnings
