"""Slow work beside the loop of a daemon, which must go on answering: one piece after another, in a thread."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any


class Background:
    """Runs functions one after another; `done` gives the results to the loop. `fd` is readable when there is one."""

    def __init__(self) -> None:
        self.fd, self._bell = os.pipe()
        os.set_blocking(self.fd, False)
        self._todo: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="background", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Any]) -> None:
        """Do this; its result, or the exception it raised, comes out of `done`."""
        self._todo.put(work)

    def _work(self) -> None:
        while (work := self._todo.get()) is not None:
            try:
                self._done.put(work())
            except Exception as error:  # the loop says what failed
                self._done.put(error)
            os.write(self._bell, b"!")

    def done(self) -> list[Any]:
        """Results that have come since the last call."""
        try:
            count = len(os.read(self.fd, 4096))
        except BlockingIOError:
            return []
        return [self._done.get() for _ in range(count)]

    def close(self) -> list[Any]:
        """Finish what is to be done, and stop; the results that nobody has taken."""
        self._todo.put(None)
        self._thread.join()
        left = self.done()
        os.close(self.fd)
        os.close(self._bell)
        return left
