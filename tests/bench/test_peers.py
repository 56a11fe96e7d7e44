"""Peers are other programs: they may be absent, fail, or hang together with their children."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from mimodaq.client.bench._peers import MIMOCORB, MIMOCORB2, Peer, Peers, checkout
from mimodaq.client.bench._projects import find_project
from mimodaq.client.bench._results import BenchError, Missing
from mimodaq.client.bench._run import run_built_in, run_peer, run_project, same_accepted

REAL = Peers(checkout())


def is_installed(peer: Peer) -> bool:
    return (checkout() / peer.environment / "bin" / "python").exists()


def has_ended(pid: int) -> bool:
    """Whether a process that was killed ends; its parent need not have asked for it yet."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 60.0)[0])
    finally:
        os.close(descriptor)


def test_a_peer_that_is_not_installed_says_how_to_get_it(no_peers: Peers) -> None:
    with pytest.raises(Missing, match="not installed: make peers"):
        no_peers.measure(MIMOCORB, "ring", event="small", events=1)


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    interpreter = tmp_path / MIMOCORB.environment / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such ring')\n")
    interpreter.chmod(0o755)

    with pytest.raises(BenchError, match=r"mimoCoRB 1\.0\.2 gave no result: no such ring"):
        Peers(tmp_path).measure(MIMOCORB, "ring", event="small", events=1)


def test_what_a_peer_leaves_running_is_ended(tmp_path: Path) -> None:
    interpreter = tmp_path / MIMOCORB.environment / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text("#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\necho '{\"left\": '$!'}'\n")
    interpreter.chmod(0o755)

    left = Peers(tmp_path).measure(MIMOCORB, "ring")["left"]

    assert has_ended(left)
    with pytest.raises(ProcessLookupError):
        os.killpg(left, 0)


@pytest.mark.parametrize("peer", [MIMOCORB, MIMOCORB2], ids=lambda peer: peer.name)
@pytest.mark.parametrize("event", ["small", "wave"])
def test_the_ring_of_a_peer_can_be_measured(peer: Peer, event: str) -> None:
    if not is_installed(peer):
        pytest.skip("not installed: make peers")

    assert REAL.rate(peer, "ring", event=event)(200) > 0


def test_the_same_recording_gives_the_same_events_everywhere() -> None:
    runners = {"project": run_project, "built-in": run_built_in}
    if is_installed(MIMOCORB):
        runners["peer"] = lambda *arguments: run_peer(REAL, *arguments)

    check = same_accepted(find_project(checkout(), "spectrum"), 30, runners)

    assert check["same"]
    assert len(set(check["accepted"].values())) == 1
    assert 0 < check["accepted"]["project"] < 30
