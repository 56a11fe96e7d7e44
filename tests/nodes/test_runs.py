"""Runs over hosts: everything goes through once, in all ways to begin and to end."""

from __future__ import annotations

import pytest

from nodes.chain import DAQ, HOSTS, MODULE, STO, check_complete, made, setup, wait_for_end, wait_for_events
from nodes.real import wait_for


@pytest.fixture
def chain(new_cluster):
    """A cluster of four hosts, and the function that configures the chain on it."""
    cluster = new_cluster(*HOSTS)
    session = cluster.start()

    def configure(**options):
        path = cluster.write_setup(setup(**options), chain=MODULE)
        answer = session.configure(path)
        assert answer.ok, answer.text

    return cluster, session, configure


def test_a_run_that_ends_with_its_source_is_good_and_complete(chain):
    cluster, session, configure = chain
    configure(events=5000)
    answer = session.ask("start", comment="first light")
    assert answer.ok, answer.text
    row = wait_for_end(session, answer.run)
    assert (row.verdict, row.reasons, row.comment) == ("good", (), "first light")
    assert (row.end_reason, row.events) == ("the sources have no more events", 5000)
    check_complete(cluster, answer.run, 5000)
    assert set(cluster.run_dirs(answer.run)) == set(HOSTS)
    for node in HOSTS:
        record = cluster.record(answer.run, node)
        assert (record["operator"], record["comment"]) == (row.operator, "first light")
        clock = record["clock"]
        assert abs(clock["offset_s"]) <= clock["way_s"] / 2 + 1e-3  # all hosts are this computer
        assert clock["jumps"] == 0


def test_a_run_that_is_stopped_keeps_what_was_taken(chain):
    cluster, session, configure = chain
    configure(rate=3000.0)
    run = session.ask("start").run
    wait_for_events(session, run, 2000)
    assert session.ask("pause").ok
    paused = session.status().cluster.events
    assert session.ask("resume").ok
    wait_for_events(session, run, paused + 1000)
    answer = session.ask("stop")
    assert answer.ok, answer.text
    row = wait_for_end(session, run)
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(cluster, run, made(cluster, run))
    assert row.events == made(cluster, run)


def test_exactly_so_many_events_are_taken_as_the_setup_says(chain):
    cluster, session, configure = chain
    configure(limit=3000)
    run = session.ask("start").run
    row = wait_for_end(session, run)
    assert (row.verdict, row.events) == ("good", 3000)
    check_complete(cluster, run, 3000)


def test_packed_events_come_through_a_slow_cable_unchanged(new_cluster):
    cluster = new_cluster(*HOSTS)
    session = cluster.start()
    cluster.place[DAQ].limit("4mbit")
    links = {"RB_1": {"codec": "zstd"}, "RB_2": {"codec": "lz4"}}
    answer = session.configure(cluster.write_setup({"links": links, **setup(events=4000)}, chain=MODULE))
    assert answer.ok, answer.text
    run = session.ask("start").run
    row = wait_for_end(session, run)
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(cluster, run, 4000)


def test_an_abort_ends_everything_and_a_new_run_works(chain):
    cluster, session, configure = chain
    configure(rate=2000.0)
    run = session.ask("start").run
    wait_for_events(session, run, 500)
    assert session.ask("abort").ok
    assert wait_for_end(session, run).verdict == "aborted"
    second = session.ask("start")
    assert second.ok, second.text
    assert second.run == run + 1
    wait_for_events(session, second.run, 500)
    assert session.ask("stop").ok
    assert wait_for_end(session, second.run).verdict == "good"
    assert session.ask("reset").ok
    assert {line.state.value for line in session.status().cluster.nodes} == {"idle"}
    assert not list((cluster.folder / "state").rglob("*.part"))


def test_a_start_that_one_host_cannot_carry_out_is_undone_on_all(new_cluster):
    cluster = new_cluster(DAQ, STO, real=False)
    session = cluster.start()
    broken = cluster.folder / "broken"
    module = f"import os\n\nif os.path.exists({str(broken)!r}):\n    raise RuntimeError('no detector')\n{MODULE}"
    answer = session.configure(cluster.write_setup(setup(filters=(STO,)), chain=module))
    assert answer.ok, answer.text
    broken.touch()
    answer = session.ask("start")
    assert not answer.ok
    assert "no detector" in answer.text
    row = wait_for_end(session, answer.run)
    assert row.verdict == "interrupted"
    assert {cluster.record(answer.run, node)["verdict"] for node in cluster.run_dirs(answer.run)} == {"interrupted"}
    assert session.status().cluster.state.value == "configured"
    broken.unlink()
    answer = session.ask("start")
    assert answer.ok, answer.text
    assert session.ask("abort").ok


def test_a_mistake_in_a_function_is_named_with_file_and_line(new_cluster):
    cluster = new_cluster(DAQ, STO, real=False)
    session = cluster.start()
    table = setup(filters=(DAQ,))
    table["Functions"][1]["Fkt_2"]["config"] = {"threshhold": 1}
    answer = session.configure(cluster.write_setup(table, chain=MODULE))
    assert not answer.ok
    assert "threshhold" in answer.text
    assert "setup.yaml:" in answer.text
    wait_for(lambda: session.status().cluster.state.value == "idle", "for everything to be reset")
