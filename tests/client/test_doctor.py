"""`mimodaq doctor`: every fault, seeded once, is named with its remedy. (Those of scopes: tests/picoscope.)"""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import pytest

from mimodaq.client import _doctor_cluster as cluster
from mimodaq.client import _doctor_here as here
from mimodaq.client import _doctor_network as network
from mimodaq.client.session import Status
from mimodaq.config import DiskSpec, HostSpec
from mimodaq.protocol.messages import Cluster, NodeLine, Report
from mimodaq.protocol.parts import ClockLine, HostLine, LinkLine
from mimodaq.protocol.states import State
from mimodaq.system import own_versions

NEED = here.Need(shm_bytes=1_000_000, event_bytes=100_000, disk=DiskSpec(), rate_hz=100.0, linked_bytes=100_000)


def of(findings, what):
    (found,) = [f for f in findings if f.what == what]
    return found


def is_fault(finding, text, remedy):
    assert finding.is_good is False, finding
    assert text in finding.text
    assert remedy in finding.remedy
    return True


def is_warning(finding, text, remedy):
    assert finding.is_good is None, finding
    assert text in finding.text
    assert remedy in finding.remedy
    return True


# -- the command -----------------------------------------------------------------------------------------------------


def test_a_setup_in_order_on_this_computer(project):
    project.setup("numbers > RB_1", "to_csv < RB_1", more="disk: {reserve: 1 MB}")
    report = json.loads(project("doctor", "setup.yaml", "--rate", "10", "--json").stdout)
    assert report["faults"] == 0
    found = {f"{check['section']}: {check['what']}": check for check in report["checks"]}
    assert set(found) >= {
        "setup: setup",
        *(f"this computer: {w}" for w in ("shared memory", "disk", "disk speed", "clock")),
    }
    assert "enough for " in found["this computer: disk speed"]["text"]
    assert all(check["remedy"] for check in report["checks"] if check["level"] == "fault")
    assert not list(project.folder.rglob("*tmp*"))


def test_everything_wrong_with_a_setup_at_once(project):
    project.functions("def odd(event, *, limit=1):\n    return True\n")
    project.setup(
        "numbers > RB_1", "odd < RB_1 > RB_2 {limmit: 2}", "to_csv < RB_2", more="disk: {reserve: 1000000 TB}"
    )
    project.setup_text = (
        (project.folder / "setup.yaml").read_text().replace("number_of_slots: 16", "number_of_slots: 1000000000000")
    )
    (project.folder / "setup.yaml").write_text(project.setup_text)
    done = project("doctor", "setup.yaml", expect=1)
    assert "FAULT  setup: setup.yaml:6: odd has no option 'limmit'; it has limit (did you mean 'limit'?)" in done.stdout
    assert "FAULT  shared memory: the buffers need 16 TB, " in done.stdout
    assert "-> enlarge it (mount -o remount,size=50% /dev/shm), or lower number_of_slots" in done.stdout
    assert "less than the reserve of 1e+06 TB" in done.stdout
    assert "-> remove or move old runs, or write elsewhere (output_directory, disk.spill)" in done.stdout
    assert done.stdout.endswith(" checks\n")


def test_a_setup_that_cannot_be_read(project):
    project.write("setup.yaml", "RingBufer: []\n")
    done = project("doctor", "setup.yaml", expect=1)
    assert "FAULT  setup: setup.yaml:1: unknown key 'RingBufer' (did you mean 'RingBuffer'?)" in done.stdout
    assert "-> correct it; mimodaq check tells whether that was all" in done.stdout


def test_a_broker_that_is_not_there(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        done = project("doctor", "--broker", f"127.0.0.1:{taken.getsockname()[1]}", expect=1)
    assert "FAULT  broker: no broker answers at 127.0.0.1:" in done.stdout
    assert "-> start it (mimodaq broker), name it (--broker ADDRESS), open its port" in done.stdout


# -- this computer ---------------------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    (found,) = here.look_at_disk(tmp_path / "file" / "target", None)
    assert is_fault(found, f"writing to {tmp_path}/file/target: ", "--output DIR")


def test_a_disk_that_is_too_small_or_too_slow():
    assert is_fault(here.disk_space(10**6, NEED, "x"), "less than the reserve of 100 MB", "remove or move old runs")
    assert is_warning(here.disk_space(10**9, NEED, "x"), "enough for 0.0 h at 10 MB/s", "write elsewhere")
    assert here.disk_space(10**12, NEED, "x").is_good
    assert is_fault(here.disk_speed(15e6, NEED), "enough for 75 Hz of 100 kB each; 100 Hz are wanted", "lower the rate")
    assert here.disk_speed(25e6, NEED).is_good


def test_little_shared_memory_without_a_setup():
    assert is_warning(here.shared_memory(64_000_000, None), "only 64 MB are free", "enlarge it")
    assert here.shared_memory(512_000_000, None).is_good


@pytest.mark.parametrize(("found", "text"), [(False, "not synchronised"), (None, "The kernel does not say")])
def test_a_clock_that_is_not_synchronised(found, text):
    assert is_warning(here.clock(found), text, "start time synchronisation")
    assert here.clock(True).is_good
    assert here.is_clock_synchronised() in (True, False)


# -- other computers -------------------------------------------------------------------------------------------------


def look(address, **options):
    port = options.pop("data_port", 7800)
    return list(
        network.look_at_host(
            HostSpec("daq1", address, port), range(port, port + 2), is_in_run=False, patience_s=0.2, **options
        )
    )


def test_a_name_nobody_knows():
    (found,) = look("no-such-host.invalid")
    assert is_fault(found, "the name no-such-host.invalid cannot be resolved", "/etc/hosts")


def test_a_port_of_this_computer_that_another_program_has():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = of(look("127.0.0.1", data_port=port), "daq1 ports")
        assert is_fault(found, f"{port} taken by another program", "choose another data_port for daq1")


@pytest.fixture
def elsewhere(monkeypatch):
    """Let this computer count as another one."""
    monkeypatch.setattr(network, "is_here", lambda number: False)


@pytest.fixture
def server():
    """A port at which a program says something."""
    with ExitStack() as stack:

        def listen(backlog=5):
            line = stack.enter_context(socket.socket())
            line.bind(("127.0.0.1", 0))
            line.listen(backlog)
            return line

        yield listen


def test_ssh_that_is_not_there(elsewhere, server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        found = of(look("127.0.0.1", ssh_port=port), "daq1 SSH")
    assert is_warning(found, f"nothing listens at port {port}", "start sshd there; it is needed to install")


def test_another_program_at_the_port_of_ssh(elsewhere, server):
    line = server()
    found = of(look("127.0.0.1", ssh_port=line.getsockname()[1]), "daq1 SSH")
    assert is_warning(found, "is not SSH's", "find its port")


def test_a_firewall_that_swallows_everything(elsewhere, server):
    line = server(backlog=0)
    port = line.getsockname()[1]
    with ExitStack() as stack:
        for _ in range(4):  # until the kernel answers no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        assert network.knock("127.0.0.1", port, 0.2).door is network.Door.SILENT
        found = look("127.0.0.1", data_port=port, ssh_port=port)
    text = f"no answer from {port}"
    assert is_fault(of(found, "daq1 ports"), text, f"open TCP ports {port}-{port + 1} in the firewall of daq1")
    assert is_warning(of(found, "daq1 SSH"), f"no answer from port {port}", "is the computer on, its cable in")


def test_a_network_without_a_way(elsewhere, monkeypatch):
    monkeypatch.setattr(network, "knock", lambda *_, **__: network.Knocked(network.Door.NO_WAY))
    found = look("127.0.0.1")
    assert is_fault(of(found, "daq1 SSH"), "there is no way to this computer", "ip route")


# -- nodes -----------------------------------------------------------------------------------------------------------


def report(**changes):
    host = HostLine(disk_free_bytes=10**12, shm_free_bytes=10**10, versions=own_versions())
    values = {"clock": ClockLine(0.001, 0.0001, 0), "host": host}
    return Report(node="daq1", epoch=1, number=1, state=State.IDLE, **{**values, **changes})


WAY = cluster.Network(0.001, 100e6)


def node(need=NEED, way=WAY, **changes):
    return list(cluster.look_at_node(report(**changes), need, way))


def test_a_node_in_order():
    assert all(finding.is_good for finding in node())


def test_nodes_that_are_not_there():
    line = NodeLine("daq1", State.IDLE, "lost", 70.0, True, False, 0.0, 0.0, 0.0)
    snapshot = Cluster(1, 1, State.IDLE, State.IDLE, 0.0, None, 0.0, 0, "", "", None, (), (line,))
    found = list(cluster.look_at_nodes(Status(snapshot), {"daq1": NEED, "ana1": NEED}, None))
    assert is_fault(of(found, "daq1 node"), "lost: not heard for 70 s", "systemctl status mimodaq-node")
    assert is_fault(of(found, "ana1 node"), "the broker has not heard of it", "mimodaq node ana1 --broker ADDRESS")


def test_other_versions():
    other = of(node(host=HostLine(versions="mimodaq 0.0.1, Python 3.11.2")), "daq1 versions")
    assert is_fault(other, f"mimodaq 0.0.1, Python 3.11.2, here {own_versions()}", "the same release of mimodaq")
    release = own_versions().split(",")[0]
    python = of(node(host=HostLine(versions=f"{release}, Python 3.9.1")), "daq1 versions")
    assert is_warning(python, "Python 3.9.1", "both versions of Python")
    assert is_warning(of(node(host=None), "daq1 versions"), "not told", "install this release")
    assert is_fault(cluster.version("broker", "mimodaq 9, Python 3"), "mimodaq 9", "the same release")


def test_clocks_that_differ():
    assert is_fault(of(node(clock=ClockLine(-0.3, 0.001, 0)), "daq1 clock"), "-3e+02 ms", "chrony")
    assert is_warning(of(node(clock=ClockLine(0.0, 0.001, 2)), "daq1 clock"), "jumped 2 times", "who sets its clock")
    assert is_warning(of(node(clock=None), "daq1 clock"), "not compared", "look again")


def test_a_node_without_room():
    host = HostLine(disk_free_bytes=10**6, shm_free_bytes=10**5, versions=own_versions())
    found = node(host=host)
    assert is_fault(of(found, "daq1 shared memory"), "the buffers need 1 MB, 100 kB are free", "number_of_slots")
    assert is_fault(of(found, "daq1 disk"), "less than the reserve", "remove or move old runs")


def test_a_network_that_is_too_slow():
    found = of(node(way=cluster.Network(0.001, 11e6)), "daq1 network")
    assert is_warning(found, "10 MB/s will come, 11 MB/s come from the broker", "codec: lz4")
    way = of(cluster.look_at_broker("b:1", own_versions(), cluster.Network(0.3, 1e6)), "way to the broker")
    assert is_warning(way, "answers after 3e+02 ms", "use a cable")


def test_a_link_that_is_cut():
    link = LinkLine("RB_1:daq1>ana1", False, 0.0, 0.0, 17, 0, 0, 0, 0.0)
    found = of(node(links=(link,)), "daq1 RB_1:daq1>ana1")
    assert is_fault(found, "not connected, 17 events wait", "see the ports above")
