"""The whole chain over hosts: a scope on one, filters and Parquet on another, a lifetime; unplugged in the middle."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml
from pyarrow import parquet

from mimodaq.functions.physics import DoublePulseConfig, DoublePulseFinder, fit_decay
from mimodaq.picoscope._signals import Pulses, View
from nodes.chain import wait_for_end
from nodes.real import wait_for
from picoscope.standin import build

CAPTURES, SAMPLES, PRE, RANGE_V, FULL_SCALE = 500, 4000, 200, 0.2, 32512
BEFORE, AFTER = 100, 250
"""So many events are waited for at least before and after the scope is unplugged."""
PULSES = Pulses(stopped=0.6, height_v=0.03, noise_v=0.0005, lifetime_ns=2197.0)
EXAMPLE = files("mimodaq.examples") / "pico_cluster"


@pytest.fixture(scope="module")
def counts():
    """What the scope sees, another muon in every capture: (captures, channels, samples)."""
    view = View((0, 1), (RANGE_V, RANGE_V), (0.0, 0.0), FULL_SCALE, SAMPLES, PRE, 4.0)
    return PULSES.captures(0, CAPTURES, view)


@pytest.fixture
def cable(tmp_path, monkeypatch, counts):
    """The scope is plugged in as long as this file exists."""
    counts.tofile(tmp_path / "signal.raw")
    script = f"rate=250,cable={tmp_path / 'cable'},file={tmp_path / 'signal.raw'}:2:{SAMPLES}"
    monkeypatch.setenv("MIMODAQ_FAKE_SCOPE", script)
    return tmp_path / "cable"


@pytest.fixture
def setup(pytestconfig):
    """The example `pico_cluster` with the stand-in for its scope, one host less, and its decay times in Parquet."""
    if not (shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler: the stand-in library cannot be built")
    library = build.build("ps3000a", Path(pytestconfig.cache.mkdir("picoscope")))
    content = yaml.safe_load((EXAMPLE / "setup.yaml").read_text())
    del content["hosts"], content["runevents"]
    functions = {name: entry for one in content["Functions"] for name, entry in one.items()}
    functions["Fkt_1"]["config"] |= {"driver": "picosdk", "family": "ps3000a", "library": str(library)}
    functions["Fkt_2"]["host"] = "analysis1"
    functions["Fkt_4"]["function"] = "to_parquet"
    return content


def test_a_scope_unplugged_and_plugged_in_again_while_another_host_looks_for_decays(new_cluster, cable, setup, counts):
    cluster = new_cluster("readout", "analysis1")
    session = cluster.start()
    path = cluster.write_setup(setup, decays=(EXAMPLE / "decays.py").read_text())

    refused = session.configure(path)
    assert not refused.ok
    for words in ("readout", "ps3000a: none answered", "look at its cable", "driver: simulate"):
        assert words in refused.text

    wait_for(lambda: session.status().cluster.state.value == "idle", "for a new attempt")
    cable.touch()
    agreed(session.configure(path))
    run = agreed(session.ask("start")).run
    ring = cluster.ring("readout", run, "RB_1")
    taken(ring, BEFORE)
    cable.unlink()
    said(session, "is gone")
    cable.touch()
    said(session, "the scope is back")
    taken(ring, ring.status().committed + AFTER)
    agreed(session.ask("stop"))
    row = wait_for_end(session, run)

    assert row.verdict == "degraded", log_of(session)
    assert any("was gone for a while" in reason for reason in row.reasons), row.reasons
    records = {name: cluster.record(run, name) for name in cluster.names}
    assert all(record["ledger"]["balanced"] for record in records.values())
    figures = records["readout"]["figures"]["Fkt_1"]["0"]
    (gap,) = figures["gaps"]
    assert gap["seconds"] > 0
    table = parquet.read_table(cluster.run_dirs(run)["analysis1"] / "decays")
    found_us = dict(zip(table["counter"].to_pylist(), table["decay_time_us"].to_pylist(), strict=True))
    seen_us, events, lost = decay_times_us(counts), figures["events"], gap["captures_lost"]
    assert any(found_us == after_a_gap(seen_us, events, before, lost) for before in range(BEFORE, events))
    fit = fit_decay(list(found_us.values()), (0.4, 12.0))
    assert abs(fit.tau - PULSES.lifetime_ns / 1000) < 5 * fit.tau_err
    assert fit.tau_err < 0.4


def decay_times_us(counts):
    """From the counts directly, one for each capture; 0 where there is no second pulse."""
    waves = np.zeros(len(counts), [("chA", "<f4", (SAMPLES,)), ("chB", "<f4", (SAMPLES,))])
    for row, name in enumerate(("chA", "chB")):
        waves[name] = counts[:, row] * np.float32(RANGE_V / FULL_SCALE)
    finder = DoublePulseFinder(DoublePulseConfig(sample_time_ns=4.0, sign=-1, pre_trigger_samples=PRE), waves.dtype)
    return finder.fields([pair for i in range(0, len(waves), 100) for pair in finder.find(waves[i : i + 100])])[
        "decay_time_us"
    ]


def after_a_gap(times_us, events, before, lost):
    """The decay times by event number of a run that has lost captures after its first `before` events."""
    numbers = np.arange(events)
    of_events = times_us[(numbers + lost * (numbers >= before)) % len(times_us)]
    return {int(n): float(of_events[n]) for n in np.flatnonzero(of_events)}


def agreed(answer):
    assert answer.ok, answer.text
    return answer


def log_of(session):
    return "\n".join(f"{line.source} {line.text}" for line in session.logs(100))


def taken(ring, events):
    wait_for(lambda: ring.status().committed >= events, f"for {events} events")


def said(session, text):
    wait_for(lambda: any(text in line.text for line in session.logs(200)), f"for {text!r}")
