"""Event building with its sources on other hosts: two telescopes find there what they find on one host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from nodes.chain import wait_for_end
from nodes.real import wait_for

DAQ1, DAQ2, ANA = "daq1", "daq2", "ana"
HELD_AT = 3000
MORE = 1000
HELD = """

import time
from pathlib import Path

take = telescope


def held_telescope(*, telescope: int = 1, seed: int = 1, offset_ns: float = 0.0):
    hits = take(telescope=telescope, seed=seed, offset_ns=offset_ns, duration_s=3.0)
    for number, hit in enumerate(hits):
        while number == {held_at} and not Path({gate!r}).exists():
            time.sleep(0.005)
        yield hit
"""
"""A telescope that waits for a file after so many hits."""


def with_held_telescopes(path: Path) -> dict:
    """The setup of the example; it is more patient with slow computers."""
    table = yaml.safe_load(path.read_text())
    table.pop("hosts", None)
    for entry in (entry for named in table["Functions"] for entry in named.values()):
        if entry["function"] == "telescopes.py:telescope":
            entry["function"] = "telescopes.py:held_telescope"
        if entry["function"] == "build_events":
            entry["config"]["max_wait"] = "60 s"
    return table


@pytest.fixture
def experiment(new_cluster):
    """The cluster, the folder of the example, and the file that its telescopes wait for."""
    cluster = new_cluster(DAQ1, DAQ2, ANA)
    cluster.command("init", "demo", "--example", "coincidence")
    demo = cluster.folder / "demo"
    module = demo / "telescopes.py"
    gate = cluster.folder / "gate"
    module.write_text(module.read_text() + HELD.format(held_at=HELD_AT, gate=str(gate)))
    return cluster, demo, gate


def results(folder: Path) -> list[str]:
    return [(folder / f"{name}.csv").read_text() for name in ("coincidences", "accidentals")]


def test_coincidences_over_links_are_those_of_one_host_whatever_becomes_of_a_cable(experiment):
    cluster, demo, gate = experiment
    session = cluster.start()
    table = with_held_telescopes(demo / "cluster.yaml")
    answer = session.configure(cluster.write_setup(table, telescopes=(demo / "telescopes.py").read_text()))
    assert answer.ok, answer.text
    run = session.ask("start").run
    taken, arrived, built = (
        cluster.ring(*place) for place in ((DAQ1, run, "RB_1"), (ANA, run, "RB_1"), (ANA, run, "RB_3"))
    )
    wait_for(lambda: arrived.status().committed == HELD_AT and built.status().committed, "for the first coincidences")
    cluster.place[DAQ1].cut()
    gate.touch()
    wait_for(lambda: taken.status().committed >= HELD_AT + MORE, "for more hits")
    assert arrived.status().committed == HELD_AT
    cluster.place[DAQ1].restore()
    row = wait_for_end(session, run)
    assert (row.verdict, row.reasons) == ("good", ())

    alone = demo / "setup.yaml"
    alone.write_text(yaml.safe_dump(with_held_telescopes(alone)))
    result = json.loads(cluster.command("run", str(alone), "--headless", "--json"))
    assert result["verdict"] == "good"
    assert results(cluster.run_dirs(run)[ANA]) == results(Path(result["run_dir"]))
    for name in ("Fkt_3", "Fkt_4"):
        assert cluster.record(run, ANA)["figures"][name] == result["figures"][name]
