"""Installations as an administrator does them, on computers that boot: services, keys, a run, and all of it again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.machines import machines, options, why_none
from nodes.chain import MODULE
from nodes.real import wait_for

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1800)]
SOURCES = Path(__file__).parents[2]
DEPLOY = SOURCES / "deploy"
PYTHON = "/usr/bin/python3"
"""Of the computers: one that every user may run."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """All that has to be installed, made from these sources; the computers reach nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--wheel-dir", folder]
    done = subprocess.run([*words, SOURCES], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the wheels cannot be made here: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture
def boot(tmp_path):
    reason = why_none()
    if reason:
        pytest.skip(reason)
    return lambda *names: machines(tmp_path, *names)


def setup_for(folder, hosts, readout, analysis):
    """A chain from one host to another that goes on until it is stopped; its path."""
    content = f"""
hosts: {json.dumps({name: {"address": address} for name, address in hosts.items()})}
RingBuffer:
  - RB_1: {{host: {readout}, number_of_slots: 256, channel_per_slot: 16, data_type: {{1: [n, float64]}}}}
Functions:
  - Fkt_1: {{function: "chain.py:numbers", host: {readout}, RB_assign: {{RB_1: write}}, config: {{rate: 500}}}}
  - Fkt_2: {{function: to_parquet, host: {analysis}, RB_assign: {{RB_1: read}}, config: {{filename: n}}}}
"""
    (folder / "chain.py").write_text(MODULE)
    path = folder / "setup.yaml"
    path.write_text(content)
    return path


class Operator:
    """Somebody at a computer on the same network, who has a key."""

    def __init__(self, host, broker, key, folder):
        self.host, self.broker, self.key, self.folder = host, broker, key, folder

    def __call__(self, *words):
        asked = [*words, "--broker", self.broker, "--key", str(self.key)]
        command = [*self.host.prefix, sys.executable, "-m", "mimodaq.client.cli", *asked]
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def present(self):
        return {line["node"] for line in self.status()["nodes"] if line["presence"] != "lost"}

    def status(self):
        return json.loads(self("status", "--json"))["cluster"]

    def wait_for_events(self, more):
        begin = self.status()["events"]
        wait_for(lambda: self.status()["events"] >= begin + more, f"for {more} more events")


def test_a_script_for_one_host(boot, wheels, tmp_path):
    install = f"PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels sh /deploy/install.sh --from mimodaq --python {PYTHON}"
    with boot("daq1") as (hosts, found):
        daq1 = found["daq1"]
        shutil.copytree(wheels, daq1.root / "wheels")
        shutil.copytree(DEPLOY, daq1.root / "deploy")
        daq1.ssh("useradd --create-home anna")
        install += " --broker --bind 0.0.0.0 --node daq1 --operator anna"
        said = daq1.ssh(install)
        for words in (
            "installed mimodaq",
            "made the system user mimodaq",
            "made the key",
            "started mimodaq-broker.service",
        ):
            assert words in said

        again = daq1.ssh(install)
        assert not re.search("made|wrote|started", again), again
        assert "running: mimodaq-broker.service mimodaq-node@daq1.service" in again

        key = tmp_path / "anna.key"
        key.write_text(daq1.ssh("cat /home/anna/.config/mimodaq/keys/anna.key"))
        key.chmod(0o600)
        operator = Operator(hosts[0], hosts[1].address, key, tmp_path)
        wait_for(lambda: operator.present() == {"daq1"}, "for the node")
        assert "daq1" in daq1.ssh("su - anna -c 'mimodaq status'")

        operator("configure", str(setup_for(tmp_path, {"daq1": hosts[1].address}, "daq1", "daq1")))
        operator("start")
        operator.wait_for_events(500)
        for unit, blow in (
            ("mimodaq-broker.service", "KILL"),
            ("mimodaq-node@daq1.service", "KILL"),
            ("mimodaq-node@daq1.service", "STOP"),
        ):
            hit(daq1, unit, blow)
            operator.wait_for_events(500)
        said = operator("stop")
        assert re.search(r"^run 1: good", said, re.MULTILINE), said

        daq1.ssh("sh /deploy/install.sh --uninstall --purge")
        assert daq1.ssh("find /opt /etc /var/lib /usr/local /home -name '*mimodaq*'").split() == [
            "/home/anna/.config/mimodaq"
        ]
        assert "no such user" in daq1.ssh("id mimodaq; true")


def hit(machine, unit, signal):
    """Kill a daemon, or stop it from answering its watchdog; wait until systemd has another one."""
    before = machine.ssh(f"systemctl show -p MainPID --value {unit}").strip()
    machine.ssh(f"kill -{signal} {before}")

    def is_another():
        pid = machine.ssh(f"systemctl show -p MainPID --value {unit}").strip()
        return pid not in ("0", before) and "active" in machine.ssh(f"systemctl is-active {unit} || true").split()

    wait_for(is_another, f"for another {unit}", patience_s=120.0)


def test_a_playbook_for_several_hosts(boot, wheels, tmp_path):
    if reason := why_none("ansible-playbook"):
        pytest.skip(reason)
    with boot("daq1", "ana1") as (hosts, found):
        addresses = {name: machine.host.address for name, machine in found.items()}
        inventory = tmp_path / "inventory.yml"
        inventory.write_text(yaml.safe_dump(inventory_of(addresses, options(found["daq1"].key), wheels)))
        play = [*hosts[0].prefix, "ansible-playbook", "-i", str(inventory), "site.yml"]

        first = played(play)
        assert {name: counts["failed"] for name, counts in first.items()} == {"daq1": 0, "ana1": 0}
        assert all(counts["changed"] > 10 for counts in first.values())
        second = played(play)
        assert {name: (counts["failed"], counts["changed"]) for name, counts in second.items()} == {
            "daq1": (0, 0),
            "ana1": (0, 0),
        }

        key = tmp_path / "keys" / "anna.key"
        assert key.stat().st_mode & 0o777 == 0o600
        operator = Operator(hosts[0], addresses["daq1"], key, tmp_path)
        wait_for(lambda: operator.present() == {"daq1", "ana1"}, "for both nodes")
        operator("configure", str(setup_for(tmp_path, addresses, "daq1", "ana1")))
        operator("start")
        operator.wait_for_events(500)
        said = operator("stop")
        assert re.search(r"^run 1: good", said, re.MULTILINE), said
        assert ".parquet" in found["ana1"].ssh("find /data/mimodaq -name '*.parquet'")


def inventory_of(addresses, ssh, wheels):
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_extra_args": " ".join(ssh),
                "mimodaq_wheels": str(wheels),
                "mimodaq_python": PYTHON,
                "mimodaq_packages": [],
                "mimodaq_operators": ["anna"],
            },
            "children": {
                "broker": {"hosts": {"daq1": None}},
                "nodes": {
                    "hosts": {
                        "daq1": {"ansible_host": addresses["daq1"]},
                        "ana1": {"ansible_host": addresses["ana1"], "mimodaq_data": "/data/mimodaq"},
                    }
                },
            },
        }
    }


def played(command):
    """The last lines of a playbook: how many tasks have changed something, failed, ... on each host."""
    done = subprocess.run(
        command, cwd=DEPLOY / "ansible", capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-1000:]
    lines = done.stdout.partition("PLAY RECAP")[2].splitlines()[1:]
    recap = {line.partition(":")[0].strip(): re.findall(r"(\w+)=(\d+)", line) for line in lines if line.strip()}
    return {name: {key: int(value) for key, value in pairs} for name, pairs in recap.items()}
