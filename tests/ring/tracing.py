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
NEVER = sys.maxsize
"""As a number of moments: only trace."""


class Watch:
    """Is told of every byte code that is about to be carried out in `files`, paths or the begin of them."""

    def __init__(self, files: str | tuple[str, ...]) -> None:
        self._files = files

    def at(self, frame: FrameType, offset: int) -> None:
        """The byte code at this offset comes next."""
        raise NotImplementedError

    def called_from(self, frame: FrameType) -> None:
        """A function written in Python, anywhere, was called from this frame."""

    if sys.version_info >= (3, 12):
        # settrace leaves out some of the byte codes there
        def start(self) -> None:
            """Begin to watch."""
            monitoring = sys.monitoring
            events = monitoring.events
            if monitoring.get_tool(monitoring.DEBUGGER_ID) is None:
                monitoring.use_tool_id(monitoring.DEBUGGER_ID, "tests of the ring")

            def instruction(code: CodeType, offset: int) -> Any:
                if not code.co_filename.startswith(self._files):
                    return monitoring.DISABLE
                self.at(sys._getframe(1), offset)
                return None

            def begin(_code: CodeType, _offset: int) -> None:
                caller = sys._getframe(1).f_back
                if caller is not None:
                    self.called_from(caller)

            monitoring.register_callback(monitoring.DEBUGGER_ID, events.INSTRUCTION, instruction)
            monitoring.register_callback(monitoring.DEBUGGER_ID, events.PY_START, begin)
            monitoring.restart_events()
            monitoring.set_events(monitoring.DEBUGGER_ID, events.INSTRUCTION | events.PY_START)

        def stop(self) -> None:
            """Watch no longer; doing so twice does nothing."""
            if sys.monitoring.get_tool(sys.monitoring.DEBUGGER_ID) is not None:
                sys.monitoring.set_events(sys.monitoring.DEBUGGER_ID, 0)
                sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)

    else:

        def start(self) -> None:
            """Begin to watch."""

            def step(frame: FrameType, event: str, _: Any) -> Any:
                if event == "opcode":
                    self.at(frame, frame.f_lasti)
                return step

            def enter(frame: FrameType, _event: str, _: Any) -> Any:
                if frame.f_back is not None:
                    self.called_from(frame.f_back)
                frame.f_trace_opcodes = True
                return step if frame.f_code.co_filename.startswith(self._files) else None

            sys.settrace(enter)

        def stop(self) -> None:
            """Watch no longer; doing so twice does nothing."""
            sys.settrace(None)


class Count(Watch):
    """Calls `act` once, before the n-th byte code (from 0)."""

    def __init__(self, n: int, act: Callable[[], object], files: str | tuple[str, ...] = PACKAGE) -> None:
        super().__init__(files)
        self._left = n
        self._act = act

    def at(self, frame: FrameType, offset: int) -> None:
        self._left -= 1
        if self._left == -1:
            self.stop()
            self._act()


@cache
def _names(code: CodeType) -> dict[int, str]:
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


class Interrupts(Watch):
    """Raises KeyboardInterrupt at the n-th moment (from 0) when a signal handler may run.

    That is at the begin of a function, at the end of a loop, and after a call that did not call Python again.
    """

    def __init__(self, n: int) -> None:
        super().__init__(PACKAGE)
        self._left = n
        self._last: dict[FrameType, str] = {}

    def called_from(self, frame: FrameType) -> None:
        if frame in self._last:
            self._last[frame] = "called Python"

    def at(self, frame: FrameType, offset: int) -> None:
        name = _names(frame.f_code)[offset]
        last = self._last.get(frame)
        self._last[frame] = name
        if last is None or last.startswith("CALL") or name.startswith("JUMP_BACKWARD"):
            self._left -= 1
            if self._left == -1:
                self.stop()
                raise KeyboardInterrupt


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Watch within the context."""
    watch.start()
    try:
        yield
    finally:
        watch.stop()
