"""What a function can look at before the run besides its options: its buffers, its processes, its host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE: Final = "__mimodaq_checked_by__"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The buffers of a function, by name in the order of `RB_assign`, with their event dtypes."""

    reads: Mapping[str, np.dtype[Any]]
    writes: Mapping[str, np.dtype[Any]]
    observes: Mapping[str, np.dtype[Any]]
    processes: int = 1
    is_here: bool = False
    """Whether this host is going to run the function, so that instruments can be looked for."""

    @classmethod
    def of(
        cls, rb_assign: Mapping[str, str], dtypes: Mapping[str, np.dtype[Any]], processes: int, is_here: bool = False
    ) -> Surroundings:
        """Sort buffers by what is done with them."""
        reads, writes, observes = (
            {name: dtypes[name] for name, word in rb_assign.items() if word == access}
            for access in ("read", "write", "observe")
        )
        return cls(reads, writes, observes, processes, is_here)


@dataclass(frozen=True, slots=True)
class SetupProblem:
    """Something in the entry of a function that cannot work."""

    key: tuple[str, ...]
    """Path of the key in the entry: `("config", "offsets", "RB_2")`."""
    message: str
    suggestion: str = ""


Check = Callable[[Mapping[str, Any], Surroundings], list[SetupProblem]]


def checked_by(check: Check) -> Callable[[F], F]:
    """Mark a function whose options are compared with its buffers by `check(config, surroundings)` before the run."""

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, check)
        return function

    return mark


def check_surroundings(
    function: Callable[..., Any], config: Mapping[str, Any], surroundings: Surroundings
) -> list[SetupProblem]:
    """Everything the function's own check finds; nothing if it has none."""
    check: Check | None = getattr(function, _ATTRIBUTE, None)
    return check(config, surroundings) if check else []
