"""The examples with a scope run without one, and their physics comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mimodaq.config import load_setup
from mimodaq.picoscope import LIBRARY_DIR

EXAMPLES = ("pico_cluster", "pico_lifetime", "pico_spectrum")


@pytest.fixture
def mimodaq(tmp_path):
    def mimodaq(*arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mimodaq.client.cli", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    return mimodaq


def run(mimodaq, *arguments: str) -> dict:
    return json.loads(mimodaq("run", *arguments, "--headless", "--json"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_pass_the_check(mimodaq, name):
    mimodaq("init", "mine", "--example", name)
    mimodaq("check", "mine")
    mimodaq("check", "mine", "--set", "driver=picosdk", "--set", "family=ps5000a")


def test_lifetime_measures_the_lifetime_that_was_simulated(mimodaq):
    mimodaq("init", "mine", "--example", "pico_lifetime")
    result = run(mimodaq, "mine", "--events", "1500", "--set", "Fkt_1.config.simulation.rate=0")
    assert result["verdict"] == "good"
    fit = next(iter(result["figures"]["Fkt_6"].values()))["fit"]
    assert abs(fit["tau"] - 2.197) < 5 * fit["tau_err"]
    dataset = pd.read_parquet(Path(result["run_dir"]) / "double_pulses")
    decays = pd.read_csv(Path(result["run_dir"]) / "decays.csv")
    assert dataset["counter"].tolist() == decays["counter"].tolist()
    assert len(decays) > 300


def test_spectrum_makes_volts_of_counts(mimodaq):
    mimodaq("init", "mine", "--example", "pico_spectrum")
    result = run(mimodaq, "mine", "--events", "2000", "--set", "Fkt_1.config.simulation.rate=0")
    assert result["verdict"] == "good"
    table = pd.read_csv(next(p for paths in result["files"].values() for p in paths if p.endswith("spectrum.csv")))
    assert len(table) == 2000
    inside = table[table["overflow"] == 0]
    assert inside["height"].min() > 0.03
    assert 0.25 < inside["height"].mean() < 0.40  # 40 mV and an exponential of 300 mV, cut at the range


def test_cluster_is_a_setup_for_hosts_and_works_on_one(mimodaq, tmp_path):
    mimodaq("init", "mine", "--example", "pico_cluster")
    setup = load_setup(tmp_path / "mine" / "setup.yaml")
    assert set(setup.hosts) == {"readout", "analysis1", "analysis2"}
    assert setup.functions["Fkt_2"].host == ("analysis1", "analysis2")
    content = yaml.safe_load((tmp_path / "mine" / "setup.yaml").read_text())
    del content["hosts"]
    for part in ("RingBuffer", "Functions"):
        for entry in content[part]:
            next(iter(entry.values())).pop("host", None)
    (tmp_path / "mine" / "one.yaml").write_text(yaml.safe_dump(content))
    result = run(mimodaq, "mine/one.yaml", "--events", "300", "--set", "Fkt_1.config.simulation.rate=0")
    assert result["verdict"] == "good"
    decays = pd.read_csv(Path(result["run_dir"]) / "decays.csv")
    assert len(decays) > 50
    assert decays["decay_time_us"].between(0.05, 16).all()


def test_without_a_library_no_run_begins_and_it_is_said_what_to_install_and_what_works_without(mimodaq, tmp_path):
    mimodaq("init", "mine", "--example", "pico_spectrum")
    more = ("--set", "driver=picosdk", "--set", f"Fkt_1.config.library={tmp_path}")
    (problem,) = json.loads(mimodaq("run", "mine", *more, "--headless", "--json", expect=2))["problems"]
    for word in ("libps3000a", "driver: simulate", "deploy/picoscope"):
        assert word in problem["message"]
    assert [path.name for path in (tmp_path / "mine" / "target").iterdir()] == [".run_number"]


def test_without_a_scope_no_run_begins_and_the_line_of_its_family_is_named(mimodaq, libraries, tmp_path, monkeypatch):
    monkeypatch.setenv("MIMODAQ_FAKE_SCOPE", "units=0")
    monkeypatch.setenv(LIBRARY_DIR, str(libraries("ps3000a").parent))
    mimodaq("init", "mine", "--example", "pico_spectrum")
    setup = tmp_path / "mine" / "setup.yaml"
    setup.write_text(setup.read_text().replace("driver: simulate", "driver: picosdk"))
    mimodaq("check", "mine")  # the scope may be plugged in later, or elsewhere
    (problem,) = json.loads(mimodaq("run", "mine", "--headless", "--json", expect=2))["problems"]
    assert setup.read_text().splitlines()[problem["line"] - 1].strip() == "family: ${family}"
    for words in ("none answered", "look at its cable", "driver: simulate"):
        assert words in problem["message"]
