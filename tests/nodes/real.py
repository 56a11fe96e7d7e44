"""A real cluster for tests: hosts as network namespaces, a broker and node daemons as processes in them.

The cluster itself is that of `mimodaq chaos --demo`; here are the things that only tests need.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from link.hosts import Host, Hosts
from mimodaq.chaos.cluster import LocalCluster, on_host
from mimodaq.chaos.waiting import PATIENCE_S, wait_for
from mimodaq.client.session import Session
from mimodaq.node import folder_path, process_of, tag_of
from mimodaq.node._rings import ring_segment
from mimodaq.ring import Ring

__all__ = ["Cluster", "cluster", "kill", "on_host", "process", "wait_for"]


class Cluster(LocalCluster):
    """A broker and nodes, with keys if they are wanted."""

    def __init__(self, folder: Path, names: list[str], hosts: Hosts | None = None, *, keys: bool = False) -> None:
        super().__init__(folder, names, hosts, keys=folder / "keys" if keys else None)

    def start(self) -> Session:
        if self.keys:
            self.make_keys()
        return super().start()

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

    def ring(self, node: str, run: int, name: str) -> Ring:
        """A ring of a run: shared memory is that of all hosts."""
        return Ring.attach(ring_segment(f"{tag_of(self.state_of(node))}-{run}", node, name))

    def record(self, run: int, node: str) -> dict[str, Any]:
        return json.loads((self.run_dirs(run)[node] / "run.json").read_text())


def process(cluster: Cluster, node: str, run: int, label: str) -> int | None:
    """Process id of a worker (`Fkt_2[0]`) or link (`RB_1:daq1>ana1[0]`) of a run; None if it does not live."""
    return process_of(folder_path(f"{tag_of(cluster.state_of(node))}-{run}"), label)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


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
