"""Let old programs import us under the names they know.

`mimocorb` and `mimocorb.X` become the same module objects as `mimodaq.mimocorb` and `mimodaq.mimocorb.X`, so a
class has one identity whichever name it was imported by. The bare module `pulseSimulator` of the ancestor's
examples is offered last, only if a project has none of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

ALIAS: Final = "mimocorb"
REAL: Final = __name__.rpartition(".")[0]
SHIM: Final = str(Path(__file__).with_name("_shim"))
"""A folder that holds nothing but a package `mimocorb`, which installs the alias. Processes that a
script starts with `spawn` or `forkserver` inherit `sys.path`, but nothing else of what was imported here."""


class _Loader(Loader):
    """Puts the real module where the import system is about to find the alias."""

    def __init__(self, real: str) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._real)


class _AliasFinder(MetaPathFinder):
    """Finds `mimocorb` and what is in it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != ALIAS and not fullname.startswith(ALIAS + "."):
            return None
        real = REAL + fullname[len(ALIAS) :]
        if importlib.util.find_spec(real) is None:
            return None
        return ModuleSpec(fullname, _Loader(real), is_package=fullname == ALIAS)


class _ExampleFinder(MetaPathFinder):
    """Finds the example module that old projects import without a package, when nobody else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "pulseSimulator":
            return None
        return ModuleSpec(fullname, _Loader(f"{REAL}.{fullname}"))


def install_alias() -> None:
    """Make `import mimocorb` mean this package, here and in processes started from here; calling it again is harmless.

    A `mimocorb` that was imported before, whatever it was, is forgotten.
    """
    if not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        finder = _AliasFinder()
        for name in [n for n in sys.modules if n == ALIAS or n.startswith(ALIAS + ".")]:
            if finder.find_spec(name, None) is not None:
                del sys.modules[name]
        sys.meta_path.insert(0, finder)
        sys.meta_path.append(_ExampleFinder())
    if SHIM not in sys.path:
        sys.path.append(SHIM)
