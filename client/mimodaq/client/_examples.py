"""`mimodaq init`: begin an experiment from one of the examples."""

from __future__ import annotations

import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path

from mimodaq.client._exit import EXIT_GOOD, UsageError


def names() -> dict[str, str]:
    """Every example and the first line of its README."""
    found = {}
    for entry in sorted(files("mimodaq.examples").iterdir(), key=lambda e: e.name):
        if entry.is_dir() and (entry / "setup.yaml").is_file():
            found[entry.name] = (entry / "README.md").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return found


def init(directory: Path, example: str) -> int:
    """Copy an example into a new directory; returns the exit code. Raises UsageError when that cannot be."""
    known = names()
    if example not in known:
        raise UsageError(f"there is no example {example!r}; there are {', '.join(known)}")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not empty: choose a new directory")
    with as_file(files("mimodaq.examples") / example) as source:
        shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "target"))
    print(f"{directory} holds the example {example}: {known[example]}", file=sys.stderr)
    print(f"  mimodaq check {directory / 'setup.yaml'}", file=sys.stderr)
    print(f"  mimodaq run {directory / 'setup.yaml'}", file=sys.stderr)
    return EXIT_GOOD
