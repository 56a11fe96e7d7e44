"""The measurements behind the rows about rings: through a ring, over a socket, by copying in memory."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np

from mimodaq.client.bench._children import Child
from mimodaq.client.bench._results import BenchError
from mimodaq.ring import Ring, segment_name

SMALL: Final = np.dtype([(name, "<f4", (1,)) for name in "abcdef"])
"""24 bytes: six numbers of a pulse."""
WAVE: Final = np.dtype([(f"ch{name}", "<f4", (4250,)) for name in "ABCD"])
"""68 kB: the waveforms of four channels."""
OBSERVER_HZ: Final = 20.0
GROUP: Final = "readers"


@contextmanager
def ring_of(dtype: np.dtype[Any], slots: int, name: str = "bench") -> Iterator[Ring]:
    """A ring of our own with one reader group; verified, and removed at the end."""
    ring = Ring.create(
        segment_name(name, partition=f"bench-{os.getpid()}"), dtype, slots, groups=[GROUP], expected_writers=1
    )
    try:
        yield ring
        ring.verify()
    finally:
        ring.unlink()


def ring_rate(
    events: int, dtype: np.dtype[Any], slots: int, *, batch: int = 0, readers: int = 1, observed: bool = False
) -> float:
    """Events per second from this process through a ring to reader processes, all of one group.

    From before the first event is copied in until the last reader has seen the end of the stream. Raises BenchError
    when a reader fails or events are missing.
    """
    with ring_of(dtype, slots) as ring, ExitStack() as stack:
        sinks = [
            stack.enter_context(Child("reader", segment=ring.segment, group=GROUP, batch=batch)) for _ in range(readers)
        ]
        if observed:
            watcher = stack.enter_context(Child("observer", segment=ring.segment, rate_hz=OBSERVER_HZ))
        writer = ring.writer()
        block = np.zeros(batch or 1, dtype)
        begin = time.monotonic()
        if batch:
            _write_batches(writer, block, events)
        else:
            put, event = writer.put, block[0].tobytes() if dtype is SMALL else block[0]
            for _ in range(events):
                put(event)
        writer.close()
        found = [sink.result() for sink in sinks]
        if observed:
            watcher.result()
    if sum(f["events"] for f in found) != events:
        raise BenchError(f"{events} events went into the ring, {sum(f['events'] for f in found)} came out")
    end: float = max(f["end"] for f in found)
    return events / (end - begin)


def _write_batches(writer: Any, block: np.ndarray, events: int) -> None:
    raw = np.dtype(f"V{block.dtype.itemsize}")
    source = block.view(raw)
    n, left = len(block), events
    claim, commit = writer.claim, writer.commit_batch
    while left:
        batch = claim(min(n, left)).events
        size = len(batch)
        batch.view(raw)[:] = source[:size]  # as bytes: numpy copies records of equal type field by field
        commit()
        left -= size


def message_rate(events: int, size: int) -> float:
    """Messages of `size` bytes per second over a ZeroMQ PUSH/PULL pair on ipc, from this process to another."""
    import zmq

    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as folder:
        address = f"ipc://{folder}/messages"
        with (
            Child("receiver", address=address, events=events) as receiver,
            zmq.Context() as context,
            context.socket(zmq.PUSH) as socket,
        ):
            socket.connect(address)
            send, message = socket.send, bytes(size)
            begin = time.monotonic()
            for _ in range(events):
                send(message)
            end: float = receiver.result()["end"]
    return events / (end - begin)


def copy_rate(events: int, size: int, slots: int) -> float:
    """Copies of `size` bytes per second by numpy in one process, into `slots` places in turn."""
    places = np.ones((slots, size), "u1").view(f"V{size}").reshape(slots)  # written once: every page is there
    event = np.zeros(1, places.dtype)[0]
    begin = time.monotonic()
    for i in range(events):
        places[i % slots] = event
    return events / (time.monotonic() - begin)
