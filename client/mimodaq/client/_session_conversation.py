"""What is open between one client and its broker: requests, their repetition, their answers.

Pure code, shared by the blocking and the asynchronous session. A request is sent again with the same number until it
is answered, so that nothing is done twice and nothing is forgotten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mimodaq.client._session_log import LogOrder
from mimodaq.client._session_values import Me, News, RefusedError, RestartedError, SessionError
from mimodaq.protocol import feed
from mimodaq.protocol.codec import ProtocolError, decode, encode
from mimodaq.protocol.messages import (
    CHUNK_BYTES,
    Answer,
    Ask,
    Chunk,
    Fetch,
    Info,
    Inquire,
    LogAsk,
    LogBatch,
    LogLine,
    Message,
    Refused,
    Topic,
)
from mimodaq.protocol.states import CommandTable

REPEAT_S: Final = 2.0
RETRY_S: Final = 0.05
_LINES_AT_ONCE: Final = 10_000


@dataclass(slots=True, eq=False)
class Request:
    """Something asked. When `is_done`, there is a result or an error."""

    key: Hashable
    what: str
    """In words, for messages."""
    message: Message
    result: Any = None
    error: SessionError | None = None
    is_done: bool = False
    due: float = 0.0
    waiters: int = 0
    """So many have asked the same and wait for it."""
    raw: bytes = b""
    """All of a setup that is being sent."""

    def finish(self, result: Any = None, error: SessionError | None = None) -> None:
        """There is an answer."""
        self.result, self.error, self.is_done = result, error, True

    def answer(self) -> Any:
        """The result. Raises the error, if it is one."""
        if self.error is not None:
            raise self.error
        return self.result


@dataclass(slots=True)
class Conversation:
    """One client's side."""

    epoch: int = 0
    """Of the broker; 0 if it is not known yet."""
    is_plain: bool = False
    """What is said goes to another host without keys."""
    me: Me | None = None
    """Who the broker takes us for; asked again after each break of the connection."""
    commands: CommandTable | None = None
    """The table of this broker, if it was asked for."""
    _greeting: int = 0
    """Number of the question whether it is still the same broker; 0 if that is known. No command is given meanwhile."""
    _number: int = 0
    _open: dict[Hashable, Request] = field(default_factory=dict)
    _log: LogOrder = field(default_factory=LogOrder)

    # -- asking -------------------------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> Request:
        """Give a command; its number is set here. Result: `Answer`."""
        number = self._next()
        return self._add(Request(("ask", number), ask.command, replace(ask, number=number)))

    def inquire(self, what: Topic, limit: int, run: int | None) -> Request:
        """Ask something that changes nothing. Result: plain values."""
        number = self._next()
        return self._add(Request(("info", number), what.value, Inquire(number, what, limit, run)))

    def logs(self, lines: int) -> Request:
        """Ask for the end of the log. Result: the lines."""
        return self._add(Request(("logs", 0), "logs", LogAsk(lines)))

    def upload(self, raw: bytes) -> Request:
        """Send a setup. Result: its name."""
        name = hashlib.sha256(raw).hexdigest()
        request = Request(("upload", name), "sending the setup", _part(name, raw, 0), raw=raw)
        return self._add(request)

    def download(self, setup_id: str) -> Request:
        """Ask for a setup. Result: its bytes."""
        return self._add(Request(("download", setup_id), "fetching the setup", Fetch(setup_id, 0)))

    def doubt(self) -> None:
        """The connection was lost: behind the next one there may be another broker."""
        if self.epoch and not self._greeting:
            self._greeting = self._next()
            message = Inquire(self._greeting, Topic.ME, 1)
            self._add(Request(("info", self._greeting), Topic.ME.value, message))

    def drop(self, request: Request) -> None:
        """One waits no more; when nobody does, it is not asked any more."""
        request.waiters -= 1
        if not request.waiters and self._open.get(request.key) is request:
            del self._open[request.key]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _add(self, request: Request) -> Request:
        """What is asked for is asked for once, however many wait for it."""
        request = self._open.setdefault(request.key, request)
        request.waiters += 1
        return request

    # -- sending ------------------------------------------------------------------------------------------------

    def outgoing(self, now: float) -> list[tuple[Request, bytes]]:
        """What must be sent now; `postpone` what could not be."""
        due = [request for request in self._open.values() if now >= request.due and not self._must_wait(request)]
        for request in due:
            request.due = now + REPEAT_S
        return [(request, encode(request.message)) for request in due]

    def postpone(self, request: Request, now: float) -> None:
        """There is no connection just now."""
        request.due = now + RETRY_S

    def _must_wait(self, request: Request) -> bool:
        return self._greeting != 0 and isinstance(request.message, Ask)

    def due(self) -> float:
        """When something must be sent at the latest."""
        dues = [request.due for request in self._open.values() if not self._must_wait(request)]
        return min(dues, default=float("inf"))

    # -- hearing ------------------------------------------------------------------------------------------------

    def heard(self, frame: bytes) -> list[News]:
        """A frame of the broker came: lines of the log that the feed has not brought.

        Raises ProtocolError if it is none, such as of another release.
        """
        match decode(frame):
            case Answer() as answer:
                self._finish(("ask", answer.number), answer)
            case Info(number, is_ok, data):
                content = json.loads(data)
                request = self._open.get(("info", number))
                if is_ok and request is not None and request.what == Topic.ME.value:
                    self._met(number, content)
                elif is_ok and request is not None and request.what == Topic.STATES.value:
                    self.commands = CommandTable.of(content)
                self._finish(("info", number), content, None if is_ok else RefusedError(str(content)))
            case LogBatch(lines, after, is_whole) if ("logs", after) in self._open:
                self._finish(("logs", after), lines)
                return self._with_missing(self._log.lines(after, lines, is_whole) if after else [])
            case LogBatch():
                pass  # a repeated question was answered twice
            case Chunk() as chunk if ("download", chunk.setup_id) in self._open:
                self._downloaded(chunk, self._open["download", chunk.setup_id])
            case Chunk() as chunk:
                self._uploaded(chunk)
            case Refused(text):
                self._refused(text)
            case other:
                raise ProtocolError(f"the broker has sent a {type(other).__name__.lower()}, which is not for clients")
        return []

    def watched(self, topic: bytes, frame: bytes) -> list[News]:
        """What a frame of the feed holds. Raises ProtocolError."""
        if topic == feed.REPORTS:
            return [*feed.unpack(frame)]
        if topic == feed.CLUSTER:
            cluster = feed.unpack_cluster(frame)
            self._note_epoch(cluster.epoch)
            self._log.note(cluster.log)
            return self._with_missing([cluster])
        line = decode(frame)
        if not isinstance(line, LogLine):
            raise ProtocolError(f"the feed holds a {type(line).__name__.lower()}")
        return self._with_missing(self._log.line(line))

    def _with_missing(self, news: Sequence[News]) -> list[News]:
        """`news`; the lines of the log that have not come by now are asked for."""
        after = self._log.missing_after
        if after is not None:
            self._add(Request(("logs", after), "logs", LogAsk(_LINES_AT_ONCE, after)))
        return [*news]

    def _met(self, number: int, me: dict[str, Any]) -> None:
        """The broker has said who it is."""
        if number == self._greeting:
            self._greeting = 0
        self._note_epoch(me["epoch"])
        self._log.note(me["log"])
        said = Me.of(me)
        self.me = replace(said, is_secure=said.is_secure and not self.is_plain)

    def _note_epoch(self, epoch: int) -> None:
        """A command is never given twice to two brokers: who has been replaced cannot answer."""
        before, self.epoch = self.epoch, epoch
        if before in (0, epoch):
            return
        self.commands = None
        for key, request in list(self._open.items()):
            if isinstance(request.message, Ask):
                text = f"{request.what}: the broker was started again before it could answer; see mimodaq status"
                self._finish(key, error=RestartedError(text))

    def _finish(self, key: Hashable, result: Any = None, error: SessionError | None = None) -> None:
        request = self._open.pop(key, None)
        if request is not None:
            request.finish(result, error)

    def _uploaded(self, chunk: Chunk) -> None:
        request = self._open.get(("upload", chunk.setup_id))
        if request is None:
            return
        if chunk.offset >= len(request.raw):
            self._finish(request.key, chunk.setup_id)
        else:
            request.message, request.due = _part(chunk.setup_id, request.raw, chunk.offset), 0.0

    def _downloaded(self, chunk: Chunk, request: Request) -> None:
        if chunk.offset != len(request.raw):
            return  # a repeated question was answered twice
        request.raw += chunk.data
        if chunk.data and len(request.raw) < chunk.total:
            request.message, request.due = Fetch(chunk.setup_id, len(request.raw)), 0.0
        elif hashlib.sha256(request.raw).hexdigest() == chunk.setup_id:
            self._finish(request.key, request.raw)
        else:
            text = f"{request.what}: what the broker has sent is not the setup {chunk.setup_id[:12]}"
            self._finish(request.key, error=SessionError(text))

    def _refused(self, text: str) -> None:
        """The broker does not say which message it means: a setup that is being sent, or whatever else is open."""
        uploads = [request for request in self._open.values() if request.raw]
        for request in uploads or list(self._open.values()):
            self._finish(request.key, error=RefusedError(f"{request.what}: {text}"))


def _part(name: str, raw: bytes, offset: int) -> Chunk:
    return Chunk(name, offset, len(raw), raw[offset : offset + CHUNK_BYTES])
