"""A real cluster for tests: hosts as network namespaces, a broker and node daemons as processes in them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from link.hosts import Host, Hosts
from mimodaq.client.session import Session, SessionError
from mimodaq.node._clear import clear_left
from mimodaq.node._folder import folder_path, process_of
from mimodaq.node._rings import ring_segment
from mimodaq.node._state import tag_of
from mimodaq.ring import Ring

PATIENCE_S = 60.0
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def wait_for(what: Callable[[], Any], why: str = "", patience_s: float = PATIENCE_S) -> Any:
    """Wait until `what` answers something true; that is the answer."""
    deadline = time.monotonic() + patience_s
    pause = threading.Event()
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited {patience_s} s in vain {why}"
        pause.wait(0.01)
    return found


def on_host(host: Host | None, work: Callable[[], Any]) -> Any:
    """Do something in the network of a host: sockets that are made belong there, whoever uses them later."""
    if host is None:
        return work()
    result: list[Any] = []

    def there() -> None:
        with open(f"/run/netns/{host.name}") as place:
            if _libc.setns(place.fileno(), _CLONE_NEWNET):
                result.append(OSError(ctypes.get_errno(), "setns"))
                return
        try:
            result.append(work())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class Daemon:
    """A broker or node daemon as a process."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._command, self._log, self._environment = command, log, environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
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
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, and wait."""
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
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Cluster:
    """A broker and nodes. Without hosts all are on loopback, told apart by their ports."""

    def __init__(self, folder: Path, names: list[str], hosts: Hosts | None = None, *, keys: bool = False) -> None:
        self.folder = folder
        self.names = names
        self.hosts = hosts
        self.keys = folder / "keys" if keys else None
        self.place = {name: hosts[i + 1] for i, name in enumerate(names)} if hosts else {}
        self.environment = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
        self.address = hosts[0].address if hosts else f"127.0.0.1:{_free_ports()}"
        self.broker = self._daemon("broker", hosts[0] if hosts else None, "--bind", self.address, *self._insecure)
        self.nodes: dict[str, Daemon] = {}
        for name in names:
            key = ("--key", str(self.keys / f"{name}.key")) if self.keys else self._insecure
            data = ("--data", str(folder / "data" / name))
            self.nodes[name] = self._daemon(
                f"node-{name}", self.place.get(name), name, "--broker", self.address, *data, *key, command="node"
            )
        self._sessions: list[Session] = []

    @property
    def _insecure(self) -> tuple[str, ...]:
        return ("--insecure",) if self.hosts and not self.keys else ()

    def _daemon(self, name: str, host: Host | None, *arguments: str, command: str = "broker") -> Daemon:
        words = [*(host.prefix if host else ()), sys.executable, "-m", "mimodaq.client.cli", command, *arguments]
        return Daemon(name, words, self.folder / f"{name}.log", self.environment)

    def make_keys(self) -> None:
        """Keys for all hosts, an operator and an observer."""
        assert self.keys is not None
        roles = {**dict.fromkeys(self.names, "host"), "anna": "operator", "wall": "observer"}
        for name, role in roles.items():
            self.command("keys", "create", name, "--role", role, "--dir", str(self.keys))

    def command(self, *words: str, host: Host | None = None, code: int = 0) -> str:
        """Carry out a command as a user would; what it has printed on stdout."""
        done = subprocess.run(
            [*(host.prefix if host else ()), sys.executable, "-m", "mimodaq.client.cli", *words],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            cwd=self.folder,
            check=False,
            timeout=2 * PATIENCE_S,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Session:
        """Start everything; the session of an operator on the broker's host, once all nodes are heard."""
        if self.keys:
            self.make_keys()
        self.broker.start()
        for node in self.nodes.values():
            node.start()
        session = self.session()
        wait_for(lambda: self.present(session) == set(self.names), f"for {self.names} at {self.address}")
        return session

    def session(self, who: str = "anna", host: Host | None = None) -> Session:
        key = self.keys / f"{who}.key" if self.keys else None
        host = host or (self.hosts[0] if self.hosts else None)

        def connect() -> Session | None:
            with contextlib.suppress(SessionError):
                return Session.connect(self.address, key, is_insecure=bool(self._insecure), timeout_s=2.0)
            return None

        session = wait_for(lambda: on_host(host, connect), "for the broker")
        self._sessions.append(session)
        return session

    @staticmethod
    def present(session: Session) -> set[str]:
        return {line.node for line in session.status().cluster.nodes if line.presence != "lost"}

    def close(self) -> None:
        """End everything by force, whatever state it is in, and remove what it leaves."""
        for session in self._sessions:
            session.close()
        for daemon in (self.broker, *self.nodes.values()):
            daemon.kill()
        for name in self.names:
            clear_left(tag_of(self.state_of(name)))

    def state_of(self, node: str) -> Path:
        """State folder of a node."""
        return self.folder / "state" / "mimodaq" / f"node-{node}"

    def ring(self, node: str, run: int, name: str) -> Ring:
        """A ring of a run: shared memory is that of all hosts."""
        return Ring.attach(ring_segment(f"{tag_of(self.state_of(node))}-{run}", node, name))

    # -- files ------------------------------------------------------------------------------------------------------

    def write_setup(self, setup: dict[str, Any], **modules: str) -> Path:
        """Write a setup for these hosts, and the modules of its functions."""
        home = self.folder / "setup"
        home.mkdir(exist_ok=True)
        for name, text in modules.items():
            (home / f"{name}.py").write_text(text)
        path = home / "setup.yaml"
        path.write_text(yaml.safe_dump({"hosts": self.host_table(), **setup}, sort_keys=False))
        return path

    def host_table(self) -> dict[str, dict[str, Any]]:
        if self.hosts:
            return {name: {"address": host.address} for name, host in self.place.items()}
        first = _free_ports(20 * len(self.names))
        return {name: {"address": "127.0.0.1", "data_port": first + 20 * i} for i, name in enumerate(self.names)}

    def run_dirs(self, run: int) -> dict[str, Path]:
        """Where each node has written a run."""
        found = {}
        for name in self.names:
            for path in sorted((self.folder / "data" / name).glob(f"*run{run:06d}_{name}")):
                found[name] = path
        return found

    def record(self, run: int, node: str) -> dict[str, Any]:
        return json.loads((self.run_dirs(run)[node] / "run.json").read_text())

    def logs(self) -> str:
        return "\n".join(f"== {d.name}\n{d.log()}" for d in (self.broker, *self.nodes.values()))


def process(cluster: Cluster, node: str, run: int, label: str) -> int | None:
    """Process id of a worker (`Fkt_2[0]`) or link (`RB_1:daq1>ana1[0]`) of a run; None if it does not live."""
    return process_of(folder_path(f"{tag_of(cluster.state_of(node))}-{run}"), label)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _free_ports(count: int = 2) -> int:
    """The first of `count` ports in a row that are free at this moment."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            number = first.getsockname()[1]
            if number + count > 65000:
                continue
            try:
                for offset in range(1, count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", number + offset))
            except OSError:
                continue
            return int(number)


@contextlib.contextmanager
def cluster(folder: Path, names: list[str], hosts: Hosts | None = None, *, keys: bool = False) -> Iterator[Cluster]:
    """A cluster that is gone at the end; its logs are shown if the test fails."""
    made = Cluster(folder, names, hosts, keys=keys)
    try:
        yield made
    except BaseException:
        print(made.logs())
        raise
    finally:
        made.close()
