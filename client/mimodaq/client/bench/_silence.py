"""How soon a client is told that a node has fallen silent."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mimodaq.client.bench._children import Child
from mimodaq.client.bench._hosts import Hosts
from mimodaq.client.session import News
from mimodaq.protocol.messages import Cluster, LogLine

_NODE: Final = "far"


def is_silent(news: News, node: str) -> bool:
    """Whether this news tells that a node is not heard."""
    if isinstance(news, Cluster):
        return any(n.node == node and n.presence != "here" for n in news.nodes)
    return isinstance(news, LogLine) and news.node == "broker" and node in news.text


def after_a_cut() -> float:
    """Cut the cable of a host whose node daemon has nothing to do; time until a client at the broker is told, in s."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mimodaq-bench-")))
        hosts = stack.enter_context(Hosts(2))
        near, far = hosts[0], hosts[1]
        broker = ("broker", "--bind", near.address, "--insecure")
        node = ("node", _NODE, "--broker", near.address, "--insecure", "--data", str(folder / "data"))
        for host, words in ((near, broker), (far, node)):
            daemon = start_daemon(folder, words[0], *words, prefix=host.prefix)
            stack.callback(daemon.wait)
            stack.callback(daemon.kill)
        watcher = stack.enter_context(Child("watcher", near.prefix, address=near.address, node=_NODE))
        begin = time.monotonic()
        far.cut()
        told: float = watcher.result()["told"]
        return told - begin


def start_daemon(folder: Path, name: str, *words: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start `mimodaq WORDS` with its log and its state in a folder."""
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "mimodaq.client.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
            start_new_session=True,
        )
