"""A queue on a cluster: its run goes on when the queue is killed, and is found again by its comment."""

import os
import signal
import subprocess
import sys

from nodes.real import wait_for

MODULE = """
import time


def numbers(*, pause=0.0):
    n = 0
    while True:
        time.sleep(pause)
        yield {"n": n}
        n += 1
"""
SETUP = {
    "RingBuffer": [{"RB_1": {"host": "daq1", "number_of_slots": 64, "data_type": {1: ["n", "float64"]}}}],
    "Functions": [
        {"Fkt_1": {"function": "own.py:numbers", "host": "daq1", "RB_assign": {"RB_1": "write"}}},
        {"Fkt_2": {"function": "to_csv", "host": "ana1", "RB_assign": {"RB_1": "read"}}},
    ],
}
QUEUE = "setup: setup.yaml\nruns:\n  - {events: 400, Fkt_1.config.pause: 0.005}\n  - {events: 20}\n"


def test_a_killed_queue_finds_its_run_and_goes_on(new_cluster):
    cluster = new_cluster("daq1", "ana1", real=False)
    file = cluster.write_setup(SETUP, own=MODULE).with_name("queue.yaml")
    file.write_text(QUEUE)
    session = cluster.start()
    command = [sys.executable, "-m", "mimodaq.client.cli", "queue", str(file), "--broker", cluster.address]
    with subprocess.Popen(command, env={**os.environ, **cluster.environment}, stderr=subprocess.DEVNULL) as queue:
        run = wait_for(lambda: session.status().cluster.run, "for the first run")
        wait_for(lambda: session.status().cluster.state.value == "running", "for its start")
        queue.send_signal(signal.SIGKILL)
    text = cluster.command("queue", str(file), "--broker", cluster.address)
    assert text.endswith("2 of 2 done, 0 marked\n")
    rows = session.runs()
    assert [(row.run, row.verdict, row.events) for row in rows] == [(run + 1, "good", 20), (run, "good", 400)]
    assert rows[1].comment.startswith("queue queue.yaml 1 ")
