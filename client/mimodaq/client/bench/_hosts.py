"""Hosts for tests and benchmarks: network namespaces on a bridge, with cables that can be cut, mended and slowed down.

Each host has an interface `eth0` (10.77.0.1, 10.77.0.2, ...) whose other end hangs on a bridge in a namespace of its
own, so nothing outside these namespaces is touched, and no traffic leaves them. The names begin with the process id of
their owner; those of an owner that was killed are removed by the next. Needs root, if only that of a user namespace;
otherwise `why_not` says what to do.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

_numbers = itertools.count()
_NAMESPACES = Path("/run/netns")
_NAME = re.compile(r"mdq(\d+)x\d+(br|h\d+)")
NETWORK = "10.77.0."


class HostError(Exception):
    """A command that makes hosts has failed."""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _delete(names: Iterable[str]) -> None:
    """Delete namespaces, each one that can be; what is in them (both ends of every cable) goes with them.

    Raises the first failure when all have been tried.
    """
    failures = []
    for name in names:
        try:
            if (_NAMESPACES / name).exists():
                _run("ip", "netns", "delete", name)
        except HostError as error:
            if (_NAMESPACES / name).exists():  # else somebody else was faster
                failures.append(error)
    if failures:
        raise failures[0]


def _is_left(name: str) -> bool:
    """Whether a namespace is one of ours whose owner is dead."""
    match = _NAME.fullmatch(name)
    return match is not None and not Path("/proc", match[1]).exists()


def _delete_left() -> None:
    """Remove the namespaces of owners that are dead, and kill what still runs in them."""
    left = [path.name for path in _NAMESPACES.glob("mdq*") if _is_left(path.name)]
    for name in left:
        with suppress(HostError):  # somebody else removes it at this moment; if not, `_delete` says why
            for pid in _run("ip", "netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
    _delete(left)


@cache
def why_not() -> str:
    """Why no hosts can be made here; empty if they can."""
    missing = [tool for tool in ("ip", "tc", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found: install iproute2 and util-linux"
    try:
        with Hosts(1):
            return ""
    except HostError as error:
        own = "unshare -Urnm sh -c 'mount -t tmpfs none /run; exec make test'"
        return f"no network namespaces here ({error}): run as root, or in a user namespace: {own}"


class Host:
    """One host: a network namespace, its address, its cable."""

    def __init__(self, hosts: Hosts, name: str, number: int) -> None:
        self._hosts = hosts
        self.name = name
        self.address = f"{NETWORK}{number + 1}"
        self._port = f"p{number}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command so that it runs on this host; files and shared memory are those of all."""
        return ("nsenter", f"--net={_NAMESPACES / self.name}", "--")

    def plug_in(self) -> None:
        """Make the interface and the cable to the bridge."""
        bridge = self._hosts.bridge
        _run("ip", "netns", "add", self.name)
        _run("ip", "-n", bridge, "link", "add", self._port, "type", "veth", "peer", "eth0", "netns", self.name)
        _run("ip", "-n", bridge, "link", "set", self._port, "master", "br0", "up")
        _run("ip", "-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")
        _run("ip", "-n", self.name, "link", "set", "lo", "up")

    def cut(self) -> None:
        """Cut the cable: nothing gets through, and nobody is told."""
        _run("ip", "-n", self._hosts.bridge, "link", "set", self._port, "nomaster", "down")

    def restore(self) -> None:
        """Mend the cable."""
        _run("ip", "-n", self._hosts.bridge, "link", "set", self._port, "master", "br0", "up")

    def limit(self, rate: str) -> None:
        """Limit what leaves this host, e.g. to `100mbit`."""
        queue = ("tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
        _run("ip", "netns", "exec", self.name, "tc", "qdisc", "replace", "dev", "eth0", "root", *queue)


class Hosts:
    """`count` hosts on one bridge; all is removed at the end, or by the next ones if the owner is killed."""

    def __init__(self, count: int) -> None:
        tag = f"mdq{os.getpid()}x{next(_numbers)}"
        self.bridge = f"{tag}br"
        self._hosts = [Host(self, f"{tag}h{i}", i) for i in range(count)]

    def __enter__(self) -> Self:
        _delete_left()
        try:
            _run("ip", "netns", "add", self.bridge)
            _run("ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge")
            _run("ip", "-n", self.bridge, "link", "set", "br0", "up")
            for host in self._hosts:
                host.plug_in()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def __getitem__(self, number: int) -> Host:
        return self._hosts[number]

    def __len__(self) -> int:
        return len(self._hosts)

    def _remove(self) -> None:
        _delete([*(host.name for host in self._hosts), self.bridge])
