"""What an operator types, on four hosts: one command takes data, others look on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from nodes.chain import ANA1, ANA2, HOSTS, MODULE, STO, check_complete, kept, made, setup
from nodes.real import PATIENCE_S, wait_for


@pytest.fixture
def started(new_cluster):
    """A cluster of four hosts, and the words that name its broker."""
    cluster = new_cluster(*HOSTS)
    cluster.start()
    return cluster, ("--broker", cluster.address, "--insecure"), cluster.hosts[0]


def test_one_command_takes_data_on_four_hosts(started):
    cluster, broker, host = started
    path = cluster.write_setup(setup(), chain=MODULE)
    found = cluster.command("run", str(path), "--events", "3000", "--json", *broker, host=host)
    result = json.loads(found)
    assert (result["verdict"], result["events"], result["reasons"]) == ("good", 3000, [])
    check_complete(cluster, result["run"], 3000)
    balance = {(c["node"], c["buffer"]): c["committed"] - c["released"] for c in result["counts"]}
    assert set(balance.values()) == {0}
    assert {node for node, _ in balance} == set(HOSTS)
    said = cluster.command("run", str(path), "--output", "x", *broker, host=host, code=2)
    assert "each writes below its own directory" in said


def test_the_setup_names_its_broker_and_the_hosts_it_can_do_without(started):
    cluster, insecure, host = started
    hosts = cluster.host_table()
    hosts[ANA2]["role"] = "optional"
    path = cluster.write_setup({"broker": cluster.address, "hosts": hosts, **setup(events=3000)}, chain=MODULE)
    words = ("run", str(path), "--json", "--on-loss", "stop", "--comment", "first light", insecure[-1])
    result = json.loads(cluster.command(*words, host=host))
    assert (result["verdict"], result["optional"], result["on_loss"]) == ("good", [ANA2], "stop")
    assert {cluster.record(result["run"], node)["comment"] for node in HOSTS} == {"first light"}
    check_complete(cluster, result["run"], 3000)
    ledger = cluster.record(result["run"], STO)["ledger"]["buffers"]["RB_2"]
    assert {name: {**group, "redelivered": 0} for name, group in result["ledger"]["buffers"]["RB_2"].items()} == ledger
    assert result["ledger"]["balanced"]
    assert result["buffers"]["RB_1"]["events"] == 3000


def test_ctrl_c_stops_the_run_of_the_cluster_and_tells_what_it_was_worth(started):
    cluster, broker, host = started
    path = cluster.write_setup(setup(rate=2000.0), chain=MODULE)
    words = [*host.prefix, sys.executable, "-m", "mimodaq.client.cli", "run", str(path), *broker]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        session = cluster.session()
        wait_for(lambda: session.status().cluster.events > 1000)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "run 1: good" in output
    check_complete(cluster, 1, made(cluster, 1))
    assert sum(kept(cluster, 1).values()) > 500


def test_events_of_any_host_can_be_looked_at_without_holding_up_any(started):
    cluster, broker, host = started
    session = cluster.session()
    assert session.configure(cluster.write_setup(setup(rate=3000.0), chain=MODULE)).ok
    assert session.ask("start").ok
    for words in (("RB_1",), ("RB_2",), ("RB_1", "--node", ANA1), ("RB_2", "--node", ANA2)):
        lines = cluster.command("observe", *words, "-n", "5", "--json", *broker, host=host).splitlines()
        numbers = [json.loads(line)["event"]["n"][0] for line in lines]
        assert len(set(numbers)) == 5
        assert words[0] == "RB_2" or numbers == sorted(numbers)  # two hosts write RB_2 at the same time
    assert "there are RB_1, RB_2" in cluster.command("observe", "RB_7", *broker, host=host, code=2)
    answer = session.ask("stop")
    assert session.run(answer.run).verdict == "good"
    check_complete(cluster, answer.run, made(cluster, answer.run))


def test_an_observer_on_another_host_gets_a_sample_and_holds_up_nobody(started):
    cluster, _, _ = started
    table = setup(events=30000)
    config = {"path": str(cluster.folder / "seen.txt")}
    watcher = {"function": "chain.py:watch", "host": STO, "RB_assign": {"RB_1": "observe"}, "config": config}
    table["Functions"].append({"Fkt_4": watcher})
    module = MODULE + WATCH
    session = cluster.session()
    answer = session.configure(cluster.write_setup(table, chain=module))
    assert answer.ok, answer.text
    run = session.ask("start").run
    row = wait_for(lambda: next((r for r in session.runs() if r.run == run and r.verdict), None))
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(cluster, run, 30000)
    seen = [int(number) for number in (cluster.folder / "seen.txt").read_text().split()]
    assert 0 < len(seen) < 30000
    assert seen == sorted(set(seen))


WATCH = '''

def watch(event, *, path):
    """Note what was seen."""
    with open(path, "a") as file:
        file.write(f"{int(event['n'][0])}\\n")
'''
