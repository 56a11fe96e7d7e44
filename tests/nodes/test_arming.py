"""A node daemon that is killed while a run is being armed: its record is whole, and the next life closes it."""

from __future__ import annotations

import json

import pytest

from nodes.chain import wait_for_end
from nodes.real import process, wait_for

DAQ = "daq1"
MODULE = """
import time
from pathlib import Path

while Path({hold!r}).exists():
    time.sleep(0.01)


def numbers():
    for number in range(10):
        yield {{"x": float(number)}}
"""
SETUP = {
    "RingBuffer": [{"RB_1": {"number_of_slots": 16, "data_type": {1: ["x", "float64"]}, "host": DAQ}}],
    "Functions": [
        {"Fkt_1": {"function": "held.py:numbers", "RB_assign": {"RB_1": "write"}, "host": DAQ}},
        {"Fkt_2": {"function": "drain", "RB_assign": {"RB_1": "read"}, "host": DAQ}},
    ],
}


@pytest.fixture
def hold(tmp_path):
    """As long as it is there, a worker that starts does not get ready."""
    path = tmp_path / "hold"
    yield path
    path.unlink(missing_ok=True)


def test_a_daemon_that_is_killed_while_arming_leaves_a_whole_record_that_its_next_life_closes(new_cluster, hold):
    cluster = new_cluster(DAQ, real=False)
    session = cluster.start()
    answer = session.configure(cluster.write_setup(SETUP, held=MODULE.format(hold=str(hold))))
    assert answer.ok, answer.text
    hold.touch()
    found = []

    def kill_the_daemon():
        if not found and process(cluster, DAQ, 1, "Fkt_1[0]"):
            cluster.nodes[DAQ].kill()
            found.append(cluster.record(1, DAQ))
            hold.unlink()
            cluster.nodes[DAQ].start()

    assert not session.ask("start", on_turn=kill_the_daemon).ok
    assert (found[0]["run"], found[0]["verdict"], found[0]["state"]) == (1, None, "starting")
    record = wait_for(lambda: (one := cluster.record(1, DAQ))["verdict"] and one, "for the record to be closed")
    assert (record["verdict"], record["reasons"]) == (
        "interrupted",
        ["the run was killed; its files were recovered"],
    )
    text = f"{cluster.run_dirs(1)[DAQ]} was left by a run that was killed: 0 events recovered"
    wait_for(lambda: any(text in line.text for line in session.logs()), "for the operator to be told")
    assert process(cluster, DAQ, 1, "Fkt_1[0]") is None
    # which of the two: whether the broker had missed the daemon before it was back
    assert wait_for_end(session, 1).verdict in {"aborted", "interrupted"}
    answer = session.ask("start")
    assert answer.ok, answer.text
    assert wait_for_end(session, answer.run).verdict == "good"
    assert json.loads((cluster.run_dirs(1)[DAQ] / "run.json").read_text()) == record, "the next run changed it"
