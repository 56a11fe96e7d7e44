"""Setups as text: read from a folder, checked, and compared with what the cluster has."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mimodaq.config import Setup, SetupErrors, load_setup

from .feed import FeedError, SetupFiles


def read_files(given: SetupFiles) -> Setup:
    """The setup in these files; raises FeedError with all that is wrong."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-setup-") as folder:
        for name, text in given.files.items():
            path = Path(folder, name).resolve()
            if not path.is_relative_to(Path(folder).resolve()):
                raise FeedError(f"reading the setup of the cluster: file {name!r} would lie outside of its folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        try:
            return load_setup(Path(folder, given.main))
        except SetupErrors as error:
            raise FeedError(f"reading the setup of the cluster: {error}") from error


def files_of(path: Path) -> SetupFiles:
    """A setup file with all it refers to; raises FeedError with all that is wrong."""
    try:
        setup = load_setup(path)
        parts = {setup.path, *setup.config_files, *(f.source_file for f in setup.functions.values() if f.source_file)}
        files = {_name(part, setup.folder): part.read_text() for part in sorted(parts) if part.exists()}
    except SetupErrors as error:
        raise FeedError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(f"reading {path}: {error}") from error
    return SetupFiles(setup.path.name, files)


def _name(path: Path, folder: Path) -> str:
    if not path.is_relative_to(folder):
        raise FeedError(f"{path} lies outside of {folder}: only files in the folder of the setup travel to the nodes")
    return str(path.relative_to(folder))


def differences(running: Mapping[str, str], file: Mapping[str, str]) -> Iterator[str]:
    """What would change if `file` were applied, as a unified diff of every file."""
    for name in sorted({*running, *file}):
        before, after = running.get(name, ""), file.get(name, "")
        if before != after:
            names = (f"running {name}", f"file {name}")
            yield from difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="", n=2)
