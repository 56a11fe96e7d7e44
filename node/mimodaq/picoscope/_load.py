"""Load the vendor's library of a family through picosdk, from wherever it is.

picosdk looks for a library when the family is imported, in the way of the system, which finds nothing in a slim
container and cannot be told a path. Here a setting and the vendor's own folder come into it.
"""

from __future__ import annotations

import ctypes.util
import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

from mimodaq.picoscope._families import Family
from mimodaq.picoscope._status import ScopeError

LIBRARY_DIR: Final = "MIMODAQ_PICO_LIB_DIR"
"""Environment variable: folder (or file) of the vendor's libraries."""
VENDOR_DIR: Final = Path("/opt/picoscope/lib")
_bound: Final[dict[str, str]] = {}
"""By picosdk's module: the file its functions are bound to."""
INSTALL: Final = "deploy/picoscope/README.md says how to install it"


class LibraryMissingError(ScopeError):
    """The vendor's library, or picosdk, is not there or cannot be loaded."""


def find_file(name: str, library: str | None = None) -> str | None:
    """Where the library of a family is: the setting, the environment variable, the system, the vendor's folder.

    A setting or variable that is given is the only place: what is found elsewhere was not meant.
    """
    given = library or os.environ.get(LIBRARY_DIR)
    if given:
        return _in_folder(Path(given).expanduser(), name)
    return ctypes.util.find_library(name) or _in_folder(VENDOR_DIR, name)


def _in_folder(place: Path, name: str) -> str | None:
    if place.is_file():
        return str(place)
    files = sorted(place.glob(f"lib{name}.so*"))
    return str(files[0]) if files else None


def load_family(family: Family, library: str | None = None) -> Any:
    """The picosdk object of a family, its functions bound to the library asked for, whichever was loaded before.

    Raises LibraryMissingError with the remedy.
    """
    try:
        import picosdk.library as picosdk_library
    except ImportError:
        raise LibraryMissingError(
            "reading a PicoScope: the Python package picosdk is not installed. Install it: pip install picosdk"
        ) from None
    file = find_file(family.name, library)
    if file is None:
        raise LibraryMissingError(_not_found(family, library))
    name = f"picosdk.{family.name}"
    if _bound.get(name) != file:
        sys.modules.pop(name, None)  # picosdk loads a library when the module of its family is imported, and then never
    before = picosdk_library.find_library
    picosdk_library.find_library = lambda _: file
    try:
        module = importlib.import_module(name)
    except OSError as error:
        raise LibraryMissingError(
            f"loading {file} for {family.name}: {error}. Install the package {family.package} for this processor."
        ) from error
    except AttributeError as error:
        raise LibraryMissingError(
            f"loading {file} for {family.name}: {error}. It is older than picosdk: update {family.package}."
        ) from error
    finally:
        picosdk_library.find_library = before
    _bound[name] = file
    return getattr(module, family.name)


def _not_found(family: Family, library: str | None) -> str:
    given = library or os.environ.get(LIBRARY_DIR)
    looked = given or f"the system's library path and {VENDOR_DIR}"
    return (
        f"reading a PicoScope of family {family.name}: its library lib{family.name}.so was not found in {looked}. "
        f"Install the vendor's package {family.package} ({INSTALL}), or try the setup without a scope: driver: simulate"
    )
