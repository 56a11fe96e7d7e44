"""Load setups beside the loop: reading a large one takes longer than a node may be silent."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from mimodaq.broker._outlet import sendable
from mimodaq.broker._setups import SetupError, Setups
from mimodaq.protocol.cluster_events import Impossible, SetupLoaded
from mimodaq.protocol.plan import ClusterPlan

Loaded = tuple[ClusterPlan, dict[str, Any]]


class Loader:
    """One thread that loads one setup after the other."""

    def __init__(self, setups: Setups) -> None:
        self._setups = setups
        self._thread = ThreadPoolExecutor(1, "setups")
        self._loading: list[tuple[int, Future[Loaded]]] = []
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Becomes readable when something is done."""

    def begin(self, ticket: int, setup_id: str) -> None:
        """Load a setup; the result is in `results` some time."""
        future = self._thread.submit(self._setups.load, setup_id)
        self._loading.append((ticket, future))
        future.add_done_callback(lambda _: os.eventfd_write(self.fd, 1))

    def results(self) -> list[tuple[SetupLoaded | Impossible, dict[str, Any]]]:
        """What was done since the last call: answers for the brain, and what clients are told of a setup."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        done = [one for one in self._loading if one[1].done()]
        self._loading = [one for one in self._loading if one not in done]
        return [_result(ticket, future) for ticket, future in done]

    def close(self) -> None:
        """Wait for what is being loaded."""
        self._thread.shutdown(cancel_futures=True)
        os.close(self.fd)


def _result(ticket: int, future: Future[Loaded]) -> tuple[SetupLoaded | Impossible, dict[str, Any]]:
    error = future.exception()
    if error is not None:
        text = str(error) if isinstance(error, SetupError) else f"loading the setup: {error!r}"
        return Impossible(ticket, sendable(text)), {}
    plan, about = future.result()
    return SetupLoaded(ticket, plan), about
