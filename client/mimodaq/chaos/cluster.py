"""A cluster on this computer: a broker and node daemons as processes, on loopback or on hosts of their own.

For `mimodaq chaos --demo` and for tests. Its state, data and keys are below one folder; `close` ends everything, in
whatever state it is, and removes what it leaves in shared memory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from mimodaq.chaos._network import in_network
from mimodaq.chaos.waiting import PATIENCE_S, wait_for
from mimodaq.client.bench._hosts import Host, Hosts
from mimodaq.client.session import Session, SessionError
from mimodaq.node import clear_left, tag_of

T = TypeVar("T")

_CONNECT_S: Final = 2.0
_PORTS: Final = 20
"""For each node on loopback: its window and its links."""


def on_host(host: Host | None, work: Callable[[], T]) -> T:
    """Do something in the network of a host: sockets that are made belong there, whoever uses them later."""
    return work() if host is None else in_network(f"/run/netns/{host.name}", work)


class Daemon:
    """A broker or node daemon as a process."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._log, self._environment = list(command), log, environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it prints is added to its log."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self._environment},
            )

    @property
    def pid(self) -> int:
        """Its process id while it runs."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code. One that does not leave is killed, and TimeoutExpired raised."""
        assert self.process is not None
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self.process = None
        return code

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class LocalCluster:
    """A broker and nodes. Without hosts all are on loopback, told apart by their ports."""

    def __init__(
        self, folder: Path, names: Sequence[str], hosts: Hosts | None = None, *, keys: Path | None = None
    ) -> None:
        """Prepare it; with `hosts`, the first is the broker's. Keys, if any, are named `NAME.key`."""
        self.folder = folder
        self.names = list(names)
        self.hosts = hosts
        self.keys = keys
        self.place = {name: hosts[i + 1] for i, name in enumerate(names)} if hosts else {}
        self.environment = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
        self.address = hosts[0].address if hosts else f"127.0.0.1:{free_ports(2)}"
        self.broker = self._daemon("broker", hosts[0] if hosts else None, "broker", "--bind", self.address)
        self.nodes: dict[str, Daemon] = {}
        for name in names:
            key = ("--key", str(keys / f"{name}.key")) if keys else ()
            words = ("node", name, "--broker", self.address, "--data", str(self.data_of(name)), *key)
            self.nodes[name] = self._daemon(f"node-{name}", self.place.get(name), *words)
        self._sessions: list[Session] = []

    @property
    def is_insecure(self) -> bool:
        """Whether other hosts are let in without keys."""
        return self.hosts is not None and self.keys is None

    def _daemon(self, name: str, host: Host | None, *arguments: str) -> Daemon:
        insecure = ("--insecure",) if self.is_insecure else ()
        words = [*(host.prefix if host else ()), sys.executable, "-m", "mimodaq.client.cli", *arguments, *insecure]
        return Daemon(name, words, self.folder / f"{name}.log", {**self.environment, **self.environment_of(name)})

    def environment_of(self, daemon: str) -> Mapping[str, str]:
        """More variables for one daemon; for those who need them."""
        return {}

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Session:
        """Start everything; the session of an operator on the broker's host, once all nodes are heard."""
        self.broker.start()
        for node in self.nodes.values():
            node.start()
        session = self.session()
        wait_for(lambda: self.present(session) == set(self.names), f"for {self.names} at {self.address}")
        return session

    def session(self, who: str = "anna", host: Host | None = None) -> Session:
        """A session of that operator or observer on a host, or on the broker's."""
        key = self.keys / f"{who}.key" if self.keys else None
        where = host or (self.hosts[0] if self.hosts else None)

        def connect() -> Session | None:
            with suppress(SessionError):
                return Session.connect(self.address, key, is_insecure=self.is_insecure, timeout_s=_CONNECT_S)
            return None

        session = wait_for(lambda: on_host(where, connect), f"for the broker at {self.address}")
        assert session is not None
        self._sessions.append(session)
        return session

    @staticmethod
    def present(session: Session) -> set[str]:
        """Nodes that are heard."""
        return {line.node for line in session.status().cluster.nodes if line.presence != "lost"}

    def close(self) -> None:
        """End everything by force, whatever state it is in, and remove what it leaves."""
        for session in self._sessions:
            session.close()
        for daemon in (self.broker, *self.nodes.values()):
            daemon.kill()
        for name in self.names:
            clear_left(tag_of(self.state_of(name)))

    # -- files ------------------------------------------------------------------------------------------------------

    def state_of(self, node: str) -> Path:
        """State folder of a node."""
        return self.folder / "state" / "mimodaq" / f"node-{node}"

    def data_of(self, node: str) -> Path:
        """Where a node writes its runs."""
        return self.folder / "data" / node

    def write_setup(self, setup: Mapping[str, Any], **modules: str) -> Path:
        """Write a setup for these hosts, and the modules of its functions."""
        home = self.folder / "setup"
        home.mkdir(exist_ok=True)
        for name, text in modules.items():
            (home / f"{name}.py").write_text(text)
        path = home / "setup.yaml"
        path.write_text(yaml.safe_dump({"hosts": self.host_table(), **setup}, sort_keys=False))
        return path

    def host_table(self) -> dict[str, dict[str, Any]]:
        """`hosts:` of a setup."""
        if self.hosts:
            return {name: {"address": host.address} for name, host in self.place.items()}
        first = free_ports(_PORTS * len(self.names))
        table: dict[str, dict[str, Any]] = {}
        for i, name in enumerate(self.names):
            table[name] = {"address": "127.0.0.1", "data_port": first + _PORTS * i}
        return table

    def run_dirs(self, run: int) -> dict[str, Path]:
        """Where each node has written a run."""
        found = {}
        for name in self.names:
            for path in sorted(self.data_of(name).glob(f"*run{run:06d}_{name}")):
                found[name] = path
        return found

    def logs(self) -> str:
        """What all daemons have printed."""
        return "\n".join(f"== {d.name}\n{d.log()}" for d in (self.broker, *self.nodes.values()))


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that are free at this moment."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            number = int(first.getsockname()[1])
            if number + count > 65000:
                continue
            with suppress(OSError):
                for offset in range(1, count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", number + offset))
                return number
