"""Hosts are gone when they are not needed any more, and are not missed unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from link.hosts import HostError, Hosts, why_not
from mimodaq.client.bench import _hosts

NAMESPACES = Path("/run/netns")
OWNER = """
import subprocess, sys
from mimodaq.client.bench._hosts import Hosts

with Hosts(2) as hosts:
    guest = subprocess.Popen([*hosts[1].prefix, "sleep", "1000"])
    print(hosts.bridge, hosts[0].name, hosts[1].name, guest.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _possible() -> None:
    if reason := why_not():
        pytest.skip(reason)


def test_what_a_killed_owner_has_left_is_removed_by_the_next() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        *names, guest = owner.stdout.readline().decode().split()
        with Hosts(1):
            assert all((NAMESPACES / name).exists() for name in names), "its owner lives"
        owner.kill()
    with Hosts(1) as hosts:
        assert not any((NAMESPACES / name).exists() for name in names)
        assert (NAMESPACES / hosts.bridge).exists()
    _, status = os.waitpid(int(guest), 0)  # it is ours since its parent is dead
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def test_what_cannot_be_removed_is_told_when_the_rest_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _hosts._run

    def refuse_first(*command: str) -> str:
        if command == ("ip", "netns", "delete", hosts[0].name):
            raise HostError("busy")
        return run(*command)

    with Hosts(2) as hosts:
        monkeypatch.setattr(_hosts, "_run", refuse_first)
        with pytest.raises(HostError, match="busy"):
            hosts._remove()
        monkeypatch.undo()
        there = [name for name in (hosts[0].name, hosts[1].name, hosts.bridge) if (NAMESPACES / name).exists()]
        assert there == [hosts[0].name]
    assert not (NAMESPACES / hosts[0].name).exists()


def test_in_ci_a_test_without_hosts_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hosts, "why_not", lambda: "no network namespaces here")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no network namespaces here"):
        why_not()
    monkeypatch.delenv("CI")
    assert why_not() == "no network namespaces here"
