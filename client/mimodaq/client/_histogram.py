"""Histograms of a run, counted beside its buffers: by functions of the setup, or by a node from a sample of events.

Only counts come over the network. A function that runs on several hosts counts on each a part of the events; the
parts are put together here.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mimodaq.client._session_values import SessionError
from mimodaq.client._windows import WindowPlace, window_places
from mimodaq.protocol.counts import Counts, FieldCounts, Wanted
from mimodaq.protocol.histogram import AUTO_BINS, Histogram
from mimodaq.protocol.messages import Topic

if TYPE_CHECKING:
    from mimodaq.client.async_session import AsyncSession
    from mimodaq.client.session import Session
    from mimodaq.link import Window

ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class FieldHistogram:
    """The histogram of one field of a buffer at one moment."""

    buffer: str
    field: str
    label: str
    """Of the axis, with the unit where it is known."""
    edges: npt.NDArray[np.float64]
    """Of the bins, shape (n + 1,)."""
    counts: npt.NDArray[np.int64]
    """In the bins, shape (n,)."""
    underflow: int
    overflow: int
    not_a_number: int
    mean: float
    """Of the values in the bins; nan if there are none."""
    sigma: float
    events: int
    """That were looked at."""
    function: str
    """Who counts; empty: the node, for whoever asks."""
    is_sample: bool
    """Events were left out; otherwise every event is counted."""
    is_final: bool
    """Nothing more will come."""
    missing: tuple[str, ...] = ()
    """Nodes that count a part of the events and did not answer."""

    @property
    def entries(self) -> int:
        """All values, wherever they are."""
        return int(self.counts.sum()) + self.underflow + self.overflow + self.not_a_number


class CountsElsewhere:
    """What is counted of one buffer, or of all, on the nodes of a cluster. Use it as a context manager."""

    def __init__(self, places: Sequence[WindowPlace], buffer: str = "") -> None:
        self._places = tuple(places)
        self._buffer = buffer
        self._windows: dict[str, Window] = {}
        self.missing: tuple[str, ...] = ()
        """Nodes that did not answer at the last call of `counted`."""

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; nothing else changes."""
        for window in self._windows.values():
            window.close()
        self._windows.clear()

    def counted(self, timeout_s: float = ANSWER_S) -> list[Counts]:
        """What functions of the run count, those on several nodes put together; perhaps nothing.

        Raises SessionError if no node answers.
        """
        from mimodaq.link import LinkError

        found: list[Counts] = []
        missing: dict[str, Exception] = {}
        for place in self._places:
            try:
                counts = self._window(place).counts(timeout=timeout_s)
            except (LinkError, TimeoutError) as error:
                missing[place.node] = error
            else:
                found += [one for one in counts if not self._buffer or one.ring in place.rings]
        self.missing = tuple(missing)
        if missing and len(missing) == len(self._places):
            raise _no_answer(next(iter(missing.values())))
        return put_together(found)

    def sample(self, of: Sequence[Wanted] = (), timeout_s: float = ANSWER_S) -> Counts:
        """Histograms that the buffer's node fills as long as one asks, by default of every field.

        Raises SessionError.
        """
        from mimodaq.link import LinkError

        place = self._places[0]
        try:
            return self._window(place).sample(place.rings[0], of, timeout_s)
        except (LinkError, TimeoutError) as error:
            raise _no_answer(error) from error

    def begin_anew(self) -> None:
        """Let `sample` begin with empty histograms."""
        self._window(self._places[0]).begin_anew()

    def _window(self, place: WindowPlace) -> Window:
        if place.node not in self._windows:
            self._windows[place.node] = place.open()
        return self._windows[place.node]


def _no_answer(error: Exception) -> SessionError:
    return SessionError(f"{error}. A window is open only during a run, and only to keys the node knows")


def put_together(parts: Sequence[Counts]) -> list[Counts]:
    """Counts of the same function as one."""
    whole: dict[str, Counts] = {}
    for part in parts:
        before = whole.get(part.function)
        whole[part.function] = part if before is None else _sum(before, part)
    return list(whole.values())


def _sum(one: Counts, other: Counts) -> Counts:
    fields = []
    for counted in one.fields:
        more = other.of(counted.field)
        histogram = copy.deepcopy(counted.histogram)
        if more is not None:
            histogram.merge(more.histogram)  # of the same setup, so of the same bins
        fields.append(replace(counted, histogram=histogram))
    return replace(
        one,
        fields=tuple(fields),
        events=one.events + other.events,
        is_sample=one.is_sample or other.is_sample,
        is_final=one.is_final and other.is_final,
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A histogram that somebody wants."""

    buffer: str
    field: str
    bins: int | None = None
    range: tuple[float, float] | None = None
    node: str | None = None

    def find(self, places: Sequence[WindowPlace], timeout_s: float) -> FieldHistogram:
        """Ask for it. Raises SessionError when it cannot be had."""
        with CountsElsewhere(places, self.buffer) as elsewhere:
            for counts in elsewhere.counted(timeout_s):
                found = counts.of(self.field)
                if found is not None and has_bins(found.histogram, self.bins, self.range):
                    return shown(counts, found, self.buffer, elsewhere.missing)
            counts = elsewhere.sample([wanted(self.field, self.bins, self.range)], timeout_s)
            return shown(counts, counts.fields[0], self.buffer)


def has_bins(histogram: Histogram, bins: int | None, range_: tuple[float, float] | None) -> bool:
    """Whether a histogram has the bins that are wanted, where any are."""
    is_range = range_ is None or (histogram.low, histogram.high) == tuple(map(float, range_))
    return is_range and bins in (None, histogram.bins)


def wanted(field: str, bins: int | None, range_: tuple[float, float] | None) -> Wanted:
    """What a window is asked for."""
    low, high = range_ or (None, None)
    return Wanted(field, AUTO_BINS if bins is None else bins, low, high)


def shown(counts: Counts, found: FieldCounts, buffer: str, missing: tuple[str, ...] = ()) -> FieldHistogram:
    """Counts as they are given to users."""
    histogram = found.histogram
    return FieldHistogram(
        buffer=buffer,
        field=found.field,
        label=found.label or found.field,
        edges=histogram.edges,
        counts=histogram.counts,
        underflow=histogram.underflow,
        overflow=histogram.overflow,
        not_a_number=histogram.not_a_number,
        mean=histogram.mean,
        sigma=histogram.sigma,
        events=counts.events,
        function=counts.function,
        is_sample=counts.is_sample,
        is_final=counts.is_final,
        missing=missing,
    )


def histogram(session: Session, request: Request, timeout_s: float) -> FieldHistogram:
    """As `Session.histogram`."""
    setup, keys = session.inquire(Topic.SETUP), session.inquire(Topic.KEYS)
    return request.find(window_places(setup, keys, session.key, request.buffer, request.node), timeout_s)


async def histogram_async(session: AsyncSession, request: Request, timeout_s: float) -> FieldHistogram:
    """As `AsyncSession.histogram`: the windows are asked in a thread of its own."""
    import asyncio

    setup, keys = await session.inquire(Topic.SETUP), await session.inquire(Topic.KEYS)
    places = window_places(setup, keys, session.key, request.buffer, request.node)
    return await asyncio.to_thread(request.find, places, timeout_s)
