"""Attaching to a ring by its name, from programs that share nothing else with its maker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from mimodaq.ring import Ring
from ring.harness import SMALL, drain, event_of

ATTACH = """
import sys
from mimodaq.ring import Ring
ring = Ring.attach(sys.argv[1])
with ring.reader("g", "elsewhere") as reader, ring.writer() as writer:
    while (event := reader.get()) is not None and event["number"][0] < 100:
        writer.put({"number": event["number"] + 100, "source": event["source"]})
        print(reader.counter, ring.description["unit"])
"""


def test_any_process_may_attach_by_name(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(groups=["g", "h"], description={"unit": "mV"})
    with ring.writer() as writer:
        for number in (*range(3), 100):
            writer.put(event_of(SMALL, 0, number))
    run = subprocess.run(
        [sys.executable, "-c", ATTACH, ring.segment], check=True, capture_output=True, text=True, timeout=30
    )
    assert run.stdout.split() == ["0", "mV", "1", "mV", "2", "mV"]
    assert [int(event["number"][0]) for event in drain(ring, "h")] == [0, 1, 2, 100, 100, 101, 102]
    drain(ring, "g")


def test_a_namespace_of_its_own_may_not_attach(ring: Ring) -> None:
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", ATTACH, ring.segment]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    if "unshare failed" in run.stderr:
        pytest.skip("only root may make a pid namespace")
    assert "another pid namespace" in run.stderr
