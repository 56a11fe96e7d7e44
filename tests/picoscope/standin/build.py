"""Build the stand-in library of a family with gcc: what is implemented here, and a stub for every other symbol.

picosdk binds every function of a family when it is imported; which they are it tells itself, so nothing of the vendor
is kept here.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = {
    "ps2000a": ["-DOVERSAMPLE"],
    "ps3000a": ["-DOVERSAMPLE", "-DTRIGGER_INFO", "-DPOWER"],
    "ps4000a": ["-DPOWER", "-DWIDE_GENERATOR", "-DHIGHEST=32767"],
    "ps5000a": ["-DRESOLUTION", "-DTRIGGER_INFO", "-DPOWER", "-DWIDE_GENERATOR", "-DGENERATOR=SetSigGenBuiltInV2"],
    "ps6000": ["-DOVERSAMPLE", "-DTRIGGER_INFO", "-DBULK_BUFFERS"],
    "ps6000a": [],
}
SOURCES = {"ps6000a": "scope6000a.c"}


def _flags(family: str) -> list[str]:
    return [*FLAGS[family], *([] if family in SOURCES else [f"-DAPI={family}"])]


def _source(family: str) -> Path:
    return FOLDER / SOURCES.get(family, "scope.c")


class _Anything:
    """A library in which every function exists."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getattr__(self, name: str):
        self.names.append(name)

        def function() -> None: ...

        return function


def bound_symbols(family: str) -> list[str]:
    """Every symbol that picosdk binds for a family."""
    from picosdk.library import Library

    seen = _Anything()
    name = f"picosdk.{family}"
    loaded = sys.modules.pop(name, None)
    load, Library._load = Library._load, lambda self: seen
    try:
        importlib.import_module(name)
    finally:
        Library._load = load
        del sys.modules[name]
        if loaded is not None:
            sys.modules[name] = loaded
    return sorted({name for name in seen.names if name.startswith(family)})


def build(family: str, folder: Path) -> Path:
    """The library of a family in `folder`; built once for each version of the source. Needs gcc."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler is not None
    stubs = _stubs(family)
    flags = _flags(family)
    text = "\0".join([*(file.read_text() for file in sorted(FOLDER.glob("*.c"))), stubs, *flags])
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    target = folder / version / f"lib{family}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    generated = target.with_name(f"{family}_stubs_{os.getpid()}.c")
    generated.write_text(stubs)
    half = target.with_suffix(f".{os.getpid()}")
    sources = [str(_source(family)), str(generated)]
    subprocess.run(
        [compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags,
         f"-Wl,-soname,lib{family}.so", "-o", str(half), *sources, "-lm", "-lpthread"],
        check=True,
    )  # fmt: skip
    half.replace(target)
    generated.unlink()
    return target


def _stubs(family: str) -> str:
    made = _implemented(family)
    names = [name for name in bound_symbols(family) if name not in made]
    return "".join(f"unsigned {name}(void) {{ return 0x3F; }}\n" for name in names) or "typedef int nothing;\n"


def _implemented(family: str) -> set[str]:
    """The functions that our source has for a family, after the preprocessor."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler is not None
    out = subprocess.run(
        [compiler, "-E", "-P", *_flags(family), str(_source(family))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall(rf"Status ({family}[A-Z]\w+)\(", out))
