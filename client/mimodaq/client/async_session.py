"""The session for programs with an event loop: several requests may be open at once, and the feed goes on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import zmq
import zmq.asyncio

from mimodaq.client._session_conversation import Conversation, Request
from mimodaq.client._session_known import Known
from mimodaq.client._session_sockets import CONNECT_S, SILENT_S, Diagnosis, Target, connect, targets
from mimodaq.client._session_values import (
    KeyRefusedError,
    Me,
    News,
    RunInfo,
    SessionError,
    Status,
    UnreachableError,
)
from mimodaq.keys import Key
from mimodaq.protocol.codec import ProtocolError
from mimodaq.protocol.messages import Answer, Ask, Cluster, LogLine, Topic
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import OURS, CommandTable

if TYPE_CHECKING:
    from mimodaq.client._histogram import FieldHistogram
    from mimodaq.client._observation import ObservedEvent

_NEWS_KEPT: Final = 10_000
_LOOK_S: Final = 0.25
_LONGEST_S: Final = 60.0


class AsyncSession:
    """As `mimodaq.client.session.Session`, with `await`. Belongs to the loop it was made in."""

    def __init__(self, aim: Target) -> None:
        """Begin to connect; see `connect`."""
        self._context = zmq.asyncio.Context()
        self.key = aim.key
        """Who this client is; None on a connection without keys."""
        self._sockets = connect(self._context, aim.endpoints, aim.key)
        self._diagnosis = Diagnosis(aim.endpoints, aim.key)
        self._conversation = Conversation(is_plain=aim.is_plain)
        self._waiting: dict[Request, asyncio.Future[None]] = {}
        self._news: asyncio.Queue[News] = asyncio.Queue(_NEWS_KEPT)
        self._wake = asyncio.Event()
        self._heard = time.monotonic()
        self._failure: SessionError | None = None
        self._known = Known()
        self._has_news = asyncio.Event()
        self._tasks = [
            asyncio.create_task(work) for work in (self._send(), self._receive(), self._watch(), self._monitor())
        ]

    @classmethod
    async def connect(
        cls,
        address: str = "127.0.0.1",
        key: Path | Key | None = None,
        *,
        is_insecure: bool = False,
        timeout_s: float = CONNECT_S,
    ) -> Self:
        """As `Session.connect`."""
        aims = targets(address, key, is_insecure)
        for aim in aims:
            session = cls(aim)
            try:
                await session._greet(timeout_s)
            except KeyRefusedError:
                await session.close()
                if aim is aims[-1]:
                    raise
            except BaseException:
                await session.close()
                raise
            else:
                return session
        raise AssertionError("there is one at least")

    async def _greet(self, timeout_s: float) -> None:
        await self._result(self._conversation.inquire(Topic.ME, 1, None), timeout_s)

    async def close(self) -> None:
        """End the session; what the broker was told goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._sockets.control.closed:
            self._sockets.close()
            self._context.term()

    async def __aenter__(self) -> Self:
        """For `async with`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session."""
        await self.close()

    @property
    def me(self) -> Me:
        """Who the broker takes this client for."""
        assert self._conversation.me is not None, "set when connected"
        return self._conversation.me

    @property
    def silent_s(self) -> float:
        """How long nothing was heard of the broker; it is heard at least once a second."""
        return time.monotonic() - self._heard

    async def ask(
        self,
        command: str,
        *,
        comment: str = "",
        setup_id: str | None = None,
        optional: Sequence[str] = (),
        on_loss: OnLoss = OnLoss.PAUSE,
        force: bool = False,
        timeout_s: float | None = None,
    ) -> Answer:
        """As `Session.ask`; other commands may be given while this one is waited for."""
        ask = Ask(1, command, setup_id, comment, tuple(optional), on_loss, force)
        answer: Answer = await self._result(self._conversation.ask(ask), timeout_s)
        return answer

    async def configure(
        self,
        setup: str | PathLike[str],
        overrides: Sequence[str] = (),
        *,
        optional: Sequence[str] = (),
        on_loss: OnLoss = OnLoss.PAUSE,
        timeout_s: float | None = None,
    ) -> Answer:
        """As `Session.configure`."""
        from mimodaq.config import BundleError, pack_setup

        try:
            raw = await asyncio.to_thread(pack_setup, setup, overrides)
        except BundleError as error:
            raise SessionError(str(error)) from error
        setup_id = str(await self._result(self._conversation.upload(raw), None))
        return await self.ask("configure", setup_id=setup_id, optional=optional, on_loss=on_loss, timeout_s=timeout_s)

    async def upload(self, raw: bytes) -> str:
        """As `Session.upload`."""
        return str(await self._result(self._conversation.upload(raw), None))

    async def download(self, setup_id: str) -> bytes:
        """A setup the broker has, as `mimodaq.config.pack_setup` made it."""
        raw: bytes = await self._result(self._conversation.download(setup_id), None)
        return raw

    async def listen(self) -> AsyncIterator[News]:
        """Everything that comes over the feed, for ever; one listener at a time.

        A broker that falls silent is no error here: look at `silent_s`.
        """
        while True:
            yield await self._news.get()

    async def status(self, timeout_s: float = CONNECT_S) -> Status:
        """As `Session.status`."""
        since, before = time.monotonic(), self._known.snapshots
        while self._known.lacks(before, time.monotonic() - since):
            self._look_after_tasks()
            if self._known.snapshots == before and time.monotonic() > since + timeout_s:
                raise self._silence("status")
            self._has_news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), _LOOK_S)
        return self._known.status()

    @property
    def latest(self) -> Cluster | None:
        """The newest snapshot of the cluster; None before the first."""
        return self._known.cluster

    def observe(
        self, buffer: str, node: str | None = None, *, rate_hz: float | None = None
    ) -> AsyncGenerator[ObservedEvent, None]:
        """As `Session.observe`, for `async for`; to end it early, put `contextlib.aclosing` around it."""
        from mimodaq.client._observation import observe_async

        return observe_async(self, buffer, node, rate_hz)

    async def histogram(
        self,
        buffer: str,
        field: str,
        *,
        bins: int | None = None,
        range: tuple[float, float] | None = None,
        node: str | None = None,
        timeout_s: float = 5.0,
    ) -> FieldHistogram:
        """As `Session.histogram`."""
        from mimodaq.client._histogram import Request, histogram_async

        return await histogram_async(self, Request(buffer, field, bins, range, node), timeout_s)

    async def logs(self, lines: int = 100) -> tuple[LogLine, ...]:
        """The end of the log, oldest line first."""
        found: tuple[LogLine, ...] = await self._result(self._conversation.logs(lines), None)
        return found

    async def runs(self, limit: int = 100) -> tuple[RunInfo, ...]:
        """The last runs, newest first."""
        return tuple(RunInfo.of(run) for run in (await self.inquire(Topic.RUNS, limit=limit))["runs"])

    async def run(self, number: int) -> RunInfo:
        """All about one run. Raises RefusedError if there is none of this number."""
        return RunInfo.of(await self.inquire(Topic.RUN, run=number))

    async def commands(self) -> CommandTable:
        """As `Session.commands`."""
        if self._conversation.commands is None:
            await self.inquire(Topic.STATES)
        return self._conversation.commands or OURS

    async def inquire(self, what: Topic, *, limit: int = 100, run: int | None = None) -> Any:
        """Plain values about something; see `Topic`."""
        return await self._result(self._conversation.inquire(what, limit, run), None)

    # -- the connection -----------------------------------------------------------------------------------------

    async def _result(self, request: Request, timeout_s: float | None) -> Any:
        begin = time.monotonic()
        done = self._waiting.setdefault(request, asyncio.get_running_loop().create_future())
        self._wake.set()
        try:
            while True:
                await asyncio.wait([done, *self._tasks], timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if request.is_done:
                    return request.answer()
                self._look_after_tasks()
                if self._conversation.me is None and self._diagnosis.is_hopeless():
                    raise self._diagnosis.error()
                waited_s = time.monotonic() - begin
                if (timeout_s is not None and waited_s >= timeout_s) or min(self.silent_s, waited_s) > SILENT_S:
                    raise self._silence(request.what)
        finally:
            self._conversation.drop(request)
            if not request.waiters:
                self._waiting.pop(request, None)

    def _look_after_tasks(self) -> None:
        """Raise what has ended one of them."""
        if self._failure is not None:
            raise self._failure
        for task in self._tasks:
            if task.done():
                task.result()

    def _silence(self, what: str) -> SessionError:
        if self._conversation.me is None or self._diagnosis.is_hopeless():
            return self._diagnosis.error()
        return UnreachableError(
            f"{what}: the broker at {self._diagnosis.endpoints} has not answered. What it was told may go on"
        )

    async def _send(self) -> None:
        while True:
            now = time.monotonic()
            for request, frame in self._conversation.outgoing(now) if self._diagnosis.is_up else ():
                try:
                    await self._sockets.control.send(frame, zmq.NOBLOCK)
                except zmq.Again:
                    self._conversation.postpone(request, now)
            self._wake.clear()
            wait_s = self._conversation.due() - time.monotonic() if self._diagnosis.is_up else _LONGEST_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(max(wait_s, 0.0), _LONGEST_S))

    async def _receive(self) -> None:
        try:
            while True:
                frame = await self._sockets.control.recv()
                self._heard = time.monotonic()
                self._take(self._conversation.heard(frame))
                self._after()
        except ProtocolError as error:
            self._failure = SessionError(f"talking to the broker: {error}")

    async def _watch(self) -> None:
        try:
            while True:
                frames = await self._sockets.feed.recv_multipart()
                self._heard = time.monotonic()
                topic, frame = frames
                self._take(self._conversation.watched(topic, frame))
                self._has_news.set()
                self._after()
        except (ProtocolError, ValueError) as error:
            self._failure = SessionError(f"watching the broker: {error}")

    def _take(self, news: list[News]) -> None:
        for one in news:
            self._known.note(one)
            if self._news.full():
                self._news.get_nowait()
            self._news.put_nowait(one)

    def _after(self) -> None:
        """Let those go on whose requests are answered, and send what has become due."""
        for request, done in self._waiting.items():
            if request.is_done and not done.done():
                done.set_result(None)
        if self._conversation.due() <= time.monotonic():
            self._wake.set()

    async def _monitor(self) -> None:
        while True:
            if self._diagnosis.note(await self._sockets.monitor.recv_multipart()):
                self._conversation.doubt()
            self._wake.set()
