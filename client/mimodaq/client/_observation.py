"""Events of a buffer as they come, for programs: copies, at most so many a second, which hold up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mimodaq.client._session_values import ObservationLostError, RunInfo, SessionError
from mimodaq.client._windows import WindowPlace, window_places
from mimodaq.protocol.messages import Cluster, Topic

if TYPE_CHECKING:
    from mimodaq.client.async_session import AsyncSession
    from mimodaq.client.session import Session
    from mimodaq.link import View

PATIENCE_S: Final = 5.0
"""A node that does not answer for so long is lost."""
_LOOK_S: Final = 0.05
"""Between two looks: nobody sees the difference, and the node has little to do."""
_MOST: Final = 32
_TURN_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class ObservedEvent:
    """A copy of one event. `event["chA"]` is the array of a field; a scalar has shape (1,)."""

    data: np.void
    """The record, with the fields of the buffer."""
    counter: int
    timestamp: float
    """Seconds UTC."""
    deadtime: float
    """Fraction, -1 if unknown."""
    skipped: int
    """Events between the one before and this one that were not shown."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields."""
        return self.data.dtype.names or ()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The samples of a field."""
        values: npt.NDArray[Any] = self.data[name]
        return values


@dataclass(slots=True)
class Course:
    """When to look, at how much, and when it is over; pure, for the blocking and the asynchronous observation."""

    rate_hz: float | None
    is_over: bool = False
    after: int = -1
    """Number of the newest event shown."""
    _due: float = 0.0
    _refused_since: float | None = None
    _run: int | None = None
    _pause_s: float = field(init=False)
    most: int = field(init=False)
    """Events of one look."""

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not self.rate_hz > 0:
            raise ValueError(f"rate_hz must be above 0 events per second, found {self.rate_hz}; None = no limit")
        self._pause_s = _LOOK_S if self.rate_hz is None else max(1 / self.rate_hz, _LOOK_S)
        self.most = _MOST if self.rate_hz is None else max(1, int(self.rate_hz * self._pause_s))

    def wait_s(self, now: float) -> float:
        """How long to wait before the next look."""
        return max(0.0, self._due - now)

    def hear(self, cluster: Cluster | None) -> None:
        """The cluster has gone on to another run: that one is not observed."""
        run = cluster.run if cluster is not None else None
        self._run = self._run or run
        self.is_over = self.is_over or run not in (None, self._run)

    def take(self, view: View, now: float) -> list[ObservedEvent]:
        """The events of a look; none once it is over."""
        if view.newest < self.after or (view.is_ended and not len(view.events)):
            self.is_over = True  # smaller numbers are those of another run
            return []
        self._refused_since = None
        # without a limit the next look is at once, if there was something to see
        self._due = now + (0.0 if self.rate_hz is None and len(view.events) else self._pause_s)
        found = []
        for index, number in enumerate(view.sequence.tolist()):
            found.append(
                ObservedEvent(
                    view.events[index],
                    int(view.counter[index]),
                    float(view.timestamp[index]),
                    float(view.deadtime[index]),
                    number - self.after - 1 if self.after >= 0 else 0,
                )
            )
            self.after = number
        return found

    def fail(self, place: WindowPlace, error: Exception, newest: Sequence[RunInfo], now: float) -> None:
        """A look has failed; `newest` is the newest run there is. Raises SessionError, unless the run has ended.

        A node that refuses is asked again for a while: it knows of the end of a run before the broker does.
        """
        ring = place.rings[0]
        run = next((run.run for run in newest if run.verdict is None and self._run in (None, run.run)), None)
        if run is not None:
            self._refused_since = self._refused_since if self._refused_since is not None else now
            self._due = now + _TURN_S
            if isinstance(error, TimeoutError) or now - self._refused_since >= PATIENCE_S:
                raise ObservationLostError(
                    f"{place.node} does not show {ring} any more, although run {run} goes on ({error}). "
                    "See mimodaq status, and observe again when the node is back"
                ) from error
        elif self._run is None and self.after < 0:
            raise SessionError(
                f"{ring} cannot be looked at: there is no run. Start one (session.ask('start')), then observe"
            ) from error
        else:
            self.is_over = True


class Observation:
    """The events of one buffer: use it in a `for` loop, which ends with the run.

    `close`, also from another thread, ends it early, and so does Ctrl-C; the session can be used on.
    """

    def __init__(self, session: Session, buffer: str, node: str | None, rate_hz: float | None) -> None:
        """Find the buffer. Raises SessionError, ValueError."""
        self._session = session
        self._course = Course(rate_hz)
        setup, keys = session.inquire(Topic.SETUP), session.inquire(Topic.KEYS)
        self._place = window_places(setup, keys, session.key, buffer, node)[0]
        self._window = self._place.open()
        self._events: deque[ObservedEvent] = deque()
        self._is_closing = threading.Event()
        self._in_use = threading.Lock()

    def __iter__(self) -> Self:
        """Itself: it can be gone through once."""
        return self

    def __next__(self) -> ObservedEvent:
        """The next event. Raises ObservationLostError, UnreachableError."""
        with self._in_use:
            try:
                while not self._events and not self._is_closing.is_set():
                    self._look()
            except BaseException:
                self._is_closing.set()
                raise
            finally:
                if self._is_closing.is_set():
                    self._window.close()
            if self._is_closing.is_set():
                raise StopIteration
            return self._events.popleft()

    def close(self) -> None:
        """End the loop; doing it twice is harmless."""
        self._is_closing.set()
        if self._in_use.acquire(blocking=False):  # else the thread that waits for an event does it
            self._window.close()
            self._in_use.release()

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def _look(self) -> None:
        from mimodaq.link import LinkError

        course = self._course
        self._session.keep_up()
        course.hear(self._session.latest)
        wait_s = course.wait_s(time.monotonic())
        if wait_s > 0.0 and not course.is_over:
            self._is_closing.wait(min(wait_s, _TURN_S))
            return
        try:
            if not course.is_over:
                view = self._window.get(self._place.rings[0], course.most, course.after, PATIENCE_S)
                self._events.extend(course.take(view, time.monotonic()))
        except (LinkError, TimeoutError) as error:
            course.fail(self._place, error, self._session.runs(1), time.monotonic())
        if course.is_over:
            self._is_closing.set()


async def observe_async(
    session: AsyncSession, buffer: str, node: str | None, rate_hz: float | None
) -> AsyncGenerator[ObservedEvent, None]:
    """The same for an event loop. A thread waits for the node."""
    from mimodaq.link import LinkError

    course = Course(rate_hz)
    setup, keys = await asyncio.gather(session.inquire(Topic.SETUP), session.inquire(Topic.KEYS))
    place = window_places(setup, keys, session.key, buffer, node)[0]
    window = place.open()
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"observe-{buffer}")
    try:
        while True:
            await asyncio.sleep(course.wait_s(time.monotonic()))
            course.hear(session.latest)
            if course.is_over:
                return
            get = partial(window.get, place.rings[0], course.most, course.after, PATIENCE_S)
            try:
                view = await asyncio.get_running_loop().run_in_executor(thread, get)
            except (LinkError, TimeoutError) as error:
                course.fail(place, error, await session.runs(1), time.monotonic())
            else:
                for event in course.take(view, time.monotonic()):
                    yield event
    finally:
        thread.submit(window.close)  # after a look that may still go on
        thread.shutdown(wait=False)
