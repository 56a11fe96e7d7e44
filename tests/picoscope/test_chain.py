"""The whole chain on one host: recorded events through scope, buffer and filters into Parquet and decay times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from mimodaq.functions.physics import DoublePulseConfig, DoublePulseFinder

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "muon_panels_2018.parquet"
RANGE_V, FULL_SCALE, SAMPLES = 0.2, 32512, 4000

SETUP = """
RingBuffer:
  - RB_1: {number_of_slots: 128, channel_per_slot: 4000, data_type: {1: [chA, int16], 2: [chB, int16]}}
  - RB_2: {number_of_slots: 128, channel_per_slot: 4000, data_type: {1: [chA, float32], 2: [chB, float32]}}
  - RB_3: {number_of_slots: 128, data_type: {1: [decay_time_us, float64], 2: [chA_dt_us, float64]}}
Functions:
  - Fkt_1:
      function: picoscope
      RB_assign: {RB_1: write}
      config:
        family: ps3000a
        library: LIBRARY
        sample_interval: 4 ns
        pre_trigger: 5 %
        batch: {captures: 50, max_latency: 200 ms}
        channels: {A: {range: 200 mV}, B: {range: 200 mV}}
        trigger: {source: A, level: -35 mV, edge: falling}
  - Fkt_2: {function: "waves.py:in_volts", RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {function: double_pulses, RB_assign: {RB_2: read, RB_3: write}, config: {pre_trigger_samples: 200}}
  - Fkt_4: {function: to_parquet, RB_assign: {RB_3: read}, config: {filename: decays}}
  - Fkt_5: {function: to_parquet, RB_assign: {RB_1: read}, config: {filename: counts}}
"""
FILTER = """
from mimodaq.picoscope import volts


def in_volts(event):
    return volts(event)
"""


@pytest.fixture(scope="module")
def counts():
    """The recorded events as the scope digitises them: (events, channels, samples)."""
    if not RECORDED.exists():
        pytest.skip(f"the recorded events are not here: {RECORDED.name} is expected in ../shared/data")
    table = parquet.read_table(RECORDED)
    volts = np.stack(
        [np.concatenate([c.values.to_numpy() for c in table[n].chunks]).reshape(-1, SAMPLES) for n in ("chA", "chB")],
        axis=1,
    )
    return np.rint(volts / RANGE_V * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE).astype(np.int16)


@pytest.fixture(scope="module")
def expected_us(counts):
    """Decay times from the recorded events directly."""
    events = np.zeros(len(counts), [("chA", "<f4", (SAMPLES,)), ("chB", "<f4", (SAMPLES,))])
    gain = np.float32(RANGE_V / FULL_SCALE)
    events["chA"], events["chB"] = counts[:, 0] * gain, counts[:, 1] * gain
    finder = DoublePulseFinder(DoublePulseConfig(pre_trigger_samples=200), events.dtype)
    found = [pair for i in range(0, len(events), 32) for pair in finder.find(events[i : i + 32])]
    return finder.fields(found)["decay_time_us"]


@pytest.fixture
def run(tmp_path, libraries, counts):
    """Run the chain with a script for the scope; the object that `mimodaq run --json` prints."""
    counts.tofile(tmp_path / "signal.raw")
    (tmp_path / "setup.yaml").write_text(SETUP.replace("LIBRARY", str(libraries("ps3000a"))))
    (tmp_path / "waves.py").write_text(FILTER)

    def run(*arguments: str, script: str = "rate=2000") -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "mimodaq.client.cli", "run", "setup.yaml", "--headless", "--json", *arguments],
            cwd=tmp_path,
            env={**os.environ, "MIMODAQ_FAKE_SCOPE": f"{script},file={tmp_path / 'signal.raw'}:2:{SAMPLES}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    return run


def test_decay_times_through_the_scope_are_those_of_the_recording(run, expected_us):
    result = run("--events", "1012")
    assert result["verdict"] == "good"
    table = parquet.read_table(Path(result["run_dir"]) / "decays")
    assert np.array_equal(table["decay_time_us"].to_numpy(), expected_us)
    assert (np.diff(table["timestamp"].to_numpy()) >= 0).all()


def test_counts_in_the_file_are_those_of_the_scope(run, counts):
    result = run("--events", "300")
    table = parquet.read_table(Path(result["run_dir"]) / "counts")
    for row, name in enumerate(("chA", "chB")):
        found = np.concatenate([chunk.values.to_numpy() for chunk in table[name].chunks]).reshape(-1, SAMPLES)
        assert np.array_equal(found, counts[:300, row])
    assert json.loads(table.schema.metadata[b"configuration"])["Functions"]


def test_a_scope_that_is_unplugged_and_plugged_in_again(run, expected_us):
    script = "rate=2000,unplug_after=420,unplug_in_transfer=1,failed_opens=1"
    result = run("--events", "900", script=script)
    assert result["verdict"] == "degraded"
    record = json.loads((Path(result["run_dir"]) / "run.json").read_text())
    assert "gone for a while" in record["reasons"][0]
    assert record["ledger"]["balanced"]
    (gap,) = record["figures"]["Fkt_1"]["0"]["gaps"]
    assert gap["seconds"] >= 0.5  # the first attempt to open it failed
    assert gap["captures_lost"] > 0
    found = parquet.read_table(Path(result["run_dir"]) / "decays")["decay_time_us"].to_numpy()
    before = next(i for i, (a, b) in enumerate(zip(found, expected_us, strict=False)) if a != b)
    after = before + gap["captures_lost"]
    assert np.array_equal(found[before:], np.resize(expected_us, after + 900)[after : after + 900 - before])
