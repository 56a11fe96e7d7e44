"""An evening in the laboratory: the experiment of the demonstration on real hosts, and a terminal to run it from.

Two stations with scintillators (invented pulses, real processes), one host that merges, counts and writes; every host
is a network namespace. For the test of a whole evening and for the pictures in the documentation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mimodaq.tui.simulated import demo_setup
from nodes.real import Cluster, kill, process, wait_for

PATIENCE_S = 60.0
HOSTS = ("pi-1", "pi-2", "daq1")
PACED = '''

def paced_readout(*, rate: float = 100.0, **options):
    """The same at a given mean rate, at random times."""
    import random
    import time

    chance = random.Random(options.get("seed"))
    due = time.monotonic()
    for event in readout(**options):
        due = max(due, time.monotonic() - 0.1) + chance.expovariate(rate)  # what was held is not made up for
        time.sleep(max(0.0, due - time.monotonic()))
        yield event
'''


def write_experiment(cluster: Cluster, rate: float, slots: int = 2048) -> Path:
    """The setup of the demonstration for the hosts of a cluster, with sources of a given rate."""
    setup: dict[str, Any] = yaml.safe_load(demo_setup().read_text())
    del setup["hosts"]
    for entry in setup["RingBuffer"]:
        for buffer in entry.values():
            buffer["number_of_slots"] = slots
    for entry in setup["Functions"]:
        for name, function in entry.items():
            if "file_name" in function:
                del function["file_name"]
                function["function"] = f"station.py:{function.pop('fkt_name')}"
            if name.startswith("reader"):
                function["function"] = "station.py:paced_readout"
                function["config"] |= {"rate": rate, "seed": int(name[-1])}
    setup["Functions"] = [entry for entry in setup["Functions"] if "display" not in entry]
    return cluster.write_setup(setup, station=(demo_setup().parent / "modules" / "station.py").read_text() + PACED)


def send(cluster: Cluster, node: str, label: str, number: int) -> None:
    """A signal to a process of the run that goes on."""
    run = cluster.session().status().cluster.run
    pid = process(cluster, node, run or 0, label)
    assert pid is not None, f"{label} of run {run} on {node} does not live"
    kill(pid, number)


def why_no_tmux() -> str:
    """Why there is no tmux; empty if there is."""
    return "" if shutil.which("tmux") else "tmux is not installed"


class Terminal:
    """`mimodaq tui` in tmux: what is typed goes in, what is seen comes out."""

    def __init__(self, cluster: Cluster, size: tuple[int, int], *options: str) -> None:
        self.lab = cluster
        self._socket = cluster.folder / "tmux"
        self._environment = {**os.environ, **cluster.environment, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        prefix = cluster.hosts[0].prefix if cluster.hosts else ()
        screens = [*prefix, sys.executable, "-m", "mimodaq.tui", "--broker", cluster.address, *options]
        width, height = size
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), *screens)

    def tmux(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code or code < 0, done.stderr
        return done.stdout

    def press(self, *keys: str) -> None:
        """Keys by their names in tmux; a longer text is typed."""
        for key in keys:
            self.tmux("send-keys", key)

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p", code=-1)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines() or [""]

    def until(self, holds: Callable[[], Any], why: str) -> None:
        """Wait until something is seen; each look costs a process, so there are not many."""
        give_up, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while not holds():
            assert time.monotonic() < give_up, f"waited {PATIENCE_S} s in vain {why}\n{self.text}"
            pause.wait(0.1)

    def shows(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        self.until(lambda: all(text in self.text for text in texts), f"for {texts}")

    @property
    def is_there(self) -> bool:
        done = subprocess.run(["tmux", "-S", str(self._socket), "has-session"], capture_output=True, check=False)
        return done.returncode == 0

    def close(self) -> None:
        """End it by force, if it is there still."""
        self.tmux("kill-server", code=-1)
        wait_for(lambda: not self.is_there, "for the end of tmux")
