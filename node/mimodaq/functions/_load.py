"""Find the function a setup names: in the user's file, in an installed module, or among the built-ins."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mimodaq.functions._requires import preload


class LoadError(Exception):
    """The function cannot be had; `key` says which entry of the setup is to blame."""

    def __init__(self, key: str, message: str, suggestion: str = "") -> None:
        super().__init__(message + (f" (did you mean {suggestion!r}?)" if suggestion else ""))
        self.key = key
        self.message = message
        self.suggestion = suggestion


def load_function(module: str, function: str, source_file: Path | None, folder: Path) -> Callable[..., Any]:
    """Import `function` from the user's `source_file`, or from the importable `module`.

    `folder` (that of the setup) and the folder of the file go on `sys.path` first, so that modules of a project find
    each other as under mimoCoRB. What the function `requires` is imported, too. Raises LoadError with the cause; errors inside the user's module come with its line.
    """
    for entry in (folder, source_file.parent if source_file else folder):
        if str(entry) not in sys.path:
            sys.path.insert(0, str(entry))
    loaded = _load_file(source_file, folder) if source_file else _import(module)
    try:
        found = getattr(loaded, function)
    except AttributeError:
        names = [n for n in dir(loaded) if callable(getattr(loaded, n, None)) and not n.startswith("_")]
        near = difflib.get_close_matches(function, names, n=1)
        raise LoadError(
            "fkt_name", f"{source_file or module} has no function {function!r}", near[0] if near else ""
        ) from None
    if not callable(found):
        raise LoadError("fkt_name", f"{function!r} in {source_file or module} is no function")
    try:
        preload(found)
    except ImportError as error:
        raise LoadError("function", f"{function} needs the module {error.name!r}, which is not installed") from None
    return found  # type: ignore[no-any-return]


def _load_file(path: Path, folder: Path) -> Any:
    if not path.is_file():
        siblings = [p.stem for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.stem, siblings, n=1)
        raise LoadError("file_name", f"there is no file {path}", near[0] if near else "")
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None:
        name = f"{folder.name}_{name}"  # the user's file has the name of an imported module
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError("file_name", f"{path} is no Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise LoadError("file_name", _explain(error, str(path))) from error
    return loaded


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            raise LoadError(
                "function", f"there is no module {module!r}: install it, or name a file (modules/my_file.py:name)"
            ) from None
        raise LoadError("function", _explain(error, module)) from error
    except Exception as error:
        raise LoadError("function", _explain(error, module)) from error


def _explain(error: BaseException, what: str) -> str:
    """What went wrong while importing, with the line of the user's file."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    place = what
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith("<") and "importlib" not in name and name != __file__:
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, ModuleNotFoundError):
        return f"{place}: module {error.name!r} is not installed"
    return f"{place}: {type(error).__name__}: {error}"
