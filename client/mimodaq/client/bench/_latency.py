"""How long an event is on its way through an idle ring, beside a message through an idle socket."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from mimodaq.client.bench._alternate import Effort, Measure, alternate, say
from mimodaq.client.bench._children import Child
from mimodaq.client.bench._results import BenchError, Goal, Row, Series
from mimodaq.client.bench._rings import GROUP, ring_of

RATE_HZ: Final = 200.0
_EVENT: Final = np.dtype([("sent", "<i8", (3,))])
"""24 bytes; the first number is the time of departure."""


def _paced(send: Callable[[], None], events: int, rate_hz: float) -> None:
    """Send events at equal distances."""
    begin = time.monotonic()
    for i in range(events):
        time.sleep(max(0.0, begin + i / rate_hz - time.monotonic()))
        send()


def ring_delays(events: int) -> list[float]:
    """Delays in µs from just before `commit` to just after `get` in another process."""
    with ring_of(_EVENT, 1024) as ring, Child("latency_reader", segment=ring.segment, group=GROUP) as reader:
        writer = ring.writer()

        def send() -> None:
            slot = writer.slot()
            slot["sent"][0] = time.monotonic_ns()
            writer.commit()

        _paced(send, events, RATE_HZ)
        writer.close()
        found: list[float] = reader.result()["delays_us"]
    if len(found) != events:
        raise BenchError(f"{events} events went into the ring, {len(found)} came out")
    return found


def message_delays(events: int, rate_hz: float = RATE_HZ, address: str = "") -> list[float]:
    """The same for messages over a ZeroMQ PUSH/PULL pair, from just before `send` to just after `recv`.

    They go over ipc unless there is an address to bind.
    """
    import zmq

    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as folder:
        address = address or f"ipc://{folder}/messages"
        with (
            Child("latency_receiver", address=address, events=events) as receiver,
            zmq.Context() as context,
            context.socket(zmq.PUSH) as socket,
        ):
            socket.connect(receiver.address)
            message = np.zeros(1, _EVENT)

            def send() -> None:
                message["sent"][0, 0] = time.monotonic_ns()
                socket.send(message.tobytes())

            _paced(send, events, rate_hz)
            found: list[float] = receiver.result()["delays_us"]
    return found


def rows(effort: Effort) -> Iterator[Row]:
    """Median and 99th percentile."""
    say(f"ring: latency at {RATE_HZ:.0f} events/s")
    slowest: dict[str, list[float]] = {"pyzmq ipc": [], "idle ring": []}

    def measure(name: str, delays: Callable[[int], list[float]]) -> float:
        found = delays(effort.latency_events)
        slowest[name].append(float(np.percentile(found, 99)))
        return float(np.median(found))

    subjects: dict[str, Measure] = {
        "pyzmq ipc": partial(measure, "pyzmq ipc", message_delays),
        "idle ring": partial(measure, "idle ring", ring_delays),
    }
    medians = alternate(subjects, effort.run_repeats, "µs")
    tails = {
        name: Series(name, tuple(slowest[name]), series.missing, series.failed) for name, series in medians.items()
    }
    work = f"idle ring, {RATE_HZ:.0f} events/s: writer commits to reader has it"
    for which, found, most in (("median", medians, 100.0), ("p99", tails, 1000.0)):
        ring, socket = found["idle ring"], found["pyzmq ipc"]
        yield Row(f"ring.latency.{which}", f"{work}, {which}", "µs", ring, socket, Goal(value_max=most))
