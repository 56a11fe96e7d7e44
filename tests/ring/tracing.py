"""Do something to this process anywhere inside the ring, counted in byte codes."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
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


@cache
def _names(code: CodeType) -> dict[int, str]:
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


class _Frame:
    """Where in a Python function a signal handler may run: at its begin, at the end of a loop, after a call into C."""

    def __init__(self, frame: FrameType) -> None:
        self._names = _names(frame.f_code)
        self._last = ""
        self.has_called_python = False

    def is_breakable(self, offset: int) -> bool:
        name, last = self._names[offset], self._last
        after_c = last.startswith("CALL") and not self.has_called_python
        self._last, self.has_called_python = name, False
        return not last or after_c or name.startswith("JUMP_BACKWARD")


@contextmanager
def interrupt(n: int) -> Iterator[None]:
    """Within the context, raise KeyboardInterrupt at the n-th moment (from 0) in the ring when Ctrl-C might do so."""
    frames: dict[FrameType, _Frame] = {}
    count = -1

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "opcode" and frames[frame].is_breakable(frame.f_lasti):
            count += 1
            if count == n:
                sys.settrace(None)
                raise KeyboardInterrupt
        return step

    def enter(frame: FrameType, _event: str, _: Any) -> Any:
        caller = frame.f_back
        if caller in frames:
            frames[caller].has_called_python = True
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frames[frame] = _Frame(frame)
        frame.f_trace_opcodes = True
        return step

    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)


@contextmanager
def at_byte_code(n: int, act: Callable[[], object]) -> Iterator[None]:
    """Within the context, call `act` before the n-th byte code of the core."""
    arm(n, act, _core.__file__)
    try:
        yield
    finally:
        sys.settrace(None)
