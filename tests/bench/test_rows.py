"""Every row can be measured and says what it is; how fast anything is, is not asserted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from link.hosts import why_not
from mimodaq.client.bench import FAMILIES, measure
from mimodaq.client.bench._peers import Peers

ROWS = {
    "ring": [
        "ring.event.24B",
        "ring.batch.24B",
        "ring.event.24B.mimocorb",
        "ring.event.24B.mimocorb2",
        "ring.wave.68kB",
        "ring.wave.68kB.2readers",
        "ring.wave.68kB.observer",
        "ring.wave.68kB.mimocorb",
        "ring.wave.68kB.mimocorb2",
        "ring.latency.median",
        "ring.latency.p99",
    ],
    "link": [
        "link.wave.68kB",
        "link.wave.68kB.stored",
        "link.wave.68kB.curve",
        "link.wave.68kB.8links",
        "link.event.24B",
        "link.cpu.68kB",
        "link.cpu.68kB.curve",
        *([] if why_not() else ["link.wave.68kB.veth"]),
        "link.latency.10Hz.p50",
        "link.latency.10Hz.p95",
        "link.latency.1000Hz.p50",
        "link.latency.1000Hz.p95",
        "link.kill.lost",
    ],
    "write": ["write.parquet.68kB", "write.parquet.64B", "write.csv.64B"],
    "cluster": [
        "cluster.start",
        "cluster.stop",
        "cluster.hung",
        "cluster.killed",
        *([] if why_not() else ["cluster.cut"]),
    ],
    "run": [
        "run.spectrum.project",
        "run.spectrum.built-in",
        "run.lifetime.project",
        "run.lifetime.built-in",
        "run.idle.cpu",
    ],
    "tui": ["tui.cpu", "tui.terminal", "tui.key", "tui.key.slowest", "tui.start", "tui.memory"],
    "broker": ["broker.cpu.200nodes", "broker.snapshot"],
    "scope": [
        f"scope.2x{samples}.n{captures}{what}"
        for samples in (4000, 250)
        for captures in (1, 10)
        for what in ("", ".live")
    ],
}


LONG = {"link", "cluster", "run", "write", "tui"}
"""Many processes are started for each of them: `make soak`."""


@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=[pytest.mark.soak] if family in LONG else []) for family in FAMILIES]
)
def test_every_row_of_a_family_is_measured(family: str, no_peers: Peers) -> None:
    rows = [json.loads(json.dumps(row.as_json())) for row in measure(family, quick=True, peers=no_peers)]

    assert [row["name"] for row in rows] == ROWS[family]
    for row in rows:
        assert row["value"] >= 0
        assert row["min"] <= row["value"] <= row["max"]
        assert row["unit"] in {"ev/s", "µs", "s", "%", "events", "kB/s", "ms", "MB"}
        assert row["work"]
        check_limit(row)


def check_limit(row: dict[str, Any]) -> None:
    limit = row["limit"]
    if limit is None:
        assert row["ratio"] is None
        assert row["goal"]["met"] is not None
    elif limit["name"].startswith("mimoCoRB"):
        assert limit["missing"] == "not installed: make peers"
        assert limit["value"] is None
        assert row["ratio"] is None
        assert row["goal"]["met"] is None
    else:
        assert limit["value"] > 0
        assert row["ratio"] == pytest.approx(row["value"] / limit["value"])
        has_goal = len(row["goal"]) > 1
        assert (row["goal"]["met"] is not None) == has_goal


def test_an_unknown_family_is_refused(no_peers: Peers) -> None:
    with pytest.raises(ValueError, match=r"no benchmark 'rings'; there are ring, .*broker.* and all"):
        list(measure("rings", quick=True, peers=no_peers))
