"""Talk to a broker from a program, a notebook, or the command line.

    with Session.connect("daq1.lab", key=Path("anna.key")) as session:
        session.configure("setup.yaml")
        print(session.ask("start").text)
        for news in session.listen():
            ...

`Session` blocks; for programs with an event loop there is `mimodaq.client.async_session`. All values are frozen. A
session belongs to one thread; it may be kept for days, and finds its broker again by itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import zmq

from mimodaq.client._session_conversation import Conversation, Request
from mimodaq.client._session_known import Known
from mimodaq.client._session_sockets import CONNECT_S, SILENT_S, Diagnosis, Target, connect, targets
from mimodaq.client._session_values import (
    AccountInfo,
    CountInfo,
    KeyRefusedError,
    LinkInfo,
    Me,
    News,
    ObservationLostError,
    RefusedError,
    RestartedError,
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
    from mimodaq.client._observation import Observation

__all__ = [
    "AccountInfo",
    "CountInfo",
    "KeyRefusedError",
    "LinkInfo",
    "Me",
    "News",
    "ObservationLostError",
    "RefusedError",
    "RestartedError",
    "RunInfo",
    "Session",
    "SessionError",
    "Status",
    "UnreachableError",
]

_NEWS_KEPT: Final = 10_000
_TURN_S: Final = 0.25


class Session:
    """One client's connection to a broker."""

    def __init__(self, aim: Target) -> None:
        """Begin to connect; see `connect`."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.key = aim.key
        """Who this client is; None on a connection without keys."""
        self._sockets = connect(self._context, aim.endpoints, aim.key)
        self._diagnosis = Diagnosis(aim.endpoints, aim.key)
        self._conversation = Conversation(is_plain=aim.is_plain)
        self._news: deque[News] = deque(maxlen=_NEWS_KEPT)
        self._heard = time.monotonic()
        self._known = Known()

    @classmethod
    def connect(
        cls,
        address: str = "127.0.0.1",
        key: Path | Key | None = None,
        *,
        is_insecure: bool = False,
        timeout_s: float = CONNECT_S,
    ) -> Self:
        """A session with the broker at `HOST`, `HOST:PORT` or `ipc:///FOLDER`.

        Without a key the only one in the key folder is taken where one is needed; `is_insecure` allows another host
        without keys. Raises SessionError, one of its kinds telling apart what is wrong.
        """
        aims = targets(address, key, is_insecure)
        for aim in aims:
            session = cls(aim)
            try:
                session._greet(timeout_s)
            except KeyRefusedError:
                session.close()
                if aim is aims[-1]:
                    raise
            except BaseException:
                session.close()
                raise
            else:
                return session
        raise AssertionError("there is one at least")

    def _greet(self, timeout_s: float) -> None:
        self._result(self._conversation.inquire(Topic.ME, 1, None), timeout_s)

    def renew_me(self) -> Me:
        """Ask again who the broker takes this client for: another one may have taken over, with other rules."""
        self._greet(CONNECT_S)
        return self.me

    def close(self) -> None:
        """End the session; what the broker was told goes on."""
        if not self._sockets.control.closed:
            self._sockets.close()
            self._context.term()

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the session."""
        self.close()

    # -- commands -----------------------------------------------------------------------------------------------

    @property
    def me(self) -> Me:
        """Who the broker takes this client for."""
        assert self._conversation.me is not None, "set when connected"
        return self._conversation.me

    def ask(
        self,
        command: str,
        *,
        comment: str = "",
        setup_id: str | None = None,
        optional: Sequence[str] = (),
        on_loss: OnLoss = OnLoss.PAUSE,
        force: bool = False,
        timeout_s: float | None = None,
        on_turn: Callable[[], None] | None = None,
    ) -> Answer:
        """Give a command and wait for the answer: done, or why not.

        `on_turn` is called several times a second while waiting; `news` has what the feed says meanwhile. Raises
        RestartedError if the broker was replaced, UnreachableError if it falls silent; the command may go on then.
        """
        ask = Ask(1, command, setup_id, comment, tuple(optional), on_loss, force)
        answer: Answer = self._result(self._conversation.ask(ask), timeout_s, on_turn)
        return answer

    def configure(
        self,
        setup: str | PathLike[str],
        overrides: Sequence[str] = (),
        *,
        optional: Sequence[str] = (),
        on_loss: OnLoss = OnLoss.PAUSE,
        timeout_s: float | None = None,
        on_turn: Callable[[], None] | None = None,
    ) -> Answer:
        """Send a setup with the user's modules to the cluster and have it loaded everywhere.

        Raises SetupErrors for mistakes in it, before anything is sent.
        """
        from mimodaq.config import BundleError, pack_setup  # numpy and YAML, which no other command needs

        try:
            raw = pack_setup(setup, overrides)
        except BundleError as error:
            raise SessionError(str(error)) from error
        setup_id = self.upload(raw)
        return self.ask(
            "configure", setup_id=setup_id, optional=optional, on_loss=on_loss, timeout_s=timeout_s, on_turn=on_turn
        )

    def upload(self, raw: bytes) -> str:
        """Store a packed setup at the broker; answers its name."""
        return str(self._result(self._conversation.upload(raw), None))

    def download(self, setup_id: str) -> bytes:
        """A setup the broker has, as `mimodaq.config.pack_setup` made it."""
        raw: bytes = self._result(self._conversation.download(setup_id), None)
        return raw

    # -- looking ------------------------------------------------------------------------------------------------

    def status(self, timeout_s: float = CONNECT_S) -> Status:
        """The cluster as it is now, with a report of each node that is there."""
        self.keep_up()
        since, before = time.monotonic(), self._known.snapshots
        while self._known.lacks(before, time.monotonic() - since):
            if self._known.snapshots == before and time.monotonic() > since + timeout_s:
                raise self._silence(timeout_s)
            self._turn(_TURN_S)
        return self._known.status()

    @property
    def latest(self) -> Cluster | None:
        """The newest snapshot of the cluster that was taken in; None before the first."""
        return self._known.cluster

    def keep_up(self) -> None:
        """Take in what has come over the feed, without waiting: for a program that is busy with something else."""
        while self._sockets.feed.poll(0) or self._sockets.control.poll(0):
            self._turn(0.0)

    def news(self, timeout_s: float = 0.0) -> list[News]:
        """What has come over the feed since the last call; waits so long for the first of it."""
        until = time.monotonic() + timeout_s
        while True:
            self._turn(min(_TURN_S, max(0.0, until - time.monotonic())) if not self._news else 0.0)
            if self._news or time.monotonic() >= until:
                found = list(self._news)
                self._news.clear()
                return found

    def listen(self) -> Iterator[News]:
        """Everything that comes over the feed, for ever. Raises UnreachableError if the broker falls silent."""
        while True:
            yield from self.news(_TURN_S)
            if self.silent_s > SILENT_S:
                raise self._silence(SILENT_S)

    @property
    def silent_s(self) -> float:
        """How long nothing was heard of the broker; it is heard at least once a second."""
        return time.monotonic() - self._heard

    def observe(self, buffer: str, node: str | None = None, *, rate_hz: float | None = None) -> Observation:
        """Copies of events of a buffer as they come, for a `for` loop that ends with the run.

        At most `rate_hz` events a second, always the newest ones; None: as many as the node shows (2000 a second, 20
        MB/s). Nobody waits for who looks on: what is left out is counted (`skipped`). A buffer that is on several
        hosts is looked at where it lives, or on `node`. Raises SessionError if there is no such buffer, and, in the
        loop, ObservationLostError if the node is not heard any more.
        """
        from mimodaq.client._observation import Observation

        return Observation(self, buffer, node, rate_hz)

    def histogram(
        self,
        buffer: str,
        field: str,
        *,
        bins: int | None = None,
        range: tuple[float, float] | None = None,
        node: str | None = None,
        timeout_s: float = 5.0,
    ) -> FieldHistogram:
        """The histogram of a field, counted beside the buffer, as it is now.

        A function of the run that counts this field (`histograms`) is asked, if its bins and range are the ones wanted
        or none are; it has counted every event if it reads the buffer. Otherwise the buffer's node fills one from a
        sample of events, which goes on as long as one asks at least every 10 s; without a `range` it finds one. Of
        waveforms the height is counted. `is_sample` tells which it is. Raises SessionError when it cannot be had.
        """
        from mimodaq.client._histogram import Request, histogram

        return histogram(self, Request(buffer, field, bins, range, node), timeout_s)

    def logs(self, lines: int = 100) -> tuple[LogLine, ...]:
        """The end of the log, oldest line first."""
        found: tuple[LogLine, ...] = self._result(self._conversation.logs(lines), None)
        return found

    def runs(self, limit: int = 100) -> tuple[RunInfo, ...]:
        """The last runs, newest first."""
        return tuple(RunInfo.of(run) for run in self.inquire(Topic.RUNS, limit=limit)["runs"])

    def run(self, number: int) -> RunInfo:
        """All about one run. Raises RefusedError if there is none of this number."""
        return RunInfo.of(self.inquire(Topic.RUN, run=number))

    def commands(self) -> CommandTable:
        """Which command is possible when, as the broker judges; its table is asked for once in its life."""
        if self._conversation.commands is None:
            self.inquire(Topic.STATES)
        return self._conversation.commands or OURS

    def inquire(self, what: Topic, *, limit: int = 100, run: int | None = None) -> Any:
        """Plain values about something; see `Topic`."""
        return self._result(self._conversation.inquire(what, limit, run), None)

    # -- the connection -----------------------------------------------------------------------------------------

    def _result(self, request: Request, timeout_s: float | None, on_turn: Callable[[], None] | None = None) -> Any:
        until = time.monotonic() + (timeout_s if timeout_s is not None else float("inf"))
        self._heard = time.monotonic()
        try:
            while True:
                self._turn(min(_TURN_S, max(0.0, until - time.monotonic())))
                if on_turn is not None:
                    on_turn()
                if request.is_done:
                    return request.answer()
                if self._conversation.me is None and self._diagnosis.is_hopeless():
                    raise self._diagnosis.error()
                if time.monotonic() >= until or self.silent_s > SILENT_S:
                    raise self._silence(min(self.silent_s, SILENT_S), request.what)
        finally:
            self._conversation.drop(request)

    def _silence(self, silent_s: float, what: str = "") -> SessionError:
        if self._conversation.me is None or self._diagnosis.is_hopeless():
            return self._diagnosis.error()
        what = what or "listening"
        if self.silent_s > SILENT_S:
            return UnreachableError(
                f"{what}: the broker at {self._diagnosis.endpoints} is not heard any more. "
                "What it was told may go on; try again when it is back"
            )
        return UnreachableError(f"{what}: no answer within {silent_s:.0f} s. What was told may go on")

    def _turn(self, timeout_s: float) -> None:
        """Send what is due, and take what comes, waiting at most so long for the first of it."""
        control, feed, monitor = self._sockets.control, self._sockets.feed, self._sockets.monitor
        while monitor.poll(0):
            if self._diagnosis.note(monitor.recv_multipart()):
                self._conversation.doubt()
        wait_s = timeout_s
        if self._diagnosis.is_up:
            now = time.monotonic()
            for request, frame in self._conversation.outgoing(now):
                try:
                    control.send(frame, zmq.NOBLOCK)
                except zmq.Again:
                    self._conversation.postpone(request, now)
            wait_s = min(timeout_s, max(0.0, self._conversation.due() - now))
        ready = zmq.select([control, feed, monitor], [], [], wait_s)[0]
        if control in ready:
            self._heard = time.monotonic()
            try:
                self._take(self._conversation.heard(control.recv()))
            except ProtocolError as error:
                raise SessionError(f"talking to the broker: {error}") from error
        if feed in ready:
            self._heard = time.monotonic()
            self._watch(feed.recv_multipart())

    def _watch(self, frames: list[bytes]) -> None:
        try:
            topic, frame = frames
            self._take(self._conversation.watched(topic, frame))
        except (ProtocolError, ValueError) as error:
            raise SessionError(f"watching the broker: {error}") from error

    def _take(self, news: list[News]) -> None:
        for one in news:
            self._known.note(one)
        self._news.extend(news)
