"""What a large cluster costs its broker, and what watching it costs the network.

The nodes are messages only: one process says what 200 node daemons with 20 buffers each would say.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq

from mimodaq.client.bench._alternate import Effort, say
from mimodaq.client.bench._peers import Peers
from mimodaq.client.bench._results import BenchError, Goal, Row, Series
from mimodaq.keys import endpoints_of
from mimodaq.protocol import feed
from mimodaq.protocol.codec import encode
from mimodaq.protocol.membership import BEAT_S
from mimodaq.protocol.messages import Beat, Report
from mimodaq.protocol.node_brain import REPORT_S
from mimodaq.protocol.node_events import Figures
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State

_NODES: Final = 200
_BUFFERS: Final = 20
_START_S: Final = 30.0


def _report(node: int, number: int, rng: random.Random) -> Report:
    """A report as of a node in a run; figures change from second to second."""
    buffers = tuple(
        BufferLine(
            f"RB_{i}", 1000 * number + rng.randrange(1000), rng.uniform(900, 1100), rng.uniform(6e7, 7e7),
            rng.randrange(64) / 64, rng.random() / 100, ("Fkt_2",), lag=rng.randrange(64),
        )
        for i in range(_BUFFERS)
    )  # fmt: skip
    link = LinkLine("RB_1:a>b", True, rng.uniform(900, 1100), 6e7, rng.randrange(64), rng.randrange(64), 0, 0, 0.0004)
    figures = Figures(1000 * number, buffers, (link,)).rounded()
    return Report(
        f"node{node:03}",
        1,
        number,
        State.RUNNING,
        "ab" * 32,
        12,
        running_s=float(number),
        events=figures.events,
        buffers=figures.buffers,
        workers=tuple(WorkerLine(f"Fkt_{i}[0]", "running", 0) for i in range(_BUFFERS)),
        links=figures.links,
        clock=ClockLine(rng.uniform(-1e-3, 1e-3), 1e-4, 0),
        host=HostLine(rng.random(), rng.random(), 50.0, rng.randrange(10**12)),
    )


def _be_nodes(address: str, count: int) -> None:
    """Send what the nodes would send, evenly spread, until this process is ended."""
    rng, context = random.Random(1), zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []
    for _ in range(count):
        socket = context.socket(zmq.DEALER)
        socket.connect(endpoints_of(address).control)
        sockets.append(socket)
    per_report = round(REPORT_S / BEAT_S)
    begin = time.monotonic()
    for turn in range(sys.maxsize):
        for node, socket in enumerate(sockets):
            due = begin + BEAT_S * (turn + node / count)
            time.sleep(max(0.0, due - time.monotonic()))
            number = turn + 1
            is_report = (turn + node) % per_report == 0
            socket.send(encode(_report(node, number, rng) if is_report else Beat(f"node{node:03}", 1, number)))
            while socket.poll(0):
                socket.recv()


@dataclass(frozen=True, slots=True)
class _Found:
    cpu_percent: float
    feed_kb_per_s: float
    unpacked_kb_per_s: float
    """What the same reports would be without packing."""


def _measure(seconds: float, nodes: int) -> _Found:
    """A broker and its nodes while they are in no command, with one client that watches."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as name:
        command = [sys.executable, "-m", "mimodaq.client.cli", "broker", "--port", "0", "--state", f"{name}/state"]
        with (Path(name) / "log").open("w") as log:
            broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        crowd = None
        try:
            assert broker.stdout is not None
            address = broker.stdout.readline().strip().removeprefix("broker on ")
            if not address:
                raise BenchError(f"the broker did not start: {(Path(name) / 'log').read_text()[-500:]}")
            arguments = [sys.executable, "-m", __spec__.name, address, str(nodes)]
            crowd = subprocess.Popen(arguments, start_new_session=True)
            return _watch(broker.pid, address, seconds, nodes)
        finally:
            for process in (crowd, broker):
                if process is not None:
                    process.kill()
                    process.wait()
            if broker.stdout is not None:
                broker.stdout.close()


def _watch(broker: int, address: str, seconds: float, nodes: int) -> _Found:
    import psutil

    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.subscribe(b"")
        socket.connect(endpoints_of(address).feed)
        _wait_for_reports(socket, nodes)
        process = psutil.Process(broker)
        before, begin = process.cpu_times(), time.monotonic()
        received = unpacked = 0
        while (left_s := begin + seconds - time.monotonic()) > 0:
            if not socket.poll(round(left_s * 1000)):
                continue
            topic, frame = socket.recv_multipart()
            received += len(topic) + len(frame)
            reports = feed.unpack(frame) if topic == feed.REPORTS else ()
            unpacked += sum(len(encode(report)) for report in reports) or len(frame)
        after, passed = process.cpu_times(), time.monotonic() - begin
    used = after.user + after.system - before.user - before.system
    return _Found(100 * used / passed, received / passed / 1000, unpacked / passed / 1000)


def _wait_for_reports(socket: zmq.Socket[bytes], nodes: int) -> None:
    """Until all nodes are known."""
    deadline, known = time.monotonic() + _START_S, set[str]()
    while len(known) < nodes:
        if not socket.poll(max(0, round(1000 * (deadline - time.monotonic())))):
            raise BenchError(f"only {len(known)} of {nodes} nodes were heard within {_START_S:.0f} s")
        topic, frame = socket.recv_multipart()
        if topic == feed.REPORTS:
            known |= {report.node for report in feed.unpack(frame)}


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """CPU time of a broker, and bytes to a client that watches."""
    say(f"broker: {_NODES} nodes with {_BUFFERS} buffers each")
    found = [_measure(max(effort.seconds * 5, 1.5), _NODES) for _ in range(effort.run_repeats)]
    work = f"{_NODES} nodes with {_BUFFERS} buffers each in a run, one client"
    cpu = Series("broker", tuple(one.cpu_percent for one in found))
    yield Row("broker.cpu.200nodes", f"{work}: CPU", "%", cpu, Series("one core", (100.0,)), Goal(value_max=25))
    packed = Series("feed", tuple(one.feed_kb_per_s for one in found))
    plain = Series("not packed", tuple(one.unpacked_kb_per_s for one in found))
    yield Row("broker.snapshot", f"{work}: bytes to the client", "kB/s", packed, plain, Goal(value_max=100))


if __name__ == "__main__":
    _be_nodes(sys.argv[1], int(sys.argv[2]))
