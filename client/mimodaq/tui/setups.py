"""Setups as they travel: packed from a file, unpacked to be looked at, compared with each other."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from mimodaq.config import BundleError, Setup, SetupErrors, change_setup, load_setup, pack_loaded, unpack_setup

from .feed import FeedError

_WRITTEN: Final = "as_written/"
"""Where a packed setup keeps the files as the user wrote them, beside the one with everything merged."""


@lru_cache(maxsize=2)
def read_packed(packed: bytes) -> Setup:
    """The setup in a bundle; raises FeedError with all that is wrong. The last ones are kept."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-setup-") as folder:
        try:
            return load_setup(unpack_setup(packed, Path(folder, "setup")))
        except (SetupErrors, BundleError) as error:
            raise FeedError(f"reading the setup of the cluster: {error}") from error


def pack(setup: Path | Setup) -> bytes:
    """A setup, or its file, with all it needs; raises FeedError with all that is wrong."""
    try:
        return pack_loaded(setup if isinstance(setup, Setup) else load_setup(setup))
    except (SetupErrors, BundleError) as error:
        raise FeedError(str(error)) from error


def changed(packed: bytes, overrides: Sequence[str]) -> bytes:
    """A bundle with other values; raises FeedError with all that is wrong."""
    try:
        return change_setup(packed, overrides)
    except (SetupErrors, BundleError) as error:
        raise FeedError(f"changing the setup of the cluster ({', '.join(overrides)}): {error}") from error


def texts_of(packed: bytes) -> Mapping[str, str]:
    """The files of a bundle by name, those the user wrote; the merged setup stands last, as `(merged)`."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-setup-") as parent:
        folder = Path(parent, "setup")
        try:
            main = unpack_setup(packed, folder)
        except BundleError as error:
            raise FeedError(f"reading the setup of the cluster: {error}") from error
        names = {file: file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        texts = {name: file.read_text(errors="replace") for file, name in sorted(names.items()) if name[0] != "."}
        merged = texts.pop(main.name)
    return {name.removeprefix(_WRITTEN): text for name, text in texts.items()} | {"(merged)": merged}


def differences(running: Mapping[str, str], file: Mapping[str, str]) -> Iterator[str]:
    """What would change if `file` were applied, as a unified diff; of the merged setup only if nothing else differs."""
    names = [name for name in {**running, **file} if running.get(name) != file.get(name)]
    written = [name for name in names if name != "(merged)"]
    for name in written or names:
        before, after = running.get(name, ""), file.get(name, "")
        titles = (f"running {name}", f"file {name}")
        yield from difflib.unified_diff(before.splitlines(), after.splitlines(), *titles, lineterm="", n=2)
