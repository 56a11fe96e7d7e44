"""Histograms of a run over two hosts: sessions, `mimodaq plot`, and what becomes of them when a worker is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.client._cluster_commands import Where
from mimodaq.client._histogram import FieldHistogram
from mimodaq.client._plot import PlotRequest, plot
from mimodaq.client.async_session import AsyncSession
from mimodaq.client.session import Session, SessionError
from mimodaq.protocol.counts import Counts
from mimodaq.tui.live import Address, open_feed
from nodes.real import Cluster, kill, process, wait_for

SOURCE = """
import time


def numbers():
    for i in range(100_000_000):
        yield {"t": float(i % 100), "h": [float(i % 7)] * 20}
        if i >= 3000:
            time.sleep(0.002)
"""

BUFFER = {"number_of_slots": 64, "data_type": {1: ["t", "float64", 1], 2: ["h", "float32", 20]}}
SETUP: dict[str, Any] = {
    "RingBuffer": [{"RB_1": {"host": "daq1", **BUFFER}}],
    "Functions": [
        {"Fkt_1": {"host": "daq1", "function": "source.py:numbers", "RB_assign": {"RB_1": "write"}}},
        {
            "Fkt_2": {
                "host": ["daq1", "ana1"],
                "function": "plot_histograms",
                "RB_assign": {"RB_1": "read"},
                "config": {"title": "Times", "histograms": {"t": [0, 90, 90, 0, "time / ns", 0]}, "window": False},
            }
        },
    ],
}


async def asynchronously(cluster: Cluster) -> FieldHistogram:
    """As a program with an event loop gets it."""
    async with await AsyncSession.connect(cluster.address) as session:
        return await session.histogram("RB_1", "t")


async def on_the_screen(cluster: Cluster) -> list[Counts]:
    """As the operator's screens get it."""
    feed = await open_feed(Address(cluster.address))
    try:
        async for counts in feed.counts("daq1", "RB_1", anew=True):
            if counts[-1].events > 20:
                return list(counts)
    finally:
        await feed.close()
    raise AssertionError("counts do not end by themselves")


def test_counts_of_all_hosts_are_put_together_and_survive_a_kill(
    new_cluster: Callable[..., Cluster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = new_cluster("daq1", "ana1", real=False)
    session: Session = cluster.start()
    assert session.configure(cluster.write_setup(SETUP, source=SOURCE)).ok
    with pytest.raises(SessionError, match="only during a run"):
        session.histogram("RB_1", "t", timeout_s=0.2)
    assert session.ask("start").ok
    run = session.status().cluster.run
    assert run is not None

    first = wait_for(lambda: (h := session.histogram("RB_1", "t")).events > 1000 and h, "for the first counts")
    assert (first.function, first.is_sample, first.missing, first.label) == ("Fkt_2", False, (), "time / ns")
    assert (len(first.edges), first.edges[0], first.edges[-1]) == (91, 0.0, 90.0)
    assert first.entries == first.events == first.counts.sum() + first.overflow
    assert asyncio.run(asynchronously(cluster)).events >= first.events
    shown, sample = asyncio.run(on_the_screen(cluster))
    assert (shown.function, shown.is_sample, [field.field for field in shown.fields]) == ("Fkt_2", False, ["t"])
    assert (sample.function, sample.is_sample, [field.field for field in sample.fields]) == ("", True, ["t", "h"])

    for node in cluster.names:
        kill(wait_for(lambda node=node: process(cluster, node, run, "Fkt_2[0]"), f"for the worker on {node}"))
    again = wait_for(lambda: (h := session.histogram("RB_1", "t")).events > first.events + 300 and h, "after the kills")
    assert again.missing == ()

    own = wait_for(lambda: (h := session.histogram("RB_1", "t", bins=10, range=(0, 100))).events > 20 and h)
    assert (own.function, own.is_sample, len(own.counts)) == ("", True, 10)
    heights = wait_for(lambda: (h := session.histogram("RB_1", "h")).events > 20 and h)
    assert (heights.label, heights.is_sample) == ("height of h", True)
    for field, named in (("x", "no field 'x'; there are t, h"), ("t", "there is no buffer 'RB_9'")):
        with pytest.raises(SessionError, match=named):
            session.histogram("RB_1" if field == "x" else "RB_9", field)

    where = Where(cluster.address)
    assert plot(where, True, PlotRequest("RB_1", png=tmp_path / "wave.png")) == 0
    assert plot(where, True, PlotRequest("RB_1", ("t",), png=tmp_path / "hist.png")) == 0
    assert plot(where, True, PlotRequest("RB_9", png=tmp_path / "none.png")) == 2
    assert "there is no buffer 'RB_9'" in capsys.readouterr().err
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("wave.png", "hist.png"))

    assert session.ask("stop").ok
    counts, events = np.zeros(90, np.int64), 0
    for directory in cluster.run_dirs(run).values():
        content = json.loads((directory / "histograms_Fkt_2.json").read_text())
        counts += content["histograms"]["t"]["counts"]
        events += content["events"]
    committed = cluster.record(run, "daq1")["buffers"]["RB_1"]["events"]
    assert events == committed > again.events
    assert counts.tolist() == [len(range(value, committed, 100)) for value in range(90)]
    assert plot(where, True, PlotRequest("RB_1", png=tmp_path / "late.png")) == 2
    assert "there is no run to look at" in capsys.readouterr().err
