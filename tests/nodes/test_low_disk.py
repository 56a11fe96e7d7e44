"""A node whose disk is low during a run: the run is stopped on all hosts, complete and good."""

import subprocess

import pyarrow.parquet as pq
import pytest

from nodes.chain import wait_for_end

MODULE = """
import time

import numpy as np


def noise():
    chance = np.random.default_rng(1)
    while True:
        time.sleep(0.001)
        yield {"x": chance.random(1000)}
"""
X = {"filename": "x"}
SETUP = {
    "disk": {"reserve": "36 MB"},
    "RingBuffer": [
        {"RB_1": {"host": "daq1", "number_of_slots": 64, "channel_per_slot": 1000, "data_type": {1: ["x", "float64"]}}}
    ],
    "Functions": [
        {"Fkt_1": {"function": "own.py:noise", "host": "daq1", "RB_assign": {"RB_1": "write"}}},
        {
            "Fkt_2": {
                "function": "to_parquet",
                "host": "ana1",
                "RB_assign": {"RB_1": "read"},
                "config": {"filename": "x"},
            }
        },
    ],
}


@pytest.fixture
def cluster(new_cluster):
    """Two nodes, of which one writes to a disk of 40 MB."""
    made = new_cluster("daq1", "ana1", real=False)
    disk = made.folder / "data" / "ana1"
    disk.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield made
    made.close()
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_low_disk_of_one_node_stops_the_run_on_all(cluster):
    session = cluster.start()
    assert session.configure(cluster.write_setup(SETUP, own=MODULE)).ok
    answer = session.ask("start")
    assert answer.ok, answer.text
    wait_for_end(session, answer.run)
    row = session.run(answer.run)
    assert (row.verdict, row.reasons) == ("good", ())
    assert row.end_reason.startswith("the disk of ana1 is low (")
    folder = cluster.run_dirs(answer.run)["ana1"]
    assert not list(folder.rglob("_*"))
    assert pq.read_table(folder / "x", columns=["counter"]).num_rows == row.events
