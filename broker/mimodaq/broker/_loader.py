"""Load setups beside the loop: reading a large one takes longer than a node may be silent."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mimodaq.broker._setups import SetupError, Setups
from mimodaq.protocol.cluster_events import Impossible, SetupLoaded
from mimodaq.protocol.parts import short


class Loader:
    """One thread that loads one setup after the other."""

    def __init__(self, setups: Setups) -> None:
        self._setups = setups
        self._thread = ThreadPoolExecutor(1, "setups")
        self._done: deque[tuple[SetupLoaded | Impossible, dict[str, Any]]] = deque()
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Becomes readable when something is done."""

    def begin(self, ticket: int, setup_id: str) -> None:
        """Load a setup; the result is in `results` some time."""
        self._thread.submit(self._setups.load, setup_id).add_done_callback(self._keep(ticket))

    def _keep(self, ticket: int) -> Callable[[Future[Any]], None]:
        def keep(future: Future[Any]) -> None:
            error = None if future.cancelled() else future.exception()
            if future.cancelled():
                return
            if error is None:
                plan, about = future.result()
                self._done.append((SetupLoaded(ticket, plan), about))
            else:
                text = str(error) if isinstance(error, SetupError) else f"loading the setup: {error!r}"
                self._done.append((Impossible(ticket, short(text)), {}))
            os.eventfd_write(self.fd, 1)

        return keep

    def results(self) -> list[tuple[SetupLoaded | Impossible, dict[str, Any]]]:
        """What was done since the last call: answers for the brain, and what clients are told of a setup."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return []
        return [self._done.popleft() for _ in range(len(self._done))]

    def close(self) -> None:
        """Wait for what is being loaded."""
        self._thread.shutdown(cancel_futures=True)
        os.close(self.fd)
