"""Classes that hand copies of some events to a display, without getting in the way of the data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from mimodaq.mimocorb._access import Config, Sources, only, refuse
from mimodaq.mimocorb.mimo_buffer import Observer

Sample = tuple[NDArray[Any], NDArray[Any]]
"""A copy of an event, shape (values_per_slot,), and its counter, timestamp and deadtime, structured, shape (1,)."""

_LOOK_S = 0.05


class rbObserver:
    """Give samples of a buffer to a user's program.

    Calling it gives a generator of ``(data, metadata)``; None is the end. At least `min_sleeptime` seconds
    (configuration, 1.0 by default) lie between two samples, however fast the program asks.
    """

    def __init__(self, observe_list: Sources = None, config_dict: Config = None, **rb_info: Any) -> None:
        refuse(rb_info, "read", "write", user=self)
        self.source = Observer(only(observe_list, "observe_list", self))
        self.min_sleeptime = float((config_dict or {}).get("min_sleeptime", 1.0))
        self._due = time.monotonic()

    def __call__(self) -> Iterator[Sample | None]:
        """Samples as they come, then None."""
        while (sample := self._next()) is not None:
            yield sample
        yield None

    def _next(self) -> Sample | None:
        while (left := self._due - time.monotonic()) > 0 and self.source.is_active():
            time.sleep(min(left, _LOOK_S))
        sample = self.source.get()
        self._due = time.monotonic() + self.min_sleeptime
        return sample


class rbWSObserver(rbObserver):
    """The older form of `rbObserver`; what differs is that it can be closed."""

    def close(self) -> None:
        """Stop observing."""
        self.source.leave(is_done=True)
