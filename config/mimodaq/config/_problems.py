"""What is wrong with a setup, where it is written, and what was probably meant.

Reading a setup never stops at the first mistake: every part reports into one `Report`, and the caller gets
all of them together in one `SetupErrors`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a file as the user named it, printed as `file:line`."""

    file: str
    """File name relative to where the user is, or the text of a `--set` option."""
    line: int = 0
    """Line number from 1; 0 when there is no line to name (missing file, command line)."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, printed on one line as `file:line: message (did you mean 'x'?)`."""

    where: Where
    message: str
    suggestion: str = ""
    """The nearest known word, or empty when nothing is near."""

    def __str__(self) -> str:
        hint = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return f"{self.where}: {self.message}{hint}"


class SetupErrors(Exception):
    """A setup cannot be used; `problems` holds everything found, `str()` gives one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class Report:
    """Collects problems in the order found, each one once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, where: Where, message: str, suggestion: str = "") -> None:
        """Note one problem; the same one at the same place (an anchor used twice) is kept once.

        Characters that would break the line, quoted from the file, are written as escapes.
        """
        printable = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
        self._problems[Problem(where, printable, suggestion)] = None

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several problems."""
        self._problems.update(dict.fromkeys(problems))

    def errors(self) -> SetupErrors:
        """All problems, to be raised; sorted by file (in order of appearance) and line."""
        files = list(dict.fromkeys(problem.where.file for problem in self._problems))
        return SetupErrors(sorted(self._problems, key=lambda p: (files.index(p.where.file), p.where.line)))


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like `word` (upper and lower case alike), or "" when none is near."""
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    matches = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else ""


def nearest_file(path: Path) -> str:
    """The name in the folder of the missing file `path` that is most like its own, or ""."""
    names = os.listdir(path.parent) if os.path.isdir(path.parent) else []
    return nearest(path.name, sorted(names), cutoff=0.8)


def show(value: object) -> str:
    """`value` as a user would recognise it in a message: short and on one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 4] + "...'"
