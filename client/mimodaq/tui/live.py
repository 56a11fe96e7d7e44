"""The feed of a cluster that is there: a session with its broker, and windows of its nodes for looking at events.

The session lives in the loop of the app; what blocks (a window waits for the node) has a thread of its own, which only
hands over values.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mimodaq.client._histogram import CountsElsewhere
from mimodaq.client._observing import Looking
from mimodaq.client._windows import window_places
from mimodaq.client.async_session import AsyncSession
from mimodaq.client.session import RefusedError, RunInfo, Session, SessionError
from mimodaq.protocol.counts import Counts
from mimodaq.protocol.messages import Answer, Ask, LogLine, Topic
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import CommandTable

from .feed import Choices, FeedError, Message, RunSummary, Sample

_RUNS: Final = 500
_EVENTS: Final = 20
_EVERY_S: Final = 0.5
_COUNTS_EVERY_S: Final = 1.0
_ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Which broker, and as whom."""

    broker: str = "127.0.0.1"
    key: Path | None = None
    is_insecure: bool = False


class LiveFeed:
    """A cluster through its broker. Made by `open_feed`; closing it changes nothing in the cluster."""

    is_replay = False

    def __init__(self, session: AsyncSession, address: Address, *, may_command: bool = True) -> None:
        self._session, self._address = session, address
        self.operator = session.me.name
        self.may_command = may_command and session.me.may_command

    @property
    def is_secure(self) -> bool:
        """As the broker that is there now has said."""
        return self._session.me.is_secure

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utc_ns(self) -> int:
        """Wall clock."""
        return time.time_ns()

    async def messages(self) -> AsyncIterator[Message]:
        """What the broker publishes."""
        async for news in self._session.listen():
            yield news

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """The last lines of the log."""
        try:
            return await self._session.logs(lines)
        except SessionError as error:
            raise FeedError(str(error)) from error

    async def command(self, ask: Ask) -> Answer:
        """Have a command carried out; what goes wrong on the way is an answer, too."""
        try:
            return await self._session.ask(
                ask.command,
                comment=ask.comment,
                setup_id=ask.setup_id,
                optional=ask.optional,
                on_loss=ask.on_loss,
                force=ask.force,
            )
        except SessionError as error:
            return Answer(ask.number, False, str(error))

    async def commands(self) -> CommandTable:
        """The table of the broker."""
        try:
            return await self._session.commands()
        except SessionError as error:
            raise FeedError(str(error)) from error

    async def runs(self) -> Sequence[RunSummary]:
        """The run database."""
        try:
            return [_summary(run) for run in await self._session.runs(_RUNS)]
        except SessionError as error:
            raise FeedError(str(error)) from error

    async def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """Copies of events, from the window of the node."""
        tap = _Tap(self._address, node, buffer, asyncio.get_running_loop())
        try:
            while (found := await tap.samples.get()) is not None:
                if isinstance(found, SessionError):
                    raise FeedError(str(found))
                yield found
        finally:
            tap.stop()

    async def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """Counts, from the windows of all nodes that have the buffer."""
        thread = ThreadPoolExecutor(1, f"counts of {buffer}")
        try:
            setup, keys = await self._session.inquire(Topic.SETUP), await self._session.inquire(Topic.KEYS)
            elsewhere = CountsElsewhere(window_places(setup, keys, self._session.key, buffer), buffer)
        except SessionError as error:
            raise FeedError(str(error)) from error
        if anew:
            elsewhere.begin_anew()
        try:
            while True:
                yield await asyncio.get_running_loop().run_in_executor(thread, _counts, elsewhere)
                await asyncio.sleep(_COUNTS_EVERY_S)
        except SessionError as error:
            raise FeedError(str(error)) from error
        finally:
            thread.submit(elsewhere.close)  # not here: the thread may be waiting for an answer
            thread.shutdown(wait=False)

    async def setup(self) -> bytes | None:
        """The setup the broker has loaded."""
        try:
            about = await self._session.inquire(Topic.SETUP)
            return await self._session.download(str(about["setup_id"]))
        except RefusedError:
            return None
        except SessionError as error:
            raise FeedError(str(error)) from error

    async def choices(self) -> Choices:
        """Of the setup the broker has loaded."""
        try:
            about = await self._session.inquire(Topic.SETUP)
        except RefusedError:
            return Choices()
        except SessionError as error:
            raise FeedError(str(error)) from error
        return Choices(tuple(about["optional"]), OnLoss(about["on_loss"]))

    async def offer(self, packed: bytes) -> str:
        """Store a setup at the broker."""
        try:
            return await self._session.upload(packed)
        except SessionError as error:
            raise FeedError(str(error)) from error

    async def close(self) -> None:
        """End the session."""
        await self._session.close()


async def open_feed(address: Address, *, may_command: bool = True) -> LiveFeed:
    """Connect; raises SessionError, saying what is wrong, if that is not possible."""
    session = await AsyncSession.connect(address.broker, address.key, is_insecure=address.is_insecure)
    return LiveFeed(session, address, may_command=may_command)


def _summary(run: RunInfo) -> RunSummary:
    started = run.started_utc_s or run.asked_utc_s
    return RunSummary(
        run=run.run,
        setup=run.setup_id[:12],
        operator=run.operator,
        comment=run.comment,
        started_utc_ns=int(started * 1e9),
        running_s=run.running_s,
        events=run.events,
        verdict=run.verdict or "",
        reasons=run.reasons,
        end_reason=run.end_reason,
    )


def _counts(elsewhere: CountsElsewhere) -> Sequence[Counts]:
    return [*elsewhere.counted(_ANSWER_S), elsewhere.sample(timeout_s=_ANSWER_S)]


class _Tap:
    """A thread that looks through the window of a node and hands what it sees to the loop."""

    def __init__(self, address: Address, node: str, buffer: str, loop: asyncio.AbstractEventLoop) -> None:
        self.samples: asyncio.Queue[Sample | SessionError | None] = asyncio.Queue()
        self._address, self._node, self._buffer, self._loop = address, node, buffer, loop
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tap of {buffer}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end by itself, in a moment."""
        self._is_over.set()

    def _run(self) -> None:
        where = self._address
        try:
            with (
                Session.connect(where.broker, where.key, is_insecure=where.is_insecure) as session,
                Looking(session, self._buffer, self._node) as looking,
            ):
                while not self._is_over.is_set():
                    view = looking.next(_EVENTS)
                    if view is None:
                        break
                    if len(view.events):
                        self._hand_over(_sample(self._node, self._buffer, view))
                    self._is_over.wait(_EVERY_S)
            self._hand_over(None)
        except SessionError as error:
            self._hand_over(error)
        except Exception as error:  # the top of a thread: whoever looks must not wait for ever
            self._hand_over(SessionError(f"looking at {self._buffer} on {self._node}: {type(error).__name__}: {error}"))

    def _hand_over(self, what: Sample | SessionError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self.samples.put_nowait, what)
        except RuntimeError:
            self._is_over.set()  # the loop is closed: nobody looks any more


def _sample(node: str, buffer: str, view: Any) -> Sample:
    numbers = np.asarray(view.counter, dtype=np.int64)
    return Sample(node, buffer, view.events, numbers, np.asarray(view.timestamp, dtype=np.float64))
