"""Find the function a setup names: in the user's file, in an installed module, or among the built-ins."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import mimodaq
from mimodaq.functions._requires import preload

_BUILT_IN: Final = "mimodaq.functions"


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
    each other as under mimoCoRB. What the function `requires` is imported, too. Raises LoadError with the cause;
    errors inside the user's module come with its line.
    """
    for entry in (folder, source_file.parent if source_file else folder):
        if str(entry) not in sys.path:
            sys.path.insert(0, str(entry))
    loaded = _load_file(source_file, folder) if source_file else _import(module, folder)
    # beside the built-ins, that package holds the runtime's own code
    names = loaded.BUILTINS if module == _BUILT_IN else dir(loaded)
    found = getattr(loaded, function, None) if function in names or module != _BUILT_IN else None
    if found is None:
        near = _nearest(function, (n for n in names if not n.startswith("_")))
        raise LoadError("fkt_name", f"{source_file or module} has no function {function!r}", near)
    if not callable(found):
        raise LoadError("fkt_name", f"{function!r} in {source_file or module} is no function")
    try:
        preload(found)
    except ImportError as error:
        raise LoadError("function", f"{function} needs the module {error.name!r}, which is not installed") from None
    return found  # type: ignore[no-any-return]


def _load_file(path: Path, folder: Path) -> Any:
    if not path.is_file():
        near = _nearest(path.stem, (p.stem for p in path.parent.glob("*.py")))
        raise LoadError("file_name", f"there is no file {path}", near)
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
        raise LoadError("file_name", _explain(error, str(path), path.parent)) from error
    return loaded


def _import(module: str, folder: Path) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if f"{module}.".startswith(f"{error.name}."):
            files = {p.stem: p for place in ("modules/*.py", "*.py") for p in folder.glob(place)}
            near = _nearest(module, files)
            message = f"there is no module {module!r}: install it, or name a file (modules/my_file.py:name)"
            raise LoadError("function", message, str(files[near].relative_to(folder)) if near else "") from None
        raise LoadError("function", _explain(error, module, folder)) from error
    except Exception as error:
        raise LoadError("function", _explain(error, module, folder)) from error


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return found[0] if found else ""


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where an exception came by, from the outside in, without this package and what is installed."""
    ours = tuple(str(path) for path in mimodaq.__path__)
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith((*ours, "<frozen")) and "site-packages" not in f.filename]


def _explain(error: BaseException, what: str, folder: Path) -> str:
    """What went wrong while importing, with the line in the user's files (those in `folder`)."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    users = [frame for frame in user_frames(error) if frame.filename.startswith(str(folder))]
    place = f"{users[-1].filename}:{users[-1].lineno}" if users else what
    if isinstance(error, ModuleNotFoundError):
        return f"{place}: module {error.name!r} is not installed"
    return f"{place}: {type(error).__name__}: {error}"
