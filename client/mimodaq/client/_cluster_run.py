"""`mimodaq run` for a setup with hosts: the same command, carried out by the cluster."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from mimodaq.client._cluster_commands import Choices, Where, guarded, tell_json
from mimodaq.client._cluster_json import mistake, run_as_here
from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, EXIT_REFUSED
from mimodaq.client._progress import Progress
from mimodaq.client._run import RunRequest
from mimodaq.client._run_texts import one_run
from mimodaq.client._status_texts import Picture, as_line
from mimodaq.client._streams import tell
from mimodaq.client.session import RunInfo, Session, Status
from mimodaq.config import Setup
from mimodaq.protocol.messages import Answer, Cluster, LogLine, Report
from mimodaq.protocol.plan import make_plan


@dataclass(slots=True)
class _Wishes:
    """What the operator has asked for with signals: the first stops, the second aborts."""

    received: int = 0
    carried_out: int = 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.received += 1
        if self.received > 2:
            raise KeyboardInterrupt

    def take(self) -> str | None:
        if self.carried_out == self.received:
            return None
        self.carried_out = self.received
        return "stop" if self.received == 1 else "abort"


@dataclass(slots=True)
class _Watcher:
    """Shows a run while it goes on, a line a second."""

    session: Session
    address: str
    is_quiet: bool
    cluster: Cluster | None = None
    reports: dict[str, Report] = field(default_factory=dict)
    shown: float = 0.0

    def look(self, wait_s: float) -> None:
        for one in self.session.news(wait_s):
            match one:
                case Cluster():
                    self.cluster = one
                case Report():
                    self.reports[one.node] = one
                case LogLine(level="error" | "warning"):
                    print(f"{one.node}: {one.text}", file=sys.stderr)
                case _:
                    pass
        now = time.monotonic()
        if self.cluster is not None and not self.is_quiet and now - self.shown >= 1.0:
            self.shown = now
            status = Status(self.cluster, dict(self.reports))
            print(as_line(Picture(status, self.session.me, self.address, self.session.silent_s)), file=sys.stderr)


def run(request: RunRequest, setup: Setup) -> int:
    """Configure, start, show, wait for the end; returns the exit code."""
    where = Where.typed(request.broker, request.key, request.insecure).of(setup)

    def work() -> int:
        choices = Choices.typed(request.optional, request.on_loss)
        with where.session() as session:
            answer = _begin(session, choices, setup, request.comment)
            if not answer.ok or answer.run is None:
                print(answer.text, file=sys.stderr)
                if request.as_json:
                    tell_json(mistake(answer.text))
                return EXIT_REFUSED
            row = _follow(session, where.address, answer.run, request.quiet)
        if request.as_json:
            tell_json(run_as_here(row, make_plan(setup).nodes))
        else:
            tell(one_run(row))
        return EXIT_GOOD if row.verdict == "good" else EXIT_NOT_GOOD

    return guarded(request.as_json, work)


def _begin(session: Session, choices: Choices, setup: Setup, comment: str) -> Answer:
    answer = choices.send(session, setup)
    if not answer.ok:
        return answer
    with Progress("start", session) as progress:
        return session.ask("start", comment=comment, on_turn=progress.show)


def _follow(session: Session, address: str, run: int, quiet: bool) -> RunInfo:
    watcher = _Watcher(session, address, quiet)
    with _signals() as wishes:
        row = session.run(run)
        while not row.verdict:
            watcher.look(0.25)
            wish = wishes.take()
            if wish is not None:
                answer = session.ask(wish, on_turn=lambda: watcher.look(0.0))
                print(answer.text, file=sys.stderr)
            if wish is not None or watcher.cluster is None or watcher.cluster.run != run:
                row = session.run(run)
    return row


@contextmanager
def _signals() -> Iterator[_Wishes]:
    wishes = _Wishes()
    before = {number: signal.signal(number, wishes.note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
