"""The install script, into a folder instead of the system."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "install.sh"
ENVIRONMENT = Path(sys.executable).parents[1]


@pytest.fixture
def install(tmp_path):
    """Call the script with a root of its own; what it says."""

    def install(*arguments, code=0, root=tmp_path / "root"):
        words = ["sh", str(SCRIPT), "--root", str(root), *arguments]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    install.root = tmp_path / "root"
    return install


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


BOTH = ("--use", str(ENVIRONMENT), "--broker", "--node", "daq1", "--data", "/data/runs")


def test_broker_and_node_get_units_and_options(install):
    said = install(*BOTH)
    assert files(install.root) == [
        "etc/mimodaq/broker.env",
        "etc/mimodaq/node-daq1.env",
        "etc/systemd/system/mimodaq-broker.service",
        "etc/systemd/system/mimodaq-node@.service",
        "etc/systemd/system/mimodaq-node@daq1.service.d/data.conf",
        "usr/local/bin/mimodaq",
    ]
    for file in files(install.root):
        assert str(install.root / file) in said
    unit = (install.root / "etc/systemd/system/mimodaq-node@.service").read_text()
    assert f"ExecStart={ENVIRONMENT}/bin/mimodaq node %i" in unit
    assert "MIMODAQ_DATA=/data/runs\n" in (install.root / "etc/mimodaq/node-daq1.env").read_text()
    assert (
        "ReadWritePaths=/data/runs\n"
        in (install.root / "etc/systemd/system/mimodaq-node@daq1.service.d/data.conf").read_text()
    )
    assert "systemctl enable --now mimodaq-broker.service mimodaq-node@daq1.service" in said


def test_a_second_time_nothing_changes_and_another_option_only_its_file(install):
    install(*BOTH)
    assert "wrote" not in install(*BOTH)
    changed = [line for line in install(*BOTH, "--bind", "0.0.0.0").splitlines() if line.startswith("wrote")]
    assert changed == [f"wrote {install.root}/etc/mimodaq/broker.env"]
    assert (install.root / "etc/mimodaq/broker.env").read_text() == "MIMODAQ_BIND=0.0.0.0\n"


def test_removing_keeps_keys_and_data_unless_they_are_to_go_too(install):
    install(*BOTH)
    key = install.root / "etc/mimodaq/keys/daq1.key"
    key.write_text("secret")
    said = install("--uninstall")
    assert files(install.root) == ["etc/mimodaq/broker.env", "etc/mimodaq/keys/daq1.key", "etc/mimodaq/node-daq1.env"]
    assert f"kept {install.root}/etc/mimodaq" in said
    assert (ENVIRONMENT / "bin" / "mimodaq").exists()
    install("--uninstall", "--purge")
    assert files(install.root) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nod", "daq1"), "unknown option --nod; see --help"),
        (("--node",), "--node needs a value"),
        (("--node", "../x"), "use letters"),
        (("--operator", "anna"), "goes with --broker"),
        (("--use", "/nowhere"), "there is no /nowhere/bin/mimodaq"),
        (("--python", "/nowhere/python"), "older than Python 3.11"),
        (("--key", "/nowhere.key"), "cannot be read"),
    ],
)
def test_mistakes_are_told_and_nothing_is_done(install, arguments, words):
    assert words in install(*arguments, code=2)
    assert not install.root.exists()


def test_the_help_shows_every_option(install):
    text = install("--help")
    for line in SCRIPT.read_text().splitlines():
        option = line.strip().partition(")")[0]
        if option.startswith("--"):
            assert option in text


@pytest.mark.parametrize("script", sorted(SCRIPT.parent.rglob("*.sh")), ids=lambda path: path.parent.name)
def test_shellcheck_finds_nothing(script):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not here: install it")
    done = subprocess.run(["shellcheck", "--shell=sh", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_every_folder_says_what_it_is_for():
    folders = {path.parent for path in SCRIPT.parent.rglob("*") if path.is_file()}
    parts = {folder for folder in folders if "roles" not in folder.parts}
    assert [folder for folder in sorted(parts) if not (folder / "README.md").exists()] == []
