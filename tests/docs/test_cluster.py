"""The cluster of docs/cluster.md on one computer works as it is printed there, on a host of its own with free ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

import pytest

from docs.pages import blocks, environment_with_commands
from link.hosts import Hosts, why_not
from mimodaq.chaos.waiting import wait_for

PAGE = "cluster.md"
_PATIENCE_S = 60.0


class Terminals:
    """Terminals of one host, in one folder."""

    def __init__(self, folder: Path, prefix: list[str], leaving: ExitStack) -> None:
        self.folder, self._prefix, self._leaving = folder, prefix, leaving
        places = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "STATE")}
        self._environment = {**environment_with_commands(), **places}

    def begin(self, text: str) -> subprocess.Popen[bytes]:
        """Give a command that goes on."""
        log = self._leaving.enter_context((self.folder / "log").open("ab"))
        command = [*self._prefix, "bash", "-c", f"exec {text}"]
        daemon = subprocess.Popen(command, cwd=self.folder, env=self._environment, stdout=log, stderr=log)
        self._leaving.callback(daemon.wait, _PATIENCE_S)
        self._leaving.callback(daemon.terminate)
        return daemon

    def do(self, *command: str) -> str:
        """Carry a command out; what it has printed."""
        done = subprocess.run(
            [*self._prefix, *command],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
        assert not done.returncode, f"{command}\n{done.stdout}\n{done.stderr}\n{(self.folder / 'log').read_text()}"
        return done.stdout

    def are_there(self, *names: str) -> bool:
        """Whether the broker hears these nodes."""
        command = [*self._prefix, "mimodaq", "status", "--json"]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        return not done.returncode and set(names) <= {
            node["node"] for node in json.loads(done.stdout)["cluster"]["nodes"]
        }


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    if reason := why_not():
        pytest.skip(reason)
    with Hosts(1) as (host,), ExitStack() as leaving:
        yield Terminals(tmp_path, list(host.prefix), leaving)


def test_the_cluster_on_one_computer_works_as_printed(terminals: Terminals) -> None:
    printed, daemons = [], []
    for language, title, text in takewhile(lambda block: block[0] != "yaml" or block[1], blocks(PAGE)):
        if language == "python" and not title:
            printed.append(terminals.do(sys.executable, "-c", text))
        elif not title.startswith("terminal"):
            (terminals.folder / title).write_text(text)
        elif title != "terminal 4":
            daemons.append(terminals.begin(text))
        else:
            wait_for(lambda: terminals.are_there("daq1", "ana1"), "for broker and nodes")
            printed.append(terminals.do("bash", "-e", "-c", text))
    assert "good - first light" in "\n".join(printed)
    assert [daemon.wait(_PATIENCE_S) for daemon in daemons] == [0, 0, 0]
