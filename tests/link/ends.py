"""What the tests of links share: ends as processes, a source that numbers events, a sink that checks them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import zmq

from mimodaq.link import LinkOrder, WindowOrder
from mimodaq.ring import Ring, RingEnding
from ring.harness import PATIENCE_S, fill, keys

GROUP = "g"
LOCAL = "tcp://127.0.0.1:*"


def new_keys() -> tuple[str, str]:
    """A pair of CURVE keys, public and secret."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


class End:
    """One end of a link, or a window, as a real process, perhaps on another host; started again by `start`."""

    def __init__(self, role: str, order: LinkOrder | WindowOrder | Path, prefix: Sequence[str] = ()) -> None:
        self.role = role
        self.order = order
        self.prefix = prefix
        self.reports: list[dict[str, Any]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def start(self) -> Self:
        """Start the process; its order goes through stdin, or is in a file."""
        paths = [str(Path(__file__).parents[2] / part) for part in ("node", "broker", "client", "config")]
        where, text = (str(self.order), "") if isinstance(self.order, Path) else ("-", self.order.encode())
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", f"mimodaq.link.{self.role}", where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.close()
        self._rest = b""
        return self

    def fileno(self) -> int:
        """For select: readable when a report is there."""
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def read(self) -> bool:
        """Read reports that are there; false at the end of the process."""
        data = os.read(self.fileno(), 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.reports += [json.loads(line) for line in lines]
        return bool(data)

    def expect(self, kind: str, **content: Any) -> dict[str, Any]:
        """Wait for a report that has this content; earlier ones count."""
        seen = 0
        while True:
            for report in self.reports[seen:]:
                if report["kind"] == kind and content.items() <= report.items():
                    return report
            seen = len(self.reports)
            ready = select.select([self], [], [], PATIENCE_S)[0]
            assert ready, f"{self.role} has not said {kind} {content}: {self.reports[-5:]}"
            assert self.read(), f"{self.role} has ended without {kind} {content}: {self.reports[-5:]}"

    def last(self, kind: str) -> dict[str, Any]:
        """The last report of that kind."""
        return next(report for report in reversed(self.reports) if report["kind"] == kind)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        while self.read():
            pass
        self._close()

    def end(self, within_s: float = PATIENCE_S) -> int:
        """Wait for the end by itself; returns the exit code."""
        assert self.process is not None
        while True:
            assert select.select([self], [], [], within_s)[0], f"{self.role} does not end: {self.reports[-3:]}"
            if not self.read():
                break
        code = self.process.wait()
        self._close()
        return code

    def terminate(self) -> int:
        """SIGTERM, and wait for the clean leave."""
        self.send(signal.SIGTERM)
        return self.end()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None and self.process.poll() is None


class Pair:
    """A source, its mirror, and the two ends between them."""

    def __init__(self, source: Ring, mirror: Ring, link: str = "link", **options: object) -> None:
        self.source, self.mirror, self.link = source, mirror, link
        keys = options.pop("keys", None)
        server, client = ({}, {}) if keys is None else keys
        self.receiver = End("receiver", LinkOrder(link, mirror.segment, LOCAL, **options, **server))
        self.receiver.start()
        endpoint = self.receiver.expect("ready")["endpoint"]
        self.receiver.order = LinkOrder(link, mirror.segment, endpoint, **options, **server)
        self.sender = End("sender", LinkOrder(link, source.segment, endpoint, group=GROUP, **options, **client))
        self.sender.start()

    @property
    def ends(self) -> tuple[End, End]:
        return self.sender, self.receiver


def produce(ring: Ring, total: int) -> None:
    """Put `total` numbered events into a ring, in batches as large as the ring gives, then close."""
    with ring.writer("source") as writer:
        number = 0
        while number < total:
            batch = writer.claim(min(total - number, 256))
            n = len(batch.events)
            fill(batch.events, 1, np.arange(number, number + n))
            batch.counter[:] = np.arange(number, number + n) + 7
            writer.commit_batch()
            number += n


def produce_until_told(ring: Ring) -> None:
    """The same until writers are told to stop."""
    number = 0
    with ring.writer("source") as writer:
        try:
            while True:
                batch = writer.claim(256)
                n = len(batch.events)
                fill(batch.events, 1, np.arange(number, number + n))
                batch.counter[:] = np.arange(number, number + n) + 7
                writer.commit_batch()
                number += n
        except RingEnding:
            return


def check_in_order(ring: Ring, result: int) -> None:
    """Read a mirror to its end, every event checked, whole and in order; writes their number to the pipe `result`."""
    number = 0
    with ring.reader(GROUP, "sink") as reader:
        while (batch := reader.take(1000)) is not None:
            found = keys(batch.events) - (1 << 40)
            expected = np.arange(number, number + len(found))
            assert (found == expected).all(), f"after event {number - 1}: {found[:5]}"
            assert (batch.counter == expected + 7).all(), "a counter has changed"
            number += len(found)
            reader.release()
    os.write(result, f"{number}\n".encode())


def read_all(ring: Ring) -> None:
    """Read a ring to its end."""
    with ring.reader(GROUP, "sink") as reader:
        while reader.take(100) is not None:
            reader.release()


def collect(ring: Ring, result: int) -> None:
    """Read a mirror to its end; writes the numbers of its events, as bytes of int64, to the pipe `result`."""
    with ring.reader(GROUP, "sink") as reader:
        while (batch := reader.take(1000)) is not None:
            found = keys(batch.events) - (1 << 40)
            reader.release()
            os.write(result, found.astype("<i8").tobytes())


def check_ledger(source: Ring, mirror: Ring, link: str) -> int:
    """Sent = acknowledged = committed on the other side, and both rings are consistent; returns how many events."""
    source.verify()
    mirror.verify()
    sent, arrived = source.place(link, GROUP), mirror.place(link)
    assert sent is not None
    assert arrived is not None
    assert sent.is_finished
    assert arrived.is_finished
    assert sent.position == sent.released == arrived.position
    group = source.status().groups[0]
    assert (group.pending, group.reading, group.aside, group.quarantined) == (0, 0, 0, 0)
    assert mirror.status().is_ended
    return arrived.position
