"""What both ends have in common as processes: signals, reports, exit codes."""

from __future__ import annotations

import gc
import json
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mimodaq.link._order import LinkError, LinkOrder
from mimodaq.protocol.link import Finish, Identity, Outcome
from mimodaq.ring import Ring, RingClosed, RingError

EXIT_DONE: Final = 0
EXIT_FATAL: Final = 2
EXIT_ABORTED: Final = 3
FIGURES_S: Final = 1.0


class Reports:
    """The way to whoever has started this process: JSON lines on stdout. Nothing happens once nobody listens."""

    def __init__(self) -> None:
        self._is_broken = False
        self._due = 0.0
        self._before: tuple[float, int] | None = None

    def send(self, kind: str, **content: Any) -> None:
        """Send one report."""
        if self._is_broken:
            return
        try:
            sys.stdout.write(json.dumps({"kind": kind, **content}) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._is_broken = True

    def record(self, effect: Any) -> None:
        """Report an effect of the session with all its fields, under its name in small letters."""
        content = asdict(effect)
        if isinstance(effect, Finish):
            content["outcome"] = effect.outcome.value
        self.send(type(effect).__name__.lower(), **content)

    def figures(self, now: float, events: int, event_bytes: int, figures: Callable[[], dict[str, Any]]) -> None:
        """Report figures, at most once per second; rates from `events`, the number moved so far."""
        if now < self._due:
            return
        self._due = now + FIGURES_S
        rate_hz = 0.0
        if self._before is not None:
            rate_hz = (events - self._before[1]) / (now - self._before[0])
        self._before = (now, events)
        self.send("figures", events=events, rate_hz=rate_hz, mb_per_s=rate_hz * event_bytes / 1e6, **figures())


def fresh() -> int:
    """A random number that nobody else has, not 0."""
    return secrets.randbits(62) | 1


def identity_of(ring: Ring, link: str) -> Identity:
    """Who this end is."""
    return Identity(link, ring.identity, json.dumps(ring.dtype.descr), ring.dtype.itemsize)


class Stop:
    """Set by SIGTERM and SIGINT; the loop looks at it."""

    def __init__(self) -> None:
        self.is_asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _ask(self, *_: object) -> None:
        self.is_asked = True

    def take(self) -> bool:
        """Whether it was asked for since the last call."""
        asked, self.is_asked = self.is_asked, False
        return asked


def run_end(serve: Callable[[LinkOrder, Reports, Stop], Outcome]) -> int:
    """Carry out one end of a link as a process; returns its exit code.

    0 = done, or left its place to a successor; 2 = trying again cannot mend it; 3 = the ring was closed.
    """
    reports = Reports()
    try:
        (source,) = sys.argv[1:]
        order = LinkOrder.decode(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
        gc.freeze()
        outcome = serve(order, reports, Stop())
    except RingClosed as error:
        reports.send("finish", outcome="aborted", reason=str(error))
        return EXIT_ABORTED
    except (LinkError, RingError, OSError, ValueError) as error:
        reports.send("finish", outcome=Outcome.FATAL.value, reason=str(error))
        return EXIT_FATAL
    return EXIT_FATAL if outcome is Outcome.FATAL else EXIT_DONE


def milliseconds(until: float) -> int:
    """Time from now until the monotonic time `until`, rounded up, for poll."""
    return max(0, int((until - time.monotonic()) * 1000) + 1)
