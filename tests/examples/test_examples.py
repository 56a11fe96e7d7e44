"""Every example runs as its README says, and gives the physics it promises."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq


def test_every_example_is_listed_and_passes_the_check(mimodaq):
    names = [line.split()[0] for line in mimodaq("examples").stdout.splitlines()]
    assert names == ["lifetime", "muon_panels", "spectrum", "spin", "template"]
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
