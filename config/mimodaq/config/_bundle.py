"""A setup with everything it needs, as bytes: what travels from the operator to every host.

A bundle is one msgpack table: the setup with overrides, merges and defaults carried out, the user's modules, the
files as they were written, and where each key stands in them, so that a mistake found on another host is named where
the user wrote it. The same setup always gives the same bytes, so their hash names it.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ._loader import load_setup
from ._model import Setup
from ._problems import Where
from ._yaml import dump_text

MAX_BUNDLE_BYTES: Final = 8 * 1024 * 1024
MAX_BUNDLE_FILES: Final = 1000
_FORMAT: Final = 1
_ORIGINALS: Final = "as_written"
_MANIFEST: Final = ".bundle"
_LONGEST_NAME: Final = 500


class BundleError(Exception):
    """A setup cannot be packed, or bytes are no bundle; the message says why and what to do."""


def pack_setup(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> bytes:
    """The setup file `path`, changed by `overrides`, as a bundle. Raises SetupErrors or BundleError."""
    return pack_loaded(load_setup(path, overrides))


def pack_loaded(setup: Setup) -> bytes:
    """The same of a setup that is loaded already. Raises BundleError."""
    import msgpack

    resolved = setup.resolved()
    files: dict[str, bytes] = {}
    modules = _modules(setup)
    for entry in resolved["Functions"]:
        for name, function in entry.items():
            if name in modules:
                function["function"] = f"{modules[name].with_suffix('')}:{setup.functions[name].function}"
    files[setup.path.name] = dump_text(resolved).encode()
    for source, target in _files(setup, modules):
        if str(target) not in files:
            files[str(target)] = _read(source)
    size = sum(map(len, files.values()))
    if size > MAX_BUNDLE_BYTES or len(files) > MAX_BUNDLE_FILES:
        largest = max(files, key=lambda name: len(files[name]))
        raise BundleError(
            f"{setup.path.name} and what belongs to it are {len(files)} files with {size / 1e6:.1f} MB, at most "
            f"{MAX_BUNDLE_FILES} and {MAX_BUNDLE_BYTES / 1e6:.1f} MB can be sent to other hosts. All *.py files beside "
            f"a function are taken along; the largest file is {largest}. Put the functions into a folder of their own"
        )
    table = {"format": _FORMAT, "setup": setup.path.name, "places": _places(setup)}
    try:
        raw: bytes = msgpack.packb({**table, "files": dict(sorted(files.items()))})
    except UnicodeEncodeError as error:
        raise BundleError(f"packing {setup.path}: a file name holds bytes that are no characters: rename it") from error
    return raw


def unpack_setup(raw: bytes, folder: Path) -> Path:
    """Write the files of a bundle into `folder`, which appears complete or not at all; answers the setup file.

    A folder that is there already is left as it is. Raises BundleError for bytes that are no bundle, or whose files
    would lie outside of the folder.
    """
    import msgpack

    table = _read_bundle(raw)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for name, content in table["files"].items():
                place = work / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            (work / _MANIFEST).write_bytes(msgpack.packb({"setup": table["setup"], "places": table["places"]}))
            work.rename(folder)
        except OSError as error:
            shutil.rmtree(work)
            if not folder.is_dir():  # else another process was faster
                raise BundleError(f"writing a setup to {folder}: {error.strerror}") from error
    return folder / str(table["setup"])


def change_setup(raw: bytes, overrides: Sequence[str]) -> bytes:
    """A bundle with some values changed; what the user has written goes along as it was.

    Raises SetupErrors or BundleError.
    """
    import msgpack

    table = _read_bundle(raw)
    with tempfile.TemporaryDirectory(prefix="mimodaq-setup-") as parent:
        changed = _read_bundle(pack_setup(unpack_setup(raw, Path(parent, "setup")), overrides))
    merged = {table["setup"]: changed["files"][table["setup"]]}
    answer: bytes = msgpack.packb({**table, "files": {**table["files"], **merged}})
    return answer


def load_unpacked(folder: Path) -> Setup:
    """The setup in a folder made by `unpack_setup`; places are those in the files of the user.

    Raises SetupErrors, or BundleError if the folder is not such a one.
    """
    import msgpack

    try:
        manifest = msgpack.unpackb((folder / _MANIFEST).read_bytes(), strict_map_key=False, use_list=False)
    except (OSError, ValueError, msgpack.UnpackException) as error:
        raise BundleError(f"{folder} holds no setup that was sent here: {error}") from error
    setup = load_setup(folder / manifest["setup"])
    places: dict[tuple[Hashable, ...], Where] = {path: Where(file, line) for path, file, line in manifest["places"]}
    return dataclasses.replace(
        setup,
        buffers={n: dataclasses.replace(b, where=places.get((n,), b.where)) for n, b in setup.buffers.items()},
        functions={n: dataclasses.replace(f, where=places.get((n,), f.where)) for n, f in setup.functions.items()},
        places=places,
    )


def _modules(setup: Setup) -> dict[str, PurePosixPath]:
    """For each function from a user's file: where its module is in the bundle."""
    found = {}
    for name, function in setup.functions.items():
        if function.source_file is not None:
            inside = PurePosixPath(f"{function.module}.py")
            is_inside = not inside.is_absolute() and ".." not in inside.parts and inside.parts[0] != "~"
            source = function.source_file
            found[name] = inside if is_inside else PurePosixPath(source.parent.name or "modules", source.name)
    return found


def _files(setup: Setup, modules: dict[str, PurePosixPath]) -> Iterator[tuple[Path, PurePosixPath]]:
    """(file, place in the bundle): modules with all Python files beside them, and what the user wrote."""
    folders = {setup.functions[name].source_file: place for name, place in modules.items()}
    for source, place in sorted((source, place) for source, place in folders.items() if source is not None):
        yield source, place
        for beside in sorted(source.parent.glob("*.py")):
            if beside.is_file():
                yield beside, place.parent / beside.name
    originals = PurePosixPath(_ORIGINALS)
    for path in (setup.path, *setup.config_files):
        inside = path.relative_to(setup.folder) if path.is_relative_to(setup.folder) else Path(path.name)
        yield path, originals / inside


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"reading {path}: {error.strerror}") from error


def _places(setup: Setup) -> list[list[Any]]:
    """Where keys stand, as plain values; keys that are no text and no number are found by the one above them."""
    plain = [(p, w) for p, w in setup.places.items() if all(isinstance(key, str | int) for key in p)]
    return [[list(path), where.file, where.line] for path, where in sorted(plain, key=lambda one: repr(one[0]))]


def _read_bundle(raw: bytes) -> dict[str, Any]:
    """The table of a bundle, of which every part has been looked at."""
    import msgpack

    if len(raw) > 2 * MAX_BUNDLE_BYTES:
        raise BundleError(f"a setup of {len(raw)} bytes is too long")
    try:
        table = msgpack.unpackb(raw, strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BundleError(f"these bytes are no setup ({type(error).__name__})") from error
    if not isinstance(table, dict) or table.get("format") != _FORMAT:
        found = table.get("format") if isinstance(table, dict) else None
        raise BundleError(
            f"these bytes are no setup of format {_FORMAT} (found {str(found)[:20]}); "
            "install the same release of mimodaq on all hosts"
        )
    files, places, name = table.get("files"), table.get("places"), table.get("setup")
    if not isinstance(files, dict) or not isinstance(places, list) or not isinstance(name, str) or name not in files:
        raise BundleError("these bytes are no setup: its parts are missing")
    if len(files) > MAX_BUNDLE_FILES:
        raise BundleError(f"a setup of {len(files)} files has too many")
    for file, content in files.items():
        if not isinstance(file, str) or not isinstance(content, bytes) or not _is_safe(file):
            raise BundleError(f"a setup may not hold a file {str(file)[:60]!r}")
    if not all(_is_place(place) for place in places):
        raise BundleError("these bytes are no setup: its list of places is damaged")
    return table


def _is_safe(name: str) -> bool:
    """Whether a name stays in the folder it is put into, and means the same everywhere."""
    path = PurePosixPath(name)
    is_plain = name.isprintable() and "\\" not in name and len(name) <= _LONGEST_NAME and str(path) == name
    return is_plain and not path.is_absolute() and bool(path.parts) and ".." not in path.parts and name != _MANIFEST


def _is_place(place: object) -> bool:
    if not isinstance(place, list) or len(place) != 3:
        return False
    path, file, line = place
    is_path = isinstance(path, list) and all(isinstance(key, str | int) for key in path)
    return is_path and isinstance(file, str) and isinstance(line, int)
