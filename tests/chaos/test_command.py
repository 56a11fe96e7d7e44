"""The command as its user types it: a demo that is broken and accounted for, and a cluster that has not opted in."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nodes.real import cluster

CHAOS = [sys.executable, "-m", "mimodaq.client.cli", "chaos"]


def chaos(*words, code=0, timeout_s=110.0):
    """Carry it out; what is on stdout."""
    done = subprocess.run([*CHAOS, *words], capture_output=True, text=True, check=False, timeout=timeout_s)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stdout + done.stderr


def test_a_demo_is_broken_and_every_event_is_accounted_for():
    result = json.loads(chaos("--demo", "--seed", "7", "--faults", "6", "--minutes", "0.05", "--json"))
    assert result["accounted"]
    assert result["faults_done"] >= 4
    assert result["faults_seen"] > 0
    (run,) = (run for run in result["runs"] if run["run"] == 1)
    assert run["came_in"] > 0
    assert run["unaccounted"] == []


@pytest.mark.soak
def test_an_hour_of_faults_leaves_no_event_unaccounted_for():
    """Shorter with MIMODAQ_SOAK_FAULTS=100 MIMODAQ_SOAK_MINUTES=6."""
    faults = os.environ.get("MIMODAQ_SOAK_FAULTS", "1100")
    minutes = os.environ.get("MIMODAQ_SOAK_MINUTES", "60")
    result = json.loads(chaos("--demo", "--faults", faults, "--minutes", minutes, "--json", timeout_s=6 * 3600.0))
    print(json.dumps({name: result[name] for name in ("seed", "faults_done", "faults_seen", "accounted")}))
    assert result["accounted"]
    assert result["faults_done"] >= 0.9 * int(faults)


MODULE = """
import time


def slow():
    while True:
        yield {"x": 1.0}
        time.sleep(0.01)
"""
SETUP = {
    "RingBuffer": [{"RB_1": {"number_of_slots": 64, "data_type": {1: ["x", "float64"]}}}],
    "Functions": [
        {"Fkt_1": {"function": "source.py:slow", "restart": True, "RB_assign": {"RB_1": "write"}}},
        {"Fkt_2": {"function": "to_csv", "RB_assign": {"RB_1": "read"}, "config": {"filename": "kept"}}},
    ],
}


@pytest.fixture
def in_use(tmp_path):
    """A cluster that somebody uses."""
    with cluster(tmp_path, ["daq1"]) as made:
        session = made.start()
        answer = session.configure(made.write_setup(SETUP, source=MODULE))
        assert answer.ok, answer.text
        yield made
        made.command("shutdown", "--broker", made.address)  # the daemon that chaos has started goes, too


def test_a_cluster_is_broken_only_if_its_address_is_typed_twice(in_use):
    said = chaos("--broker", in_use.address, "--yes-break", "127.0.0.1", code=4)
    assert f"--yes-break {in_use.address}" in said
    assert "daq1" in said
    daemons = {name: daemon.process for name, daemon in (*in_use.nodes.items(), ("broker", in_use.broker))}
    assert all(process.poll() is None for process in daemons.values())
    kinds = ("--only", "kill-worker", "--only", "kill-node")
    broken = ("--faults", "3", "--minutes", "0.03", "--seed", "3", *kinds)
    result = json.loads(chaos("--broker", in_use.address, "--yes-break", in_use.address, *broken, "--json"))
    assert result["accounted"]
    assert result["faults_done"] > 0
    assert {one["fault"]["kind"] for one in result["faults"]} <= {"kill-worker", "kill-node"}
    assert daemons["broker"].poll() is None
