"""Libraries a function loads before it counts as ready, so that no event waits for an import."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE: Final = "__mimodaq_requires__"


def requires(*modules: str) -> Callable[[F], F]:
    """Mark a function that imports `modules` only when it is called."""

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, modules)
        return function

    return mark


def preload(function: Callable[..., Any]) -> None:
    """Import what the function requires; raises ImportError if something is not installed."""
    for module in getattr(function, _ATTRIBUTE, ()):
        importlib.import_module(module)
