"""The directory of a run: its name, its number, and what is put into it at the beginning."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from mimodaq.config import Setup, dump_text

RECORD: Final = "run.json"
RESOLVED: Final = "setup.resolved.yaml"
_NUMBERS: Final = ".run_number"


class RunDirectoryError(Exception):
    """The run directory cannot be made; the message says why and what to do."""


def next_run_number(output_directory: Path) -> int:
    """A number no other run in this output directory has or had."""
    output_directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(output_directory / _NUMBERS, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(fd, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        number = int(file.read() or 0) + 1
        file.seek(0)
        file.write(f"{number}\n")
        file.truncate()
    return number


def make_run_directory(setup: Setup, directory: Path | None, now: datetime) -> Path:
    """Make the directory of a run and copy setup, configuration and modules into it.

    Named as under mimoCoRB, `<setup name up to "setup">YYYY-MM-DD_HHMM`, with `-2`, `-3`... if there is one already;
    `directory` overrides the name. Raises RunDirectoryError when it holds a run already or cannot be written.
    """
    try:
        made = _exact(directory) if directory is not None else _numbered(setup, now)
        (made / RESOLVED).write_text(dump_text(setup.resolved()), encoding="utf-8")
        for source, target in files_to_keep(setup):
            place = made / target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
    except OSError as error:
        raise RunDirectoryError(
            f"making the run directory {error.filename or directory or setup.output_directory}: {error.strerror}"
        ) from error
    return made


def _exact(directory: Path) -> Path:
    if (directory / RECORD).exists():
        raise RunDirectoryError(
            f"{directory} holds a run already and is not overwritten: choose another --output, or remove it"
        )
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _numbered(setup: Setup, now: datetime) -> Path:
    setup.output_directory.mkdir(parents=True, exist_ok=True)
    base = setup.output_directory / f"{setup.run_prefix}{now:%Y-%m-%d_%H%M}"
    attempt, path = 1, base
    while True:
        try:
            path.mkdir()
        except FileExistsError:
            attempt += 1
            path = base.with_name(f"{base.name}-{attempt}")
        else:
            return path


def files_to_keep(setup: Setup) -> Iterable[tuple[Path, Path]]:
    """What makes the run repeatable: (file, place in the run directory) of setup, configuration and user modules."""
    yield setup.path, Path(setup.path.name)
    for path in setup.config_files:
        yield path, _relative(path, setup.folder)
    seen: set[Path] = set()
    for function in setup.functions.values():
        if function.source_file is None or not function.source_file.is_file():
            continue
        for path in sorted(function.source_file.parent.glob("*.py")):
            if path not in seen:
                seen.add(path)
                yield path, _relative(path, setup.folder)


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
