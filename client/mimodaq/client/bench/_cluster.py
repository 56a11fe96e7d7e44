"""How fast a cluster obeys and notices: eight node daemons on this computer, with a broker and a client.

What they are compared with are figures of Constellation, measured once with as many of its Python satellites on a
machine with two cores (docs/benchmarks.md), not in the same run.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import yaml

from mimodaq.client.bench._alternate import Effort, alternate, say
from mimodaq.client.bench._hosts import why_not
from mimodaq.client.bench._peers import Peers
from mimodaq.client.bench._results import NOTHING, BenchError, Goal, Row, Series
from mimodaq.client.bench._silence import after_a_cut, is_silent, start_daemon
from mimodaq.protocol.messages import LogLine

_NODES: Final = 8
_PORTS: Final = 10
_PATIENCE_S: Final = 60.0
_MODULE: Final = """
import time


def slow():
    while True:
        yield [[1.0]]
        time.sleep(0.1)
"""


class _Nodes:
    """A broker and eight nodes, each with a source of 10 Hz and a buffer that is drained."""

    def __init__(self, folder: Path) -> None:
        from mimodaq.client.session import Session, SessionError

        self._folder = folder
        port = _free_port(2 + _NODES * _PORTS)
        self._first_data_port = port + 2
        self.address = f"127.0.0.1:{port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.names = [f"node{i}" for i in range(_NODES)]
        self._start("broker", "broker", "--bind", self.address)
        for name in self.names:
            self.start(name)
        self.session: Session = _wait(lambda: _try(lambda: Session.connect(self.address, timeout_s=1.0), SessionError))
        _wait(self.is_complete)

    def start(self, name: str) -> None:
        self._start(name, "node", name, "--broker", self.address, "--data", str(self._folder / "data" / name))

    def _start(self, name: str, *words: str) -> None:
        self._processes[name] = start_daemon(self._folder, name, *words)

    def signal(self, name: str, number: int) -> None:
        self._processes[name].send_signal(number)
        if number == signal.SIGKILL:
            self._processes[name].wait()

    def configure(self) -> None:
        (self._folder / "slow.py").write_text(_MODULE)
        kind = {"number_of_slots": 64, "data_type": {1: ["x", "float64"]}}
        hosts, buffers, functions = {}, [], []
        for i, name in enumerate(self.names):
            hosts[name] = {"address": "127.0.0.1", "data_port": self._first_data_port + i * _PORTS}
            buffers.append({f"RB_{i}": {"host": name, **kind}})
            source = {"function": "slow.py:slow", "host": name, "RB_assign": {f"RB_{i}": "write"}}
            functions.append({f"Source_{i}": source})
            functions.append({f"Drain_{i}": {"function": "drain", "host": name, "RB_assign": {f"RB_{i}": "read"}}})
        path = self._folder / "setup.yaml"
        path.write_text(yaml.safe_dump({"hosts": hosts, "RingBuffer": buffers, "Functions": functions}))
        self.do(lambda: self.session.configure(path))

    def do(self, ask: Callable[[], Any]) -> float:
        """Give a command; how long its answer took, in s."""
        begin = time.monotonic()
        answer = ask()
        took = time.monotonic() - begin
        if not answer.ok:
            raise BenchError(f"the cluster does not obey: {answer.text}")
        return took

    def ask(self, command: str) -> float:
        return self.do(lambda: self.session.ask(command))

    def is_complete(self) -> bool:
        """Whether all nodes are heard."""
        here = [line.node for line in self.session.status().cluster.nodes if line.presence == "here"]
        return sorted(here) == sorted(self.names)

    def close(self) -> None:
        from mimodaq.node import clear_left, tag_of

        self.session.close()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for name in self.names:
            clear_left(tag_of(self._folder / "state" / "mimodaq" / f"node-{name}"))


def _try(work: Callable[[], Any], failure: type[Exception]) -> Any:
    with suppress(failure):
        return work()
    return None


def _wait(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := what()):
        if time.monotonic() > deadline:
            raise BenchError("the cluster did not come up")
        time.sleep(0.05)
    return found


def _free_port(count: int) -> int:
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError):
                for offset in range(1, count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
                return port


def _with_one_hung(cluster: _Nodes) -> float:
    """Pause a run while one node daemon is stopped; how long until all others are paused, in s."""
    cluster.ask("start")
    hung, session = cluster.names[-1], cluster.session
    cluster.signal(hung, signal.SIGSTOP)
    paused: dict[str, int] = {}
    session.news(0.0)
    begin_ns = time.time_ns()

    def look() -> None:
        for news in session.news(0.0):
            if isinstance(news, LogLine) and news.text.startswith("paused: pause"):
                paused.setdefault(news.node, news.utc_ns)  # by its own clock, which is that of this computer

    try:
        answer = session.ask("pause", on_turn=look)
        if answer.ok or hung not in answer.text:
            raise BenchError(f"the hung node was not named: {answer.text}")
    finally:
        cluster.signal(hung, signal.SIGCONT)
    look()
    if set(paused) != set(cluster.names) - {hung}:
        raise BenchError(f"paused were only {', '.join(sorted(paused)) or 'none'}")
    _wait(cluster.is_complete)
    cluster.ask("stop")
    return (max(paused.values()) - begin_ns) / 1e9


def _seen_killed(cluster: _Nodes) -> float:
    """Kill a node daemon; how long until a client that listens is told that it is silent, in s."""
    name = cluster.names[0]
    cluster.session.news(0.0)
    cluster.signal(name, signal.SIGKILL)
    begin = time.monotonic()
    while time.monotonic() - begin < _PATIENCE_S:
        for news in cluster.session.news(0.05):
            if is_silent(news, name):
                took = time.monotonic() - begin
                cluster.start(name)
                _wait(cluster.is_complete)
                return took
    raise BenchError(f"nobody has noticed that {name} was killed")


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """Commands to eight nodes, with one hung, and how long a killed one stays unnoticed."""
    say(f"cluster: a broker and {_NODES} nodes")
    folder = Path(tempfile.mkdtemp(prefix="mimodaq-bench-"))
    cluster = None
    try:
        cluster = _Nodes(folder)
        cluster.configure()
        yield from _measure(cluster, effort)
    finally:
        if cluster is not None:
            cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
    reason = why_not()
    if reason:
        say(f"cluster: not measured with a cut cable: {reason}")
        return
    say("cluster: a cable is cut")
    cut = alternate({"cut": after_a_cut}, effort.repeats, "s")["cut"]
    yield Row("cluster.cut", "cable of a node's host cut: a client is told", "s", cut, NOTHING, Goal(value_max=3.0))


def _measure(cluster: _Nodes, effort: Effort) -> Iterator[Row]:
    def start() -> float:
        cluster.ask("arm")
        return cluster.ask("start")

    subjects = {
        "start": start,
        "stop": lambda: cluster.ask("stop"),
        "hung": lambda: _with_one_hung(cluster),
        "killed": lambda: _seen_killed(cluster),
    }
    found = alternate(subjects, effort.repeats, "s")
    for name, (work, goal_s, theirs_s) in _ROWS.items():
        limit = Series(_THEIRS, (theirs_s,)) if theirs_s else Series("start of all", found["start"].values)
        yield Row(f"cluster.{name}", work, "s", found[name], limit, Goal(value_max=goal_s))


_THEIRS: Final = "Constellation, measured before"
_ROWS: Final = {
    "start": (f"start of {_NODES} armed nodes", 0.1, 0.20),
    "stop": (f"stop of {_NODES} nodes with sources of 10 Hz, books closed", 0.2, 0.26),
    "hung": ("pause, one node daemon hung: all others are paused", 0.1, 0.0),
    "killed": ("node daemon killed: a client is told", 1.0, 17.0),
}
"""Row to its work, its goal in s, and what Constellation took with as many satellites (0 = compared with our start)."""
