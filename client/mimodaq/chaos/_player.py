"""Play a schedule on a living cluster: do what is due, undo it, keep runs going, listen all the while.

The time of the schedule stands still when no run has come to take data for a while: a cluster that is hit every other
second never gets to start one, and faults are to hit runs. The first faults after the end of a run hit the next start.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from types import FrameType
from typing import Final

from mimodaq.chaos._deeds import Deeds, Undo
from mimodaq.chaos._faults import BROKER, Fault
from mimodaq.chaos._report import Done
from mimodaq.chaos._targets import CannotDo
from mimodaq.chaos._witness import Witness
from mimodaq.client.session import RestartedError, Session, UnreachableError
from mimodaq.protocol.messages import Answer, Cluster, LogLine, Report
from mimodaq.protocol.states import State

_LISTEN_S: Final = 0.05
_RETRY_S: Final = 1.0
_IDLE_S: Final = 3.0
"""Without a run the schedule goes on for so long."""
_STILL_S: Final = 10.0
"""After its cause is gone a pause that nobody asked for may last so long; then the operator steps in."""
_FRESH_S: Final = 1.5
"""What was heard longer ago says nothing about what may be commanded."""


@dataclass(slots=True)
class Player:
    """One schedule on one cluster."""

    session: Session
    deeds: Deeds
    schedule: Sequence[Fault]
    tell: Callable[[str], None]
    configure: Callable[[Callable[[], None]], Answer] | None = None
    """Resets are answered by this; None if the cluster's setup is not ours."""
    faults_per_run: int = 0
    """After so many a run is stopped and the next one started; 0 = never."""
    witness: Witness = field(default_factory=Witness)
    done: list[Done] = field(default_factory=list)
    runs: set[int] = field(default_factory=set)
    """All that went on meanwhile."""
    redelivered: dict[tuple[int, str, str], int] = field(default_factory=dict)
    """By run, node and buffer: events handed out again, as the feed tells."""
    resumed: int = 0
    """How often a run that was held had to be resumed by hand."""
    cluster: Cluster | None = None
    _begin: float = 0.0
    _played_s: float = 0.0
    """Time of the schedule."""
    _looked: float = 0.0
    _idle_since: float | None = None
    _at: int = 0
    """Place in the schedule."""
    _open: list[tuple[float, Fault, Undo]] = field(default_factory=list)
    _run: int | None = None
    _in_run: int = 0
    """Faults done since the last run was begun."""
    _next_try: float = 0.0
    _is_interrupted: bool = False
    _still_since: float | None = None
    """Since when a run is paused although all hosts are heard."""

    def play(self) -> None:
        """From the first fault to the end of the last; Ctrl-C or SIGTERM ends it early, and everything is undone."""
        self._begin = self._looked = time.monotonic()
        self._played_s = 0.0
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while (self._at < len(self.schedule) or self._open) and not self._is_interrupted:
                self.listen(_LISTEN_S)
                self._keep_running()
        finally:
            self.undo_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """The first time the end is at the next safe place, the second time at once."""
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def listen(self, wait_s: float = 0.0) -> None:
        """Hear what there is to hear, and do what is due."""
        for news in self.session.news(wait_s):
            self.witness.hear(news, time.monotonic())
            match news:
                case Cluster():
                    self._look_at(news)
                case Report() if news.run is not None:
                    for line in news.buffers:
                        self.redelivered[news.run, news.node, line.name] = line.redelivered
                case LogLine() if news.node == BROKER and news.text.startswith("run ") and self._begin:
                    self._say(news.text)
                case LogLine() | Report():
                    pass
        self.witness.miss(self.session.silent_s, time.monotonic())
        self._do_what_is_due()

    def _look_at(self, cluster: Cluster) -> None:
        self.cluster = cluster
        if cluster.run is not None:
            self.runs.add(cluster.run)
            self._run = cluster.run
        elif cluster.state is not State.OFFLINE:  # a broker that has just started does not know
            self._run = None
        if cluster.state is State.RUNNING:
            self._idle_since = None
        elif self._run is None and self._idle_since is None:
            self._idle_since = time.monotonic()

    def ask(self, command: str, timeout_s: float | None = None) -> Answer | None:
        """Give a command while the schedule goes on; None if the broker was lost over it."""
        return self._asking(lambda: self.session.ask(command, on_turn=self.listen, timeout_s=timeout_s))

    def reconfigure(self) -> Answer | None:
        """Send the setup again."""
        assert self.configure is not None
        send = self.configure
        return self._asking(lambda: send(self.listen))

    @staticmethod
    def _asking(ask: Callable[[], Answer]) -> Answer | None:
        try:
            return ask()
        except (UnreachableError, RestartedError):
            return None

    def undo_all(self) -> None:
        """Undo what is not undone yet."""
        for _, fault, undo in self._open:
            self._undo(fault, undo)
        self._open.clear()

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _keep_running(self) -> None:
        """Start the next run if there is none, and end one that is long enough."""
        now = time.monotonic()
        cluster = self.cluster
        if cluster is None or now < self._next_try or self.session.silent_s > _FRESH_S:
            return
        self._next_try = now + _RETRY_S
        answer: Answer | None = None
        match cluster.state:
            case State.CONFIGURED if cluster.run is None:
                answer = self.ask("start")
                self._in_run = 0
            case State.RUNNING if self.faults_per_run and self._in_run >= self.faults_per_run:
                answer = self.ask("stop")
                self._in_run = 0
            case State.PAUSED if self._has_stood_still(cluster, now):
                self._say(f"run {cluster.run} is held, and all hosts are heard: resuming it as an operator would")
                answer = self.ask("resume")
                self._still_since = None
                self.resumed += 1
            case State.ERROR if self.configure is not None and cluster.run is None:
                answer = self.ask("reset")
            case State.IDLE if self.configure is not None:
                answer = self.reconfigure()
            case _:
                return
        if answer is not None and not answer.ok:
            self._say(answer.text)

    def _has_stood_still(self, cluster: Cluster, now: float) -> bool:
        """Whether a run has been held for longer than a cluster needs to go on by itself."""
        if cluster.aim is not State.PAUSED or any(line.presence != "here" for line in cluster.nodes):
            self._still_since = None
            return False
        if self._still_since is None:
            self._still_since = now
        return now - self._still_since > _STILL_S

    # -- faults -------------------------------------------------------------------------------------------------------

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for one in [one for one in self._open if one[0] <= now]:
            self._open.remove(one)
            self._undo(*one[1:])
        if self._idle_since is None or now - self._idle_since < _IDLE_S:
            self._played_s += now - self._looked
        self._looked = now
        due = [] if self._is_interrupted else self.schedule[self._at :]
        for fault in takewhile(lambda one: one.at_s <= self._played_s, due):
            self._at += 1
            self._do(fault)

    def _do(self, fault: Fault) -> None:
        now = time.monotonic()
        try:
            undo = self.deeds.do(fault, self._run)
        except (CannotDo, OSError) as error:
            self.done.append(Done(fault, None, str(error)))
            self._say(f"#{fault.number} not done: {fault.words()}: {error}")
            return
        self.witness.begin(fault, now)
        self._in_run += 1
        self.done.append(Done(fault, now - self._begin))
        self._say(f"#{fault.number} {fault.words()}")
        if undo is not None:
            self._open.append((time.monotonic() + fault.lasts_s, fault, undo))

    def _undo(self, fault: Fault, undo: Undo) -> None:
        try:
            undo()
        except (CannotDo, OSError) as error:
            self._say(f"#{fault.number} could not be undone: {error}")
        else:
            self._say(f"#{fault.number} undone")

    def _say(self, text: str) -> None:
        self.tell(f"{time.monotonic() - self._begin:8.2f} s  {text}")
