"""Every example runs as its README says, and gives the physics it promises."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from building.model import by_brute_force
from mimodaq.config import load_setup


def test_every_example_is_listed_and_passes_the_check(mimodaq):
    names = [line.split()[0] for line in mimodaq("examples").stdout.splitlines()]
    simulated = ["coincidence", "lifetime", "muon_panels", "spectrum", "spin", "template"]
    assert [name for name in names if not name.startswith("pico_")] == simulated
    for name in names:
        mimodaq("init", name, "--example", name)
        mimodaq("check", name)


def test_template_writes_what_its_filter_accepts(mimodaq):
    mimodaq("init", "mine")
    result = mimodaq.run("mine")
    assert result["verdict"] == "good"
    assert result["buffers"]["RB_1"]["events"] == 2000
    table = pd.read_csv(result["files"]["RB_2"][0])
    assert len(table) == result["buffers"]["RB_2"]["events"] > 500
    assert (table["height"] >= 0.5).all()
    assert table["counter"].is_monotonic_increasing


def test_spectrum_finds_the_pulse_at_the_trigger(mimodaq):
    mimodaq("init", "demo", "--example", "spectrum")
    result = mimodaq.run("demo", "--events", "1000")
    assert result["verdict"] == "good"
    csv = next(Path(p) for p in result["files"]["RB_2"] if p.endswith("spectrum.csv"))
    table = pd.read_csv(csv)
    assert len(table) > 700
    assert np.abs(table["chA_position"].median() - 50) <= 2
    pictures = {Path(p).suffix for paths in result["files"].values() for p in paths}
    assert {".png", ".svg"} <= pictures


def test_lifetime_measures_the_lifetime_that_was_simulated(mimodaq):
    mimodaq("init", "demo", "--example", "lifetime")
    result = mimodaq.run("demo", "--events", "10000")
    assert result["verdict"] == "good"
    assert result["buffers"]["RB_1"]["events"] == 10000
    fit = next(iter(result["figures"]["Fkt_5"].values()))["fit"]
    assert abs(fit["tau"] - 2197) < 4 * fit["tau_err"]  # the seed is fixed: this is no gamble
    dataset = pd.read_parquet(Path(result["run_dir"]) / "double_pulses")
    decays = pd.read_csv(Path(result["run_dir"]) / "decays.csv")
    assert dataset["counter"].tolist() == decays["counter"].tolist()


def test_spin_sends_electrons_up_and_down_to_different_files(mimodaq):
    mimodaq("init", "demo", "--example", "spin")
    result = mimodaq.run("demo", "--events", "5000")
    assert result["verdict"] == "good"
    up = pd.read_csv(Path(result["run_dir"]) / "decays_up.csv")
    down = pd.read_csv(Path(result["run_dir"]) / "decays_down.csv")
    assert len(up) > 50
    assert len(down) > 50
    assert not set(up["counter"]) & set(down["counter"])


def telescope_hits(folder):
    """Times, by the common clock, and muons of the hits that the example simulates."""
    spec = importlib.util.spec_from_file_location("telescopes_of_the_example", folder / "telescopes.py")
    telescopes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(telescopes)
    first, second = telescopes.hits(1), telescopes.hits(2, offset_ns=35)
    return (first[0], second[0] - 35), (first[1], second[1])


def test_coincidence_finds_exactly_the_pairs_in_the_window_and_estimates_the_accidentals(mimodaq, tmp_path):
    mimodaq("init", "demo", "--example", "coincidence")
    result = mimodaq.run("demo")
    assert result["verdict"] == "good"
    times, muons = telescope_hits(tmp_path / "demo")
    folder = Path(result["run_dir"])
    for name, delay in (("coincidences", 0), ("accidentals", 10_000)):
        found = pd.read_csv(folder / f"{name}.csv")
        streams = (times[0].tolist(), (times[1] - delay).tolist())
        pairs = np.array([event for event in by_brute_force(streams, 150).events if -1 not in event])
        assert found["RB_1_t_ns"].tolist() == times[0][pairs[:, 0]].tolist()
        assert found["RB_2_dt_ns"].tolist() == (times[1][pairs[:, 1]] - delay - times[0][pairs[:, 0]]).tolist()
    assert pd.read_parquet(folder / "coincidences")["counter"].tolist() == list(
        range(result["buffers"]["RB_3"]["events"])
    )
    for figures in (result["figures"][name]["0"] for name in ("Fkt_3", "Fkt_4")):
        assert figures["timed_out"] == figures["crowded_out"] == figures["events"]["late"] == 0
        for counts in figures["sources"].values():
            assert counts["read"] == counts["built"] + counts["dropped"] + counts["duplicate"]
    common = set(muons[0].tolist()) & set(muons[1].tolist()) - {-1}
    found = pd.read_csv(folder / "coincidences.csv")
    true = found[(found["RB_1_muon"] == found["RB_2_muon"]) & (found["RB_1_muon"] >= 0)]
    assert len(true) >= 0.995 * len(common)
    accidental, estimate = len(found) - len(true), result["buffers"]["RB_4"]["events"]
    assert abs(accidental - estimate) < 4 * np.sqrt(accidental + estimate)  # the seed is fixed: this is no gamble
    assert abs(true["RB_2_dt_ns"].mean()) < 4 * 20 * np.sqrt(2 / len(true))


def test_coincidence_on_three_hosts_is_the_same_experiment(mimodaq, tmp_path):
    mimodaq("init", "demo", "--example", "coincidence")
    mimodaq("check", "demo/cluster.yaml")
    one, three = (load_setup(tmp_path / "demo" / name) for name in ("setup.yaml", "cluster.yaml"))
    assert list(three.hosts) == ["daq1", "daq2", "ana"]
    assert three.buffers == one.buffers
    assert {name: replace(f, host=()) for name, f in three.functions.items()} == one.functions
    assert [f.host for f in three.functions.values()] == [("daq1",), ("daq2",), *[("ana",)] * 6]


def test_recorded_events_give_their_decay_times(mimodaq, recorded):
    mimodaq("init", "demo", "--example", "muon_panels")
    result = mimodaq.run("demo/setup.yaml", "--set", f"input={recorded}")
    table = pd.read_csv(Path(result["run_dir"]) / "decays.csv")
    assert list(table.columns) == [
        "counter",
        "decay_time_us",
        "chA_dt_us",
        "chB_dt_us",
        "chA_height_V",
        "chB_height_V",
    ]
    assert len(table) == 1012
    assert (table["decay_time_us"] > 0).mean() >= 0.98
    both = table[(table["chA_dt_us"] > 0) & (table["chB_dt_us"] > 0)]
    assert len(both) > 300
    assert (both["chA_dt_us"] - both["chB_dt_us"]).abs().median() <= 0.004  # one sample
    fit = next(iter(result["figures"]["Fkt_5"].values()))["fit"]
    assert abs(fit["tau"] - 2.197) < 3 * fit["tau_err"]
    assert (Path(result["run_dir"]) / "histograms_Fkt_5.png").stat().st_size > 10_000


def test_the_same_input_gives_the_same_files_however_many_workers(mimodaq, recorded):
    mimodaq("init", "demo", "--example", "muon_panels")
    contents = set()
    for processes in (1, 3):
        result = mimodaq.run("demo", "--set", f"input={recorded}", "--set", f"Fkt_2.num_process={processes}")
        folder = Path(result["run_dir"])
        parquet = sorted((folder / "decays").glob("*.parquet"))
        assert pq.read_table(parquet[0]).num_rows == 1012
        contents.add((folder / "decays.csv").read_bytes() + b"".join(p.read_bytes() for p in parquet))
    assert len(contents) == 1
