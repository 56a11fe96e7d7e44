"""What both ends have in common as processes: signals, reports, exit codes."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import zmq

from mimodaq.link._order import LinkError, LinkOrder
from mimodaq.protocol.link import Finish, GiveUp, Identity, Leave, Outcome
from mimodaq.ring import Ring, RingClosed, RingError

EXIT_DONE: Final = 0
EXIT_FATAL: Final = 2
EXIT_ABORTED: Final = 3
FIGURES_S: Final = 1.0
_STDOUT: Final = 1
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""See mallopt(3)."""

_NO_FIGURES: Final = {
    "connected": False,
    "lag": 0,
    "lag_s": 0.0,
    "unacknowledged": 0,
    "reconnects": 0,
    "redelivered": 0,
    "round_trip_s": 0.0,
    "garbage": 0,
}
"""What all ends report; an end tells of these what there is to tell, and more."""

FigureReport = Callable[[float, int, int, Callable[[], dict[str, Any]]], None]


class Reports:
    """The way to whoever has started this process: JSON lines on stdout, a pipe or a file that grows.

    A line is written at once and in one piece. Nobody listening, or no room on the disk, harms nothing.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._before: tuple[float, int] | None = None

    def send(self, kind: str, **content: Any) -> None:
        """Send one report."""
        with suppress(OSError):  # the reports are for somebody who is gone, or can do nothing about a full disk
            os.write(_STDOUT, json.dumps({"kind": kind, **content}).encode() + b"\n")

    def record(self, effect: Any) -> None:
        """Report an effect of the session with all its fields, under its name in small letters."""
        content = asdict(effect)
        if isinstance(effect, Finish):
            content["outcome"] = effect.outcome.value
        self.send(type(effect).__name__.lower(), **content)

    def figures(self, now: float, events: int, event_bytes: int, figures: Callable[[], dict[str, Any]]) -> None:
        """Report figures, at most once per second; rates from `events`, the number moved so far."""
        if now >= self._due:
            self.last_figures(now, events, event_bytes, figures)

    def last_figures(self, now: float, events: int, event_bytes: int, figures: Callable[[], dict[str, Any]]) -> None:
        """Report figures now."""
        self._due = now + FIGURES_S
        rate_hz = 0.0
        if self._before is not None and now > self._before[0]:
            rate_hz = (events - self._before[1]) / (now - self._before[0])
        self._before = (now, events)
        found = {"events": events, "rate_hz": rate_hz, "bytes_per_s": rate_hz * event_bytes, **_NO_FIGURES, **figures()}
        self.send("figures", **found)


def keep_memory() -> None:
    """Let the C library keep freed memory: large messages that come and go would have the kernel clear it each time.

    Measured with batches of 1 MB: half of the system time of the thread that receives. Does nothing without glibc.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, 32 << 20)
        set_option(_M_TRIM_THRESHOLD, 256 << 20)


def fresh() -> int:
    """A random number that nobody else has, not 0."""
    return secrets.randbits(62) | 1


def identity_of(ring: Ring, link: str) -> Identity:
    """Who this end is."""
    return Identity(link, ring.identity, json.dumps(ring.dtype.descr), ring.dtype.itemsize)


class Signals:
    """What this process was told by signals; the loop looks at it."""

    HEARD: Final = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

    def __init__(self) -> None:
        self._asked: set[int] = set()
        for number in self.HEARD:
            signal.signal(number, self._note)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @classmethod
    def ignore(cls) -> None:
        """Hear nothing more: the interpreter gives handlers back before its end, and a late signal would be its end."""
        for number in cls.HEARD:
            signal.signal(number, signal.SIG_IGN)

    def _note(self, number: int, _: object) -> None:
        self._asked.add(number)

    def take(self, number: signal.Signals) -> bool:
        """Whether this signal came since the last call."""
        asked = number in self._asked
        self._asked.discard(number)
        return asked

    def told(self) -> Iterator[GiveUp | Leave]:
        """What the signals since the last call mean to one end of a link."""
        if self.take(signal.SIGUSR1):
            yield GiveUp()
        if self.take(signal.SIGTERM):
            yield Leave()


def run_end(serve: Callable[[LinkOrder, Reports, Signals], Finish]) -> int:
    """Carry out one end of a link as a process; returns its exit code."""

    def start(text: str, _: Path | None, reports: Reports, signals: Signals) -> Finish:
        return serve(LinkOrder.decode(text), reports, signals)

    return run_process(start)


def run_process(start: Callable[[str, Path | None, Reports, Signals], Finish]) -> int:
    """Carry out a process whose order is in the file named on the command line (`-` = stdin); returns its exit code.

    0 = done, left its place to a successor, or given up; 2 = trying again cannot mend it; 3 = the ring was closed.
    """
    reports = Reports()
    try:
        (source,) = sys.argv[1:]
        path = None if source == "-" else Path(source)
        text = sys.stdin.read() if path is None else path.read_text(encoding="utf-8")
        gc.freeze()
        finish = start(text, path, reports, Signals())
    except RingClosed as error:
        Signals.ignore()
        reports.send("finish", outcome="aborted", reason=str(error))
        return EXIT_ABORTED
    except (LinkError, RingError, OSError, ValueError, zmq.ZMQError) as error:
        finish = Finish(Outcome.FATAL, str(error))
    Signals.ignore()
    reports.record(finish)
    return EXIT_FATAL if finish.outcome is Outcome.FATAL else EXIT_DONE


def milliseconds(until: float) -> int:
    """Time from now until the monotonic time `until`, rounded up, for poll."""
    return max(0, int((until - time.monotonic()) * 1000) + 1)
