"""Recording a feed to a file, and showing the file later as if it were live.

The file is a sequence of msgpack values: a header with what does not change, then `[now, utc_ns, message]` as they
came, messages as on the wire. It is read while it is shown, so its length does not matter, and a file whose writer was
killed is good up to its last whole message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import msgpack

from mimodaq.protocol.codec import ProtocolError, decode, encode
from mimodaq.protocol.counts import Counts
from mimodaq.protocol.messages import Answer, Ask, Cluster, LogLine, Report
from mimodaq.protocol.states import OURS, CommandTable

from .feed import Choices, Feed, FeedError, Message, RunSummary, Sample

_MAGIC: Final = "mimodaq-feed"
_VERSION: Final = 1
_BUFFER: Final = 1 << 22
_HEADER_LOGS: Final = 1000


class RecordedFeed:
    """Another feed, of which everything that is published is also written to a file."""

    def __init__(self, feed: Feed, path: Path) -> None:
        self._feed, self._path = feed, path
        self.operator, self.may_command, self.is_replay = feed.operator, feed.may_command, feed.is_replay
        self._setup_id: str | None = None
        self._logged: frozenset[LogLine] = frozenset()

    @property
    def is_secure(self) -> bool:
        """As the feed."""
        return self._feed.is_secure

    def now(self) -> float:
        """As the feed."""
        return self._feed.now()

    def utc_ns(self) -> int:
        """As the feed."""
        return self._feed.utc_ns()

    async def messages(self) -> AsyncIterator[Message]:
        """As the feed; each is written before it is passed on, and a setup before the snapshot that names it.

        When writing fails (a full disk), a log line says so, and the feed goes on without being recorded.
        """
        with self._opened() as file:
            is_recording = True
            await self._write_header(file)
            async for message in self._feed.messages():
                if is_recording:
                    try:
                        await self._record(file, message)
                    except OSError as error:
                        is_recording = False
                        text = f"recording to {self._path}: {error.strerror}; nothing more is recorded"
                        yield LogLine("viewer", self.utc_ns(), "error", "recording", text)
                yield message

    async def _record(self, file: BinaryIO, message: Message) -> None:
        if isinstance(message, Cluster) and message.setup_id != self._setup_id:
            self._setup_id = message.setup_id
            _write(file, [self.now(), self.utc_ns(), {"setup": await self._feed.setup()}])
        if message in self._logged:
            return  # a line that has come while the header was written
        _write(file, [self.now(), self.utc_ns(), encode(message)])
        if isinstance(message, Cluster):
            file.flush()

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """As the feed."""
        return await self._feed.logs(lines)

    async def command(self, ask: Ask) -> Answer:
        """As the feed."""
        return await self._feed.command(ask)

    async def commands(self) -> CommandTable:
        """As the feed."""
        return await self._feed.commands()

    async def runs(self) -> Sequence[RunSummary]:
        """As the feed."""
        return await self._feed.runs()

    def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """As the feed; events are not recorded."""
        return self._feed.observe(node, buffer)

    def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """As the feed; counts are not recorded."""
        return self._feed.counts(node, buffer, anew=anew)

    async def setup(self) -> bytes | None:
        """As the feed."""
        return await self._feed.setup()

    async def choices(self) -> Choices:
        """As the feed."""
        return await self._feed.choices()

    async def offer(self, packed: bytes) -> str:
        """As the feed."""
        return await self._feed.offer(packed)

    async def close(self) -> None:
        """As the feed."""
        await self._feed.close()

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("xb")
        except OSError as error:
            raise FeedError(f"recording to {self._path}: {error.strerror}; name a new file") from error

    async def _write_header(self, file: BinaryIO) -> None:
        before = await self._feed.logs(_HEADER_LOGS)
        self._logged = frozenset(before)
        logs = [encode(line) for line in before]
        runs = [asdict(run) for run in await self._feed.runs()]
        _write(file, [_MAGIC, _VERSION, {"logs": logs, "runs": runs, "operator": self.operator}])


def _write(file: BinaryIO, value: list[Any]) -> None:
    file.write(msgpack.packb(value))


class ReplayFeed:
    """A recording, shown at its own speed or `speed` times as fast; nothing can be commanded."""

    may_command = False
    is_replay = True
    is_secure = True

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self._path, self._speed = path, speed
        self._values = _read(path)
        header = next(self._values, None)
        if not isinstance(header, list) or len(header) != 3 or header[0] != _MAGIC:
            raise FeedError(f"replaying {path}: this is no recording of a feed")
        if header[1] != _VERSION:
            raise FeedError(f"replaying {path}: version {header[1]}, this program reads version {_VERSION}")
        table = header[2]
        self.operator = str(table.get("operator", ""))
        self._logs = [line for raw in table.get("logs", ()) if isinstance(line := _decoded(path, raw), LogLine)]
        self._runs = [_run(entry) for entry in table.get("runs", ())]
        self._setup: bytes | None = None
        self._now = self._utc_ns = 0.0
        self._is_closed = False

    def now(self) -> float:
        """When the last message shown was recorded."""
        return self._now

    def utc_ns(self) -> int:
        """Wall clock then."""
        return int(self._utc_ns)

    async def messages(self) -> AsyncIterator[Message]:
        """Everything recorded, in its time; then silence until closed."""
        loop = asyncio.get_running_loop()
        began = recorded = None
        for now, utc_ns, raw in self._values:
            if self._is_closed:
                return
            if began is None or recorded is None:
                began, recorded = loop.time(), now
            wait_s = (now - recorded) / self._speed - (loop.time() - began)
            await asyncio.sleep(max(0.0, wait_s))
            self._now, self._utc_ns = now, utc_ns
            if isinstance(raw, dict):
                self._setup = raw["setup"]
                continue
            message = _decoded(self._path, raw)
            if isinstance(message, LogLine):
                self._logs.append(message)
                del self._logs[:-5000]
            if isinstance(message, Cluster | Report | LogLine):
                yield message

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """Up to where the recording has been shown."""
        return self._logs[-lines:]

    async def command(self, ask: Ask) -> Answer:
        """Refused: the past cannot be commanded."""
        return Answer(ask.number, False, f"{ask.command}: this is a recording")

    async def commands(self) -> CommandTable:
        """Not in a recording, and of no use there."""
        return OURS

    async def runs(self) -> Sequence[RunSummary]:
        """As they were when the recording began."""
        return self._runs

    def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """Events are not in a recording."""
        return _NothingSeen(f"observing {buffer} on {node}: a recording holds no events")

    def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """Nor are histograms."""
        return _NothingSeen(f"histograms of {buffer} on {node}: a recording holds none")

    async def setup(self) -> bytes | None:
        """The setup of that time."""
        return self._setup

    async def choices(self) -> Choices:
        """Not in a recording, and of no use there."""
        return Choices()

    async def offer(self, packed: bytes) -> str:
        """Refused."""
        raise FeedError("configuring: this is a recording")

    async def close(self) -> None:
        """Stop."""
        self._is_closed = True


class _NothingSeen:
    """What is observed in a recording."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __aiter__(self) -> _NothingSeen:
        return self

    async def __anext__(self) -> NoReturn:
        raise FeedError(self._why)


def _read(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as stream:
            yield from msgpack.Unpacker(stream, max_buffer_size=_BUFFER, strict_map_key=False)
    except OSError as error:
        raise FeedError(f"replaying {path}: {error.strerror}") from error
    except (ValueError, msgpack.UnpackException) as error:
        raise FeedError(f"replaying {path}: this is no recording, or it is damaged ({type(error).__name__})") from error


def _decoded(path: Path, raw: Any) -> object:
    try:
        return decode(raw)
    except (ProtocolError, TypeError) as error:
        raise FeedError(f"replaying {path}: {error}") from error


def _run(entry: dict[str, Any]) -> RunSummary:
    return RunSummary(**{**entry, "reasons": tuple(entry["reasons"])})
