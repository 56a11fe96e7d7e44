"""Rings against messages over a socket, against copying in memory, and against those of mimoCoRB."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from mimodaq.client.bench import _latency
from mimodaq.client.bench._alternate import Effort, Sized, alternate, say
from mimodaq.client.bench._peers import MIMOCORB, MIMOCORB2, Peers
from mimodaq.client.bench._results import Goal, Row
from mimodaq.client.bench._rings import SMALL, WAVE, copy_rate, message_rate, ring_rate

SMALL_SLOTS: Final = 16384
WAVE_SLOTS: Final = 128
BATCH: Final = 128


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """All rows about rings."""
    yield from _small(effort, peers)
    yield from _waves(effort, peers)
    yield from _latency.rows(effort)


def _small(effort: Effort, peers: Peers) -> Iterator[Row]:
    say("ring: events of 24 bytes")
    sized = partial(Sized, seconds=effort.seconds)
    found = alternate(
        {
            "pyzmq ipc": sized(partial(message_rate, size=SMALL.itemsize), 20_000),
            "one event per call": sized(partial(ring_rate, dtype=SMALL, slots=SMALL_SLOTS), 20_000),
            "batches of 128": sized(partial(ring_rate, dtype=SMALL, slots=SMALL_SLOTS, batch=BATCH), 200_000),
            MIMOCORB.title: sized(peers.rate(MIMOCORB, "ring", event="small"), 2_000),
            MIMOCORB2.title: sized(peers.rate(MIMOCORB2, "ring", event="small"), 2_000),
        },
        effort.repeats,
    )
    event, batches = found["one event per call"], found["batches of 128"]
    work = "24 B, one event per call, 1 writer to 1 reader process"
    yield Row("ring.event.24B", work, "ev/s", event, found["pyzmq ipc"], Goal(value_min=1e6, ratio_min=0.8))
    yield Row("ring.batch.24B", "24 B, explicit batches of 128", "ev/s", batches, event, Goal(ratio_min=8))
    for peer in (MIMOCORB, MIMOCORB2):
        yield Row(f"ring.event.24B.{peer.name}", work, "ev/s", event, found[peer.title], Goal(ratio_min=35))


def _waves(effort: Effort, peers: Peers) -> Iterator[Row]:
    say("ring: waveforms of 4 x 4250 float32")
    sized = partial(Sized, seconds=effort.seconds)
    wave = partial(ring_rate, dtype=WAVE, slots=WAVE_SLOTS)
    found = alternate(
        {
            "numpy memcpy": sized(partial(copy_rate, size=WAVE.itemsize, slots=WAVE_SLOTS), 2_000),
            "one reader": sized(wave, 2_000),
            "2 readers in one group": sized(partial(wave, readers=2), 2_000),
            "an observer at 20 Hz": sized(partial(wave, observed=True), 2_000),
            MIMOCORB.title: sized(peers.rate(MIMOCORB, "ring", event="wave"), 1_000),
            MIMOCORB2.title: sized(peers.rate(MIMOCORB2, "ring", event="wave"), 1_000),
        },
        effort.repeats,
    )
    one = found["one reader"]
    name, work = "ring.wave.68kB", "68 kB, one event per call, 128 slots"
    yield Row(name, work, "ev/s", one, found["numpy memcpy"], Goal(ratio_min=0.4))
    for more, what in (("2readers", "2 readers in one group"), ("observer", "an observer at 20 Hz")):
        yield Row(f"{name}.{more}", f"{work}, {what}", "ev/s", found[what], one, Goal(ratio_min=0.9))
    for peer in (MIMOCORB, MIMOCORB2):
        yield Row(f"{name}.{peer.name}", work, "ev/s", one, found[peer.title], Goal(ratio_min=6))
