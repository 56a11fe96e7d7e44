"""Whatever works without keys says so, in red where there are colours."""

import re

import pytest

from broker.running import BrokerThread
from mimodaq.client._cluster_commands import Where
from mimodaq.client._queue_cluster import HandsCluster
from mimodaq.config import QueuedRun, load_setup
from session.terminal import Shell

RED = "\x1b[1;31m"


def test_insecure_is_shown_in_red(tmp_path, state):
    with BrokerThread(state, "0.0.0.0", is_insecure=True) as running:
        shell = Shell(tmp_path, running.address)
        assert "INSECURE" in shell("take").stderr
        with shell.started("status", on_terminal=True) as status:
            status.ends(0)
        assert RED + "INSECURE" in status.raw
        with shell.started("status", "--watch", on_terminal=True) as watch:
            watch.hears("possible now")
            watch.interrupt()
            watch.ends(0)
        assert watch.raw.count(RED + "INSECURE") >= 2  # by the command, and in the head of each picture
        with shell.started("doctor", "--json", on_terminal=True) as doctor:
            doctor.hears('"level"')
            assert RED + "INSECURE" in doctor.raw
        assert "INSECURE" in shell("status").stdout
        assert "\x1b" not in shell("status").stdout


def test_the_runs_of_a_queue_say_that_they_are_insecure(tmp_path, state, setup_file, capsys):
    with BrokerThread(state, "0.0.0.0", is_insecure=True) as running:
        hands = HandsCluster(load_setup(setup_file), "evening", Where(running.address))
        assert hands.wait(QueuedRun(), "a run that never was", lambda: False) is None
    assert capsys.readouterr().err.startswith("INSECURE")


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_broker_and_a_node_that_were_told_to_be_insecure_say_so(tmp_path, on_terminal):
    shell = Shell(tmp_path)
    red = RED if on_terminal else ""
    with shell.started("broker", "--bind", "0.0.0.0", "--port", "0", "--insecure", on_terminal=on_terminal) as broker:
        said = broker.hears("INSECURE: without keys")
        assert f"\n{red}broker on 0.0.0.0:" in broker.raw
        shell.address = "127.0.0.1:" + re.search(r"broker on 0\.0\.0\.0:(\d+)", said).group(1)
        with shell.started("node", "daq1", "--insecure", on_terminal=on_terminal) as node:
            node.hears("command, and write events")
            [line] = [line for line in node.raw.splitlines() if "INSECURE" in line]
            assert line.startswith(RED) == on_terminal
            assert "WARNING" in line
        broker.interrupt()
        broker.ends(0)
