"""Do something to this process anywhere inside the ring, counted in byte codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mimodaq.ring import _core

PACKAGE = str(Path(_core.__file__).parent)


def arm(n: int, act: Callable[[], object], files: str = PACKAGE) -> None:
    """Call `act` once, before the n-th byte code (from 0) that is carried out in `files`, a path or the begin of it."""
    count = -1

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
            if count == n:
                sys.settrace(None)
                act()
        return step

    def enter(frame: FrameType, _event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(files):
            return None
        frame.f_trace_opcodes = True
        return step

    sys.settrace(enter)


@contextmanager
def at_byte_code(n: int, act: Callable[[], object]) -> Iterator[None]:
    """Within the context, call `act` before the n-th byte code of the core."""
    arm(n, act, _core.__file__)
    try:
        yield
    finally:
        sys.settrace(None)
