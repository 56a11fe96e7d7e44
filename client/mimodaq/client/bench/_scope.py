"""The PicoScope readout against the same calls of the driver without rings, on a scope that does not exist.

The stand-in library of the tests takes the time a scope takes: captures of their length, and for each transfer
0.38 ms and 0.13 ms a channel (what picoDAQ found for single blocks) plus the bytes at 200 MB/s (USB 3). So the ratio
says what the readout adds to a scope; with a scope it depends on the model and has to be measured.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from mimodaq.client.bench._alternate import Effort, alternate, say
from mimodaq.client.bench._children import Child
from mimodaq.client.bench._peers import Peers, checkout
from mimodaq.client.bench._results import Goal, Missing, Row, Series
from mimodaq.client.bench._rings import GROUP, ring_of
from mimodaq.functions import FunctionIO

FAMILY: Final = "ps3000a"
SIZES: Final = (4000, 250)
"""Samples of each of two channels."""
CAPTURES: Final = (1, 10, 100, 1000)
"""Captures of a batch."""
SHORTEST_S: Final = 0.05
_SLOTS: Final = {4000: 4096, 250: 16384}
_SCRIPT: Final = {"paced": 1.0, "rearm_ns": 1e3, "setup_ns": 640e3, "transfer_ns_per_byte": 5.0, "flat": 1.0}
_INTERVAL_NS: Final = 4


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of readout."""

    samples: int
    captures: int
    seconds: float


def rows(effort: Effort, _peers: Peers) -> Iterator[Row]:
    """All rows about scopes."""
    for samples in SIZES:
        for captures in CAPTURES if effort.seconds else CAPTURES[:2]:
            yield from _pair(effort, Work(samples, captures, max(effort.seconds, SHORTEST_S)))


def _pair(effort: Effort, work: Work) -> Iterator[Row]:
    say(f"scope: 2 x {work.samples} samples, {work.captures} captures a batch")
    runs: list[Readings] = []

    def readout() -> float:
        runs.append(read_out(work))
        return runs[-1].rate

    found = alternate({"readout": readout, "bare calls": partial(bare_rate, work)}, effort.repeats, "captures/s")
    if runs:
        say(f"  between the driver's calls: {statistics.median(run.host for run in runs):.2g} % of the time")
    name = f"scope.2x{work.samples}.n{work.captures}"
    text = f"stand-in scope, 2 channels x {work.samples} samples, {work.captures} captures a batch"
    goal = Goal(ratio_min=0.95)
    yield Row(name, text, "ev/s", found["readout"], found["bare calls"], goal)
    failed = found["readout"].failed
    booked = Series("readout", tuple(run.booked for run in runs), found["readout"].missing, failed)
    true = Series("captures x their length", tuple(run.live for run in runs), found["readout"].missing, failed)
    yield Row(f"{name}.live", f"{text}: live time as the readout counts it", "%", booked, true, goal)


@dataclass(frozen=True, slots=True)
class Readings:
    """What one readout has done."""

    rate: float
    """Captures per second."""
    live: float
    """Live time in %: triggers come as fast as captures, so only these are live."""
    booked: float
    """Live time in % as the readout says."""
    host: float
    """Time in % between the driver's calls: the most that publishing during transfers could save."""


def read_out(work: Work) -> Readings:
    """The readout, through a ring to a reader process."""
    from mimodaq.picoscope import FAMILIES
    from mimodaq.picoscope._fields import match_fields
    from mimodaq.picoscope._sdk6000 import open_driver
    from mimodaq.picoscope._settings import read_settings
    from mimodaq.picoscope._source import Session

    library = _prepared()
    dtype = np.dtype([("chA", "<i2", (work.samples,)), ("chB", "<i2", (work.samples,))])
    settings = read_settings(
        {
            "family": FAMILY,
            "sample_interval": f"{_INTERVAL_NS} ns",
            "batch": {"captures": work.captures, "max_latency": "10 s"},
            "channels": {"A": {"range": "500 mV"}, "B": {"range": "500 mV"}},
            "trigger": {"source": "A", "level": "-30 mV", "edge": "falling"},
            "rearm_time": f"{_SCRIPT['rearm_ns']} ns",
        }
    )
    fields, _ = match_fields(settings, dtype)
    assert fields is not None
    with (
        ring_of(dtype, _SLOTS[work.samples]) as ring,
        Child("reader", segment=ring.segment, group=GROUP, batch=256) as reader,
    ):
        writer = ring.writer()
        end = time.monotonic() + work.seconds
        io = FunctionIO(
            "scope", 0, 1, {}, Path(), Path(), {}, logging.getLogger("bench.scope"), writers=[writer],
            is_stopping=lambda: time.monotonic() >= end and ring.status().committed > 0,
        )  # fmt: skip
        begin = time.monotonic()
        Session(io, settings, fields, open_driver(FAMILIES[FAMILY], str(library))).run()
        took = time.monotonic() - begin
        writer.close()
        reader.result()
    rate = io.figures["events"] / took
    dead = io.figures["dead_ns"]
    host = dead["host"] / (io.figures["live_ns"] + sum(dead.values()))
    true = rate * work.samples * _INTERVAL_NS / 1e9
    return Readings(rate, 100 * true, 100 * io.figures["live_time_fraction"], 100 * host)


def bare_rate(work: Work) -> float:
    """Captures per second of the same calls in a loop, always into the same memory; nobody gets the data.

    From opening the scope to closing it, as that of the readout.
    """
    import ctypes

    from mimodaq.picoscope import FAMILIES
    from mimodaq.picoscope._sdk6000 import open_driver

    library = _prepared()
    driver = open_driver(FAMILIES[FAMILY], str(library))
    n, samples = work.captures, work.samples
    begin = time.monotonic()
    driver.open(None, 8)
    try:
        for index in range(4):
            if index < 2:
                driver.set_channel(index, 5, 1, 0.0, 0)
            else:
                driver.switch_off(index)
        driver.segment(max(n, 2))
        driver.set_captures(n)
        driver.set_trigger(0, -1951, 3, 0, 0)
        memory = np.zeros((n, 2, samples), np.int16)
        for index in range(2):
            driver.register(index, memory[0, index].ctypes.data, memory.strides[0], n, samples)
        handle, ready, got = 1, ctypes.c_int16(), ctypes.c_uint32()
        at_ready, at_got = ctypes.byref(ready), ctypes.byref(got)
        masks = np.zeros(n, np.int16)
        overflow = masks.ctypes.data
        run, is_ready, fetch = driver.lib.ps3000aRunBlock, driver.lib.ps3000aIsReady, driver.lib.ps3000aGetValuesBulk
        captures, end = 0, begin + work.seconds
        while time.monotonic() < end or not captures:
            status = run(handle, 0, samples, 2, 1, None, 0, None, None)
            while not ready.value and not status:
                status = is_ready(handle, at_ready)
            ready.value, got.value = 0, samples
            status = status or fetch(handle, at_got, 0, n - 1, 1, 0, overflow)
            assert not status, f"the stand-in answered {status}"
            captures += n
    finally:
        driver.close()
    return captures / (time.monotonic() - begin)


def _prepared() -> Path:
    """The stand-in library, with the script of these measurements."""
    import ctypes

    library = _library()
    control = ctypes.CDLL(str(library))
    control.fake_reset()
    for name, value in _SCRIPT.items():
        control.fake_set(name.encode(), ctypes.c_double(value))
    return library


@cache
def _library() -> Path:
    """Build the stand-in library from the sources of this program."""
    source = checkout() / "tests" / "picoscope" / "standin" / "build.py"
    if not source.is_file():
        raise Missing("the stand-in library comes with the sources: run this in a checkout")
    if not (shutil.which("gcc") or shutil.which("cc")):
        raise Missing("no C compiler for the stand-in library: install gcc")
    spec = importlib.util.spec_from_file_location("mimodaq_standin_build", source)
    assert spec is not None
    assert spec.loader is not None
    build: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    folder = Path(tempfile.gettempdir()) / f"mimodaq-standin-{Path.home().name}"
    library: Path = build.build(FAMILY, folder)
    return library
