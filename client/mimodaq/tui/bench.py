"""What the screens cost: a large cluster on a real terminal (a pseudo-terminal), measured from outside.

`python -m mimodaq.tui.bench [--nodes 50] [--buffers 20] [--seconds 20]` prints one JSON object. The screens run in a
child process on a feed of invented reports, decoded from bytes as they would come from the network; the time it takes
to invent and encode them is measured in the child and taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import math
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from mimodaq.protocol.codec import decode, encode
from mimodaq.protocol.counts import Counts
from mimodaq.protocol.messages import Answer, Ask, Cluster, LogLine, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine
from mimodaq.protocol.states import OURS, CommandTable, State

from .feed import Choices, FeedError, Message, RunSummary, Sample

_WIDTH, _HEIGHT = 160, 45
_START_LIMIT_S: Final = 30.0
_KEYS: Final = "jkjkjkjkjk"


@dataclass(slots=True)
class LargeFeed:
    """Many nodes with many buffers, a report of each once a second, spread over the second."""

    nodes: int
    buffers: int
    operator: str = "anna"
    may_command: bool = True
    is_replay: bool = False
    is_secure: bool = True
    spent_s: float = 0.0
    """Processor time for inventing and encoding, which a viewer would not do."""
    _counts: dict[tuple[int, int], int] = field(default_factory=dict)

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utc_ns(self) -> int:
        """Wall clock."""
        return time.time_ns()

    async def messages(self) -> AsyncIterator[Message]:
        """Reports and a snapshot, once a second."""
        number = 0
        while True:
            number += 1
            for node in range(self.nodes):
                yield self._decoded(self._report, node, number)
                await asyncio.sleep(1.0 / (self.nodes + 1))
            yield self._decoded(self._cluster, 0, number)
            await asyncio.sleep(1.0 / (self.nodes + 1))

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """None."""
        return ()

    async def command(self, ask: Ask) -> Answer:
        """Refused."""
        return Answer(ask.number, False, "this is a benchmark")

    async def commands(self) -> CommandTable:
        """The usual."""
        return OURS

    async def runs(self) -> Sequence[RunSummary]:
        """None."""
        return ()

    def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """Nothing to see."""
        raise FeedError("a benchmark has no events")

    def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """Nothing to count."""
        raise FeedError("a benchmark has no events")

    async def setup(self) -> bytes | None:
        """None."""
        return None

    async def choices(self) -> Choices:
        """The usual."""
        return Choices()

    async def offer(self, packed: bytes) -> str:
        """Refused."""
        raise FeedError("this is a benchmark")

    async def close(self) -> None:
        """Nothing to close."""

    def _decoded(self, make: object, node: int, number: int) -> Message:
        began = time.process_time()
        raw = encode(self._report(node, number) if make == self._report else self._cluster(node, number))
        self.spent_s += time.process_time() - began
        message = decode(raw)
        assert isinstance(message, Cluster | Report)
        return message

    def _report(self, node: int, number: int) -> Report:
        lines = tuple(self._buffer(node, buffer, number) for buffer in range(self.buffers))
        host = HostLine(0.3 + 0.1 * math.sin(number + node), 0.4, 50.0, 200_000_000_000 - number * 1_000_000)
        clock = ClockLine(0.0001 * math.sin(number), 0.0001, 0)
        name = f"node-{node:02}"
        return Report(name, 1, number, State.RUNNING, run=7, buffers=lines, clock=clock, host=host)

    def _buffer(self, node: int, buffer: int, number: int) -> BufferLine:
        rate = 1000.0 + 100.0 * math.sin(number * 0.7 + node + buffer)
        count = self._counts[node, buffer] = self._counts.get((node, buffer), 0) + int(rate)
        fill = 0.3 + 0.2 * math.sin(number * 0.3 + buffer)
        return BufferLine(f"buffer_{buffer:02}", count, rate, rate * 4000, fill, 0.001, lag=int(fill * 1000))

    def _cluster(self, node: int, number: int) -> Cluster:
        lines = tuple(
            NodeLine(f"node-{n:02}", State.RUNNING, "here", 0.1, True, False, 1000.0, 0.3, 0.001)
            for n in range(self.nodes)
        )
        events = self._counts.get((0, 0), 0)
        running = State.RUNNING
        return Cluster(1, number, running, running, 1.0, 7, float(number), events, "anna", "", None, (), lines)


# -- child --------------------------------------------------------------------------------------------------------


def _run_child(nodes: int, buffers: int, report: Path) -> None:
    from ._app import OperatorApp

    feed = LargeFeed(nodes, buffers)
    OperatorApp(feed, has_bell=False, refresh_s=1.0).run(mouse=False)
    report.write_text(json.dumps({"feed_s": feed.spent_s}))


# -- parent -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Terminal:
    """The other end of the pseudo-terminal."""

    fd: int
    received: int = 0

    def read(self, seconds: float) -> bytes:
        """What comes within some time, at least one piece if any comes."""
        if not select.select([self.fd], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.received += len(data)
        return data

    def drain(self, seconds: float) -> None:
        """Take what comes for some time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.read(left)

    def until(self, text: bytes, seconds: float) -> float:
        """Wait for a text; the time it took."""
        began, seen = time.monotonic(), b""
        while text not in seen:
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"the screens did not show {text!r} within {seconds} s")
            seen = (seen + self.read(0.1))[-100_000:]
        return time.monotonic() - began


def measure(nodes: int, buffers: int, seconds: float, warm_up_s: float, folder: Path) -> list[dict[str, object]]:
    """Run the screens and measure: name, value, unit and limit of each figure; processor time in percent of a core."""
    report = folder / "child.json"
    arguments = [
        sys.executable,
        "-m",
        "mimodaq.tui.bench",
        "--child",
        str(report),
        f"--nodes={nodes}",
        f"--buffers={buffers}",
    ]
    pid, fd = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execve(sys.executable, arguments, environment)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", _HEIGHT, _WIDTH, 0, 0))
    terminal = _Terminal(fd)
    try:
        start_s = terminal.until(b"NO CONTACT", _START_LIMIT_S)
        terminal.until(b"buffer_00", _START_LIMIT_S)
        terminal.drain(warm_up_s)
        child = psutil.Process(pid)
        before, bytes_before, began = child.cpu_times(), terminal.received, time.monotonic()
        terminal.drain(seconds)
        after, took = child.cpu_times(), time.monotonic() - began
        rate = (terminal.received - bytes_before) / took
        reaction_s = [_reaction(terminal, key) for key in _KEYS]
        memory = child.memory_info().rss
        total_s = time.monotonic() - began + warm_up_s
        os.write(fd, b"q")
        terminal.drain(2.0)
    finally:
        os.close(fd)
        os.waitpid(pid, 0)
    feed_share = json.loads(report.read_text())["feed_s"] / total_s if report.exists() else 0.0
    cpu = max(0.0, (after.user + after.system - before.user - before.system) / took - feed_share)
    figures = (
        ("tui.cpu", cpu * 100, "%", 5.0),
        ("tui.terminal", rate / 1000, "kB/s", 25.0),
        ("tui.key", sorted(reaction_s)[len(reaction_s) // 2] * 1000, "ms", 100.0),
        ("tui.key.slowest", max(reaction_s) * 1000, "ms", 100.0),
        ("tui.start", start_s, "s", 1.0),
        ("tui.memory", memory / 1e6, "MB", 80.0),
    )
    return [
        {"name": name, "value": round(value, 3), "unit": unit, "limit": {"name": "budget", "value": limit}}
        for name, value, unit, limit in figures
    ]


def _reaction(terminal: _Terminal, key: str) -> float:
    """From a key to the first byte of what it changes; begun in a moment of silence."""
    while terminal.read(0.05):
        pass
    began = time.monotonic()
    os.write(terminal.fd, key.encode())
    terminal.read(5.0)
    return time.monotonic() - began


def main() -> None:
    """Measure and print, or be the child."""
    import tempfile

    parser = argparse.ArgumentParser("python -m mimodaq.tui.bench", description=__doc__)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--buffers", type=int, default=20, help="on each node")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds that are not measured")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _run_child(options.nodes, options.buffers, options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options.nodes, options.buffers, options.seconds, options.warm_up, Path(folder))
    print(json.dumps({"results": results}, indent=1))


if __name__ == "__main__":
    main()
