"""The directory of a run: its name, its number, and what is put into it at the beginning."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mimodaq.config import Setup, dump_text
from mimodaq.protocol.plan import restarts

RECORD: Final = "run.json"
RESOLVED: Final = "setup.resolved.yaml"
_NUMBERS: Final = ".run_number"


class RunDirectoryError(Exception):
    """The run directory cannot be made; the message says why and what to do."""


def next_run_number(output_directory: Path) -> int:
    """A number no other run in this output directory has or had. Raises RunDirectoryError."""
    path = output_directory / _NUMBERS
    with explained(path):
        output_directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with os.fdopen(fd, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            if text and not text.strip().isdecimal():
                raise RunDirectoryError(
                    f"{path} should hold the number of the last run, found {text[:20]!r}: correct it"
                )
            number = int(text or 0) + 1
            file.seek(0)
            file.write(f"{number}\n")
            file.truncate()
    return number


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory of a run that is beginning."""

    path: Path
    is_new: bool
    """False: it was there before."""

    def holds_run(self) -> bool:
        """Whether there is the record of a run in it."""
        return (self.path / RECORD).exists()

    def in_use(self) -> RunDirectoryError:
        """Why it cannot be that of another run."""
        return RunDirectoryError(
            f"{self.path} holds a run already and is not overwritten: choose another --output, or remove it"
        )

    def remove(self) -> None:
        """Nothing was taken; what was in the directory before stays."""
        if self.is_new:
            shutil.rmtree(self.path)
        else:
            (self.path / RECORD).unlink(missing_ok=True)


def make_run_directory(setup: Setup, directory: Path | None, now: datetime) -> RunDirectory:
    """Make the directory of a run, with nothing in it.

    Named as under mimoCoRB, `<setup name up to "setup">YYYY-MM-DD_HHMM`, with `-2`, `-3`... if there is one already;
    `directory` overrides the name, and may be there. Raises RunDirectoryError when it cannot be made.
    """
    with explained(directory or setup.output_directory):
        return _exact(directory) if directory is not None else RunDirectory(_numbered(setup, now), is_new=True)


def keep_setup(setup: Setup, made: Path) -> None:
    """Copy setup, configuration and modules into the directory of a run. Raises RunDirectoryError."""
    with explained(made):
        resolved = setup.resolved()
        modules = kept_modules(setup)
        for entry in resolved["Functions"]:
            for name, function in entry.items():
                function["restart"] = restarts(setup, setup.functions[name])
                if name in modules:
                    function["function"] = f"{modules[name].with_suffix('')}:{setup.functions[name].function}"
        for source, target in files_to_keep(setup):
            place = made / target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
        (made / RESOLVED).write_text(dump_text(resolved), encoding="utf-8")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError into a RunDirectoryError that says what to do."""
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(
            f"preparing the run directory, {error.filename or path}: {error.strerror}. "
            "Choose another place: --output DIR, or output_directory in the setup"
        ) from error


def _exact(directory: Path) -> RunDirectory:
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        if not directory.is_dir():
            raise
        return RunDirectory(directory.absolute(), is_new=False)
    return RunDirectory(directory.absolute(), is_new=True)


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


def files_to_keep(setup: Setup) -> Iterator[tuple[Path, Path]]:
    """What makes the run repeatable: (file, place in the run directory) of setup, configuration and user modules."""
    yield setup.path, Path(setup.path.name)
    for path in setup.config_files:
        yield path, _relative(path, setup.folder)
    folders = {function.source_file.parent for function in setup.functions.values() if function.source_file is not None}
    for folder in sorted(folders):
        for path in sorted(folder.glob("*.py")):
            yield path, _relative(path, setup.folder)


def kept_files(setup: Setup) -> list[str]:
    """What a run keeps of its setup, by name in the run directory: the resolved one first, then what it was made of."""
    return [RESOLVED, *dict.fromkeys(str(target) for _, target in files_to_keep(setup))]


def kept_modules(setup: Setup) -> dict[str, Path]:
    """For each function from a user's file: where its module is kept, relative to the run directory."""
    return {
        name: _relative(function.source_file, setup.folder)
        for name, function in setup.functions.items()
        if function.source_file is not None
    }


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.parent.name, path.name)
