"""What the data files of each host of a cluster say about their run."""

from __future__ import annotations

import pytest

from nodes.chain import DAQ, MODULE, STO, setup, wait_for_end, wait_for_events
from nodes.real import kill, process, wait_for
from selfdescribing.alone import EVERYTHING, OF_THE_END, told

COMMENT = "cosmics, top panel moved: 20 cm higher"
FILES = {DAQ: ("raw/raw-0000.parquet", "waves.tar"), STO: ("kept.csv",)}


@pytest.fixture
def cluster(new_cluster):
    return new_cluster(DAQ, STO, keys=True)


def configure(cluster, session, **options):
    """The chain, with files of all formats."""
    table = setup(filters=(STO,), **options)
    for number, (function, name) in enumerate({"to_parquet": "raw", "to_tar": "waves"}.items(), 4):
        entry = {"function": function, "RB_assign": {"RB_1": "read"}, "config": {"filename": name}}
        table["Functions"].append({f"Fkt_{number}": entry})
    answer = session.configure(cluster.write_setup(table, chain=MODULE))
    assert answer.ok, answer.text


def check(cluster, run, verdict):
    """Each file tells what the record of its host does, and the hosts of the setup."""
    for node, names in FILES.items():
        record = cluster.record(run, node)
        assert (record["operator"], record["comment"], record["node"]) == ("anna", COMMENT, node)
        for name in names:
            found = told(cluster.run_dirs(run)[node] / name)
            end = found["end"]
            assert {*EVERYTHING, "node"} <= set(found), name
            assert set(end) >= OF_THE_END, name
            assert (found["run"], found["operator"], found["comment"], found["node"]) == (run, "anna", COMMENT, node)
            assert set(found["configuration"]["hosts"]) == {DAQ, STO}
            assert (end["verdict"], end["ledger"]["balanced"], end["left_out"]) == (verdict, True, [])
            assert all(end["times"].values())
            assert {"offset_s", "jitter_s", "way_s", "jumps", "measured"} <= set(end["clock"])
            assert found["files"]["chain.py"] == MODULE


def test_every_file_of_every_host_tells_all_about_its_run(cluster):
    session = cluster.start()
    configure(cluster, session, events=400)
    answer = session.ask("start", comment=COMMENT)
    assert answer.ok, answer.text
    assert wait_for_end(session, answer.run).verdict == "good"
    check(cluster, answer.run, "good")


def test_so_they_do_after_daemon_and_writer_were_killed(cluster):
    session = cluster.start()
    configure(cluster, session, rate=500.0)
    run = session.ask("start", comment=COMMENT).run
    wait_for_events(session, run, 100)
    node, life = cluster.nodes[DAQ], session.status().reports[DAQ].epoch
    node.kill()
    node.start()
    wait_for(lambda: session.status().reports[DAQ].epoch > life, "for the daemon to be back")
    wait_for(lambda: session.status().cluster.state.value == "running", "for the run to go on")
    for label in ("Fkt_4[0]", "Fkt_5[0]"):
        before = wait_for(lambda label=label: process(cluster, DAQ, run, label), f"for {label}")
        kill(before)
        wait_for(lambda was=before, label=label: process(cluster, DAQ, run, label) not in (None, was), "for the next")
    wait_for_events(session, run, 100)
    assert session.ask("stop").ok
    row = wait_for_end(session, run)
    assert all("was started again" in reason for reason in row.reasons), row.reasons
    assert told(cluster.run_dirs(run)[DAQ] / "waves.tar")["end"]["verdict"] == "tainted"
    assert told(cluster.run_dirs(run)[DAQ] / "raw/raw-0000.parquet")["operator"] == "anna"
