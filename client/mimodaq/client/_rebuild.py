"""`mimodaq rebuild`: the directory of a setup, made of one of the data files that it has written."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from mimodaq.client._exit import EXIT_GOOD, UsageError
from mimodaq.client._run import guarded
from mimodaq.client._streams import tell
from mimodaq.config import MAX_BUNDLE_BYTES, Setup, dump_text, load_setup

_ORIGINALS: Final = "as_written"
"""Where the files go that the user has written; the setup that is run has everything of them."""


@dataclass(frozen=True, slots=True)
class _Description:
    """What a data file says of its run."""

    run: str
    setup: str
    """Name of the setup file."""
    started: str
    ending: str
    files: Mapping[str, bytes]


def rebuild(file: Path, folder: Path | None) -> int:
    """Make the directory of the setup with which `file` was taken; returns the exit code."""

    def work() -> int:
        found = _read(file)
        target = folder if folder is not None else Path(f"{Path(found.setup).stem}-run{found.run}")
        setup = _write(found, target)
        for name, path in _inputs(setup):
            print(f"{name} reads {path}, which is not in {file.name}: put it there", file=sys.stderr)
        tell(
            f"{target} holds the setup of run {found.run}, started {found.started}, {found.ending}\n"
            f"  mimodaq check {target / found.setup}\n  mimodaq run {target / found.setup}"
        )
        return EXIT_GOOD

    return guarded(False, work)


def _read(file: Path) -> _Description:
    from mimodaq.functions.files import FilesError, beside, end_of, open_events, read_beside
    from mimodaq.node import RESOLVED

    try:
        if file.suffix == ".json" and file.is_file():
            metadata: Mapping[str, str] = read_beside(file.with_suffix(""))
        else:
            with open_events(file, unfinished=True) as events:
                metadata = events.metadata
    except FilesError as error:
        raise UsageError(str(error)) from error
    if "sha256" in metadata and "files" not in metadata:
        raise UsageError(
            f"the setup of {file} with all *.py files beside its functions was too large to be kept in data files "
            f"({MAX_BUNDLE_BYTES / 1e6:.0f} MB are): it is in the run directory"
        )
    try:
        texts, hashes = json.loads(metadata["files"]), json.loads(metadata["sha256"])
        files = {str(name): str(text).encode(errors="surrogateescape") for name, text in texts.items()}
        run, setup, started = metadata["run"], metadata["setup"], metadata["started"]
        changed = [name for name, raw in files.items() if hashes[name] != hashlib.sha256(raw).hexdigest()]
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{file} does not say with which setup it was taken: it was written by another program, by an older "
            f"release, or with `metadata: false`, or it is a text that has come without its {beside(file).name}. Use "
            "another file of the same run, or its run directory"
        ) from error
    wrong = [name for name in (*files, setup) if not _is_inside(name)]
    if changed or wrong or RESOLVED not in files:
        raise UsageError(f"the description of the run in {file} is damaged (look at {[*changed, *wrong] or RESOLVED})")
    end = end_of(metadata)
    return _Description(
        run, setup, started, f"verdict {end['verdict']}" if end else "whose end it does not know", files
    )


def _is_inside(name: str) -> bool:
    """Whether a file of this name stays in its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and name.isprintable()


def _write(found: _Description, folder: Path) -> Setup:
    """Write everything; the folder appears complete or not at all. Raises UsageError, SetupErrors."""
    from mimodaq.node import RESOLVED

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty: name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for name, content in found.files.items():
                is_module = name.endswith(".py")
                place = work / (found.setup if name == RESOLVED else name if is_module else f"{_ORIGINALS}/{name}")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            table = load_setup(work / found.setup).resolved()
            table["output_directory"] = "target"  # where it was is somewhere else, or on another computer
            (work / found.setup).write_text(dump_text(table), encoding="utf-8")
            work.chmod(0o755)
            work.rename(folder)
        except BaseException:
            shutil.rmtree(work)
            raise
    except OSError as error:
        raise UsageError(f"writing {folder}: {error.strerror}. Name another folder") from error
    return load_setup(folder / found.setup)


def _inputs(setup: Setup) -> list[tuple[str, str]]:
    """Functions that replay a file which is not there, with its name."""
    return [
        (function.name, str(function.config["input"]))
        for function in setup.functions.values()
        if (function.module, function.function) == ("mimodaq.functions", "replay")
        and not (setup.folder / Path(str(function.config["input"])).expanduser()).exists()
    ]
