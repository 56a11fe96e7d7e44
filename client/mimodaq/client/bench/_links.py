"""The measurements behind the rows about links: from ring to ring over TCP, beside plain ZeroMQ messages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np

from mimodaq.client.bench._children import RESULT_S, Child
from mimodaq.client.bench._results import BenchError
from mimodaq.client.bench._rings import GROUP, SMALL, ring_of
from mimodaq.link import LinkOrder
from mimodaq.ring import Ring

MESSAGE_BYTES: Final = 1_000_000
LATENCY_EVENT: Final = np.dtype([("sent", "<i8", (3,))])
"""24 bytes; the first number is the time of departure."""
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Keys:
    """CURVE keys of both ends, or none."""

    server: tuple[str, str] = ("", "")
    """Public and secret key of the receiver."""
    client: tuple[str, str] = ("", "")

    @classmethod
    def new(cls) -> Self:
        """Fresh ones."""
        import zmq

        server, client = zmq.curve_keypair(), zmq.curve_keypair()
        return cls((server[0].decode(), server[1].decode()), (client[0].decode(), client[1].decode()))


@dataclass(frozen=True, slots=True)
class Way:
    """How the two hosts of a measurement are joined."""

    address: str = LOOPBACK
    """Of the receiving host."""
    from_here: Sequence[str] = ()
    """What to put before a command so that it runs on the sending host."""
    from_there: Sequence[str] = ()
    keys: Keys = field(default_factory=Keys)


class End:
    """One end of a link as a process; ended by force when its block is left."""

    def __init__(self, role: str, order: LinkOrder, prefix: Sequence[str] = ()) -> None:
        self._role, self._order, self._prefix = role, order, prefix
        self.reports: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Start it."""
        self.process = subprocess.Popen(
            [*self._prefix, sys.executable, "-m", f"mimodaq.link.{self._role}", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(self._order.encode())
        self.process.stdin.close()
        return self

    def __exit__(self, *_: object) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def expect(self, kind: str) -> dict[str, Any]:
        """Wait for a report. Raises BenchError when the process ends without it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.reports.append(json.loads(line))
            if self.reports[-1]["kind"] == kind:
                return self.reports[-1]
        raise BenchError(f"a {self._role} has ended without {kind!r}: {self.reports[-1:]}")

    def finish(self) -> None:
        """Wait for its good end."""
        outcome = self.expect("finish")["outcome"]
        if outcome != "done":
            raise BenchError(f"a {self._role} has ended with {outcome!r}")

    def cpu_s(self) -> float:
        """CPU time it has used so far, in s; also after its end."""
        import psutil

        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


class Link:
    """Two rings and a link between them, connected."""

    def __init__(self, dtype: np.dtype[Any], slots: int, way: Way, name: str = "link") -> None:
        self._dtype, self._slots, self._way, self._name = dtype, slots, way, name

    def __enter__(self) -> Self:
        """Make the rings, start both ends, wait until they have met."""
        way, keys = self._way, self._way.keys
        with ExitStack() as stack:
            self.source: Ring = stack.enter_context(ring_of(self._dtype, self._slots, f"{self._name}-source"))
            self.mirror: Ring = stack.enter_context(ring_of(self._dtype, self._slots, f"{self._name}-mirror"))
            there = LinkOrder(
                self._name,
                self.mirror.segment,
                f"tcp://{way.address}:*",
                public_key=keys.server[0],
                secret_key=keys.server[1],
                client_key=keys.client[0],
                insecure=True,
            )
            self.receiver = stack.enter_context(End("receiver", there, way.from_there))
            endpoint = self.receiver.expect("ready")["endpoint"]
            self.receiver_order = replace(there, endpoint=endpoint)
            here = LinkOrder(
                self._name,
                self.source.segment,
                endpoint,
                GROUP,
                public_key=keys.client[0],
                secret_key=keys.client[1],
                server_key=keys.server[0],
                insecure=True,
            )
            self.sender = stack.enter_context(End("sender", here, way.from_here))
            self.sender.expect("say")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        """End both, remove the rings."""
        self._stack.__exit__(*error)

    def finish(self) -> None:
        """Wait for the good end of both, and compare their ledgers."""
        self.sender.finish()
        self.receiver.finish()
        sent, arrived = self.source.place(self._name, GROUP), self.mirror.place(self._name)
        if sent is None or arrived is None or sent.released != arrived.position:
            raise BenchError(f"{sent} was acknowledged, {arrived} has arrived")


def link_rate(
    events: int,
    dtype: np.dtype[Any],
    slots: int,
    way: Way,
    batch: int,
    links: int = 1,
    costs_us: list[float] | None = None,
) -> float:
    """Events per second from ring to ring, all links together, from before the first claim to the last reader's end.

    The events lie in the slots already: a writer process claims and commits, a reader process takes and releases.
    The CPU time of all ends per event, in µs, goes to `costs_us`.
    """
    with ExitStack() as stack:
        made = [stack.enter_context(Link(dtype, slots, way, f"link{i}")) for i in range(links)]
        readers = [
            stack.enter_context(Child("reader", segment=link.mirror.segment, group=GROUP, batch=batch)) for link in made
        ]
        share = events // links
        for link in made:
            link.source.pause()
        writers = [
            stack.enter_context(Child("link_writer", segment=link.source.segment, events=share, batch=batch))
            for link in made
        ]
        ends = [end for link in made for end in (link.sender, link.receiver)]
        begin, used_s = time.monotonic(), sum([end.cpu_s() for end in ends])
        for link in made:
            link.source.resume()
        found = [reader.result() for reader in readers]
        for writer in writers:
            writer.result()
        for link in made:
            link.finish()
        used_s = sum([end.cpu_s() for end in ends]) - used_s
    if costs_us is not None:
        costs_us.append(1e6 * used_s / events)
    if any(f["events"] != share for f in found):
        raise BenchError(f"{share} events went into each link, {[f['events'] for f in found]} came out")
    seconds: float = max(f["end"] for f in found) - begin
    return share * links / seconds


def raw_rate(events: int, event_bytes: int, way: Way, span: int = 0, costs_us: list[float] | None = None) -> float:
    """The same number of bytes as ZeroMQ messages of 1 MB from one process to another, as events per second.

    PUSH/PULL, `copy=False` at both ends. With `span` 0 it is always the same message, and nobody looks at it: the limit
    of what ZeroMQ can carry. Otherwise the messages lie in `span` places and are copied into as many: what a
    program needs at least that has its data in a ring here, and wants them in a ring there. The CPU time of both
    processes per event, in µs, goes to `costs_us`.
    """
    count = max(1, round(events * event_bytes / MESSAGE_BYTES))
    keys = way.keys
    common: dict[str, Any] = {"count": count, "size": MESSAGE_BYTES, "span": span}
    with ExitStack() as stack:
        address = f"tcp://{way.address}:*"
        receiver = stack.enter_context(
            Child("raw_receiver", way.from_there, address=address, keys=keys.server, **common)
        )
        address = receiver.address
        sender = stack.enter_context(
            Child("raw_sender", way.from_here, address=address, server=keys.server[0], keys=keys.client, **common)
        )
        received, sent = receiver.result(), sender.result()
    seconds: float = received["end"] - sent["begin"]
    if costs_us is not None:
        costs_us.append(1e6 * (received["cpu_s"] + sent["cpu_s"]) * event_bytes / (count * MESSAGE_BYTES))
    return count * MESSAGE_BYTES / event_bytes / seconds


def link_delays(events: int, rate_hz: float) -> list[float]:
    """Delays in µs from just before `commit` on one side to just after `get` on the other."""
    with (
        Link(LATENCY_EVENT, 1024, Way()) as link,
        Child("latency_reader", segment=link.mirror.segment, group=GROUP) as reader,
        Child("paced_writer", segment=link.source.segment, events=events, rate_hz=rate_hz) as writer,
    ):
        found: list[float] = reader.result()["delays_us"]
        writer.result()
        link.finish()
    if len(found) != events:
        raise BenchError(f"{events} events went into the link, {len(found)} came out")
    return found


def lost_by_kills(events: int, kills: int) -> float:
    """Events lost or doubled when the receiver is killed and started again so often at full rate."""
    with ExitStack() as stack:
        link = stack.enter_context(Link(SMALL, 200_000, Way()))
        reader = stack.enter_context(Child("reader", segment=link.mirror.segment, group=GROUP, batch=4096))
        writer = stack.enter_context(Child("link_writer", segment=link.source.segment, events=events, batch=4096))
        for i in range(kills):
            _wait_until(link.mirror, (i + 1) * events // (kills + 2))
            link.receiver.__exit__()
            link.receiver = stack.enter_context(End("receiver", link.receiver_order))
        found = reader.result()
        writer.result()
        link.finish()
    return float(abs(events - found["events"]))


def _wait_until(ring: Ring, events: int) -> None:
    with ring.observer() as observer:
        while ring.status().committed < events:
            if observer.get(RESULT_S) is None:
                raise BenchError(f"the link ended before event {events}")
