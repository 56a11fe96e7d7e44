"""The systemd units are in order, and what they start tells systemd how it is."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAM = Path(sys.executable).with_name("mimodaq")


def service(name):
    """The section [Service] of a unit."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(DEPLOY / "systemd" / name)
    return parser["Service"]


def test_systemd_finds_nothing_wrong(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: install systemd")
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace("/opt/mimodaq/bin/mimodaq", "/bin/true"))
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, env=environment, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "mimodaq" in line]  # other units of the computer are not ours
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_both_daemons_have_a_unit_with_watchdog_and_without_privileges():
    assert [unit.name for unit in UNITS] == ["mimodaq-broker.service", "mimodaq-node@.service"]
    for unit in UNITS:
        found = service(unit.name)
        assert found["Type"] == "notify"
        assert int(found["WatchdogSec"]) > 0
        assert found["Restart"] == "always"
        assert found["User"] == "mimodaq"
        assert (found["NoNewPrivileges"], found["ProtectSystem"], found["CapabilityBoundingSet"]) == (
            "yes",
            "strict",
            "",
        )
    assert service("mimodaq-node@.service")["KillMode"] == "process", "a restart of the daemon would end the run"


def test_the_node_daemon_of_the_unit_is_ready_stays_alive_and_leaves(tmp_path):
    """As systemd would start it, with its own folders; its broker is not there yet."""
    words = {
        "/opt/mimodaq/bin/mimodaq": str(PROGRAM),
        "%i": "daq1",
        "%S": str(tmp_path),
        "${MIMODAQ_BROKER}": "127.0.0.1:1",
        "${MIMODAQ_DATA}": str(tmp_path / "data"),
        "$MIMODAQ_OPTIONS": "",
    }
    command = service("mimodaq-node@.service")["ExecStart"]
    for name, value in words.items():
        command = command.replace(name, value)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(60)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        process = subprocess.Popen(shlex.split(command), stderr=subprocess.DEVNULL, env={**os.environ, **told})
        try:
            assert heard.recv(200).startswith(b"READY=1\nSTATUS=node daq1")
            assert [heard.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            process.terminate()
            while (said := heard.recv(200)) == b"WATCHDOG=1":
                pass
            assert said == b"STOPPING=1"
        finally:
            process.terminate()
            assert process.wait(60) == 0
