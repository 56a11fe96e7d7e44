"""The process behind the screens of `mimodaq run`: broker, node, and a client that starts the run.

    python -m mimodaq.client.embedded_host

The order is the first line of standard input, which is held open by whoever shows the run. When that ends, for
whatever reason, nobody is there any more: the run goes on, and this process ends as soon as no run goes on. SIGTERM
stops the run, a second one aborts it. What is said on standard output: `_embedded`.

Broker and node are threads of their own that know nothing of each other; all that this file does with the run, it
does as a client like any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from mimodaq.broker import Broker, BrokerError, BrokerOptions
from mimodaq.client._embedded import DONE, Begun, Configured, Ended, News, NotStarted, Order, Refused, as_line, order_of
from mimodaq.client._embedded_place import Place, PlaceError
from mimodaq.client._summary import as_text
from mimodaq.client.session import RunInfo, Session, SessionError
from mimodaq.config import BundleError, SetupErrors, load_setup, pack_loaded
from mimodaq.keys import endpoints_of
from mimodaq.node import (
    RECORD,
    RESOLVED,
    NodeAlone,
    NodeOptions,
    RunDirectoryError,
    RunResult,
    check_functions,
    next_run_number,
)
from mimodaq.protocol.messages import Answer, Cluster
from mimodaq.protocol.plan import LOCAL
from mimodaq.protocol.situation import Limits
from mimodaq.system import LockedError

_TURN_S: Final = 0.25
_LEAVE_S: Final = 20.0
_STAY_S: Final = 3.0
"""A run that was left to itself is asked about its end by whoever has stopped it."""
_BUSY_S: Final = 60.0
"""Broker and node are beside each other: if one is silent, this host is busy, and to give up would help nobody."""


class _Front:
    """Whoever shows the run, as long as somebody does."""

    def __init__(self) -> None:
        self._way = os.dup(1)
        os.dup2(2, 1)  # what anything prints is no news
        self._is_there = True
        self.is_done = False
        """Whether it has left because all is done, and not left the run to itself."""

    def tell(self, news: News) -> None:
        """Say how things are; that nobody is there to hear it is no failure."""
        try:
            os.write(self._way, as_line(news))
        except OSError:
            self._is_there = False

    def is_there(self) -> bool:
        """Whether anybody is."""
        while self._is_there and select.select([0], [], [], 0)[0]:
            said = os.read(0, len(DONE))
            self.is_done = self.is_done or said == DONE
            self._is_there = bool(said)
        return self._is_there


class _Broken(Exception):
    """Broker or node have ended by an error of their own, which is on stderr."""


class _BrokerThread(threading.Thread):
    """A broker, made and closed in the thread in which it works."""

    def __init__(self, options: BrokerOptions) -> None:
        super().__init__(name="broker")
        self._options = options
        self._is_begun = threading.Event()
        self._is_told = False
        self._broker: Broker | None = None
        self._problem: BrokerError | None = None

    def begin(self) -> None:
        """Start; returns when it can be reached. Raises BrokerError."""
        self.start()
        self._is_begun.wait()
        if self._problem is not None:
            raise self._problem

    def run(self) -> None:
        """Be a broker until it is over."""
        try:
            broker = self._broker = Broker(self._options)
        except BrokerError as error:
            self._problem = error
            return
        finally:
            self._is_begun.set()
        try:
            while not (self._is_told or broker.is_over):
                broker.step(_TURN_S)
        finally:
            broker.close()

    def hears(self, node: str) -> bool:
        """Whether a node is there."""
        return self._broker is not None and self._broker.hears(node)

    @property
    def quiet_s(self) -> float:
        """How long nobody has asked anything."""
        return self._broker.quiet_s if self._broker is not None else 0.0

    def end(self) -> None:
        """Make it leave, and wait."""
        self._is_told = True
        self.join()


class _Wishes:
    """What was asked for with signals: the first stops, the second aborts."""

    def __init__(self) -> None:
        self._received = self._carried_out = 0
        signal.signal(signal.SIGTERM, self._note)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are for whoever sits at a terminal

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._received += 1

    def take(self) -> str | None:
        """What is to be done now."""
        if self._carried_out == self._received:
            return None
        self._carried_out = self._received
        return "stop" if self._received == 1 else "abort"


class EmbeddedHost:
    """One setup, its runs, and the process around them."""

    def __init__(self, order: Order, front: _Front) -> None:
        """Load the setup. Raises SetupErrors, BundleError."""
        self._front = front
        self._setup = load_setup(order.setup, order.overrides)
        self._raw = pack_loaded(self._setup)
        self._setup_id = hashlib.sha256(self._raw).hexdigest()
        self._output = Path(order.output) if order.output is not None else None
        self._comment = order.comment
        self._wishes = _Wishes()
        self._directory: Path | None = None
        """Where the front was told that the run writes."""
        self._told: set[int] = set()
        """Runs of whose end the front was told."""

    def run(self) -> None:
        """Carry out the run, and those that are started after it.

        Raises PlaceError, BrokerError, LockedError, OSError before anything is started, _Broken after it.
        """
        with ExitStack() as leaving:
            place = Place(self._setup.name)
            leaving.callback(place.remove)
            self._broker = _BrokerThread(self._broker_options(place))
            self._broker.begin()
            leaving.callback(self._broker.end)
            self._node = NodeAlone(self._node_options(place), self._output)
            self._node_thread = threading.Thread(target=self._node.run, name="node")
            self._node_thread.start()
            leaving.callback(self._end_node)
            session = leaving.enter_context(Session.connect(place.address, timeout_s=_BUSY_S))
            self._wait_for_node()
            self._be_client(session, place)

    def _broker_options(self, place: Place) -> BrokerOptions:
        return BrokerOptions(
            endpoints_of(place.address),
            place.path / "broker",
            limits=Limits(act_s=_BUSY_S, learn_s=0.0),  # there can be no node that knows of a run
            lost_s=_BUSY_S,
            next_number=self._next_number,
            windows={LOCAL: _window(place)},
        )

    def _node_options(self, place: Place) -> NodeOptions:
        return NodeOptions(
            LOCAL,
            endpoints_of(place.address).control,
            place.path / "node",
            self._setup.output_directory,
            here={self._setup_id: self._setup},
            window=_window(place),
            orphans_s=0.0,
        )

    def _next_number(self) -> int:
        try:
            return next_run_number(self._setup.output_directory)
        except RunDirectoryError as error:
            raise BrokerError(str(error)) from error

    def _wait_for_node(self) -> None:
        give_up = time.monotonic() + _BUSY_S
        while not self._broker.hears(LOCAL):
            self._look()
            if time.monotonic() > give_up:
                raise BrokerError("broker and node of the run do not find each other: see --headless")
            threading.Event().wait(0.002)

    def _look(self) -> None:
        """Raises _Broken if nothing more can come of it."""
        if not (self._broker.is_alive() and self._node_thread.is_alive()):
            raise _Broken

    def _look_and_tell(self) -> None:
        """The same, and tell where the run writes as soon as it does."""
        self._look()
        directory = self._node.run_directory
        if directory is not None and directory != self._directory:
            self._directory = directory
            self._front.tell(Begun(str(directory)))

    def _end_node(self) -> None:
        if self._node_thread.is_alive():
            self._node.leave()
        self._node_thread.join()

    # -- as a client ----------------------------------------------------------------------------------------------

    def _be_client(self, session: Session, place: Place) -> None:
        answer = session.ask("configure", setup_id=session.upload(self._raw), on_turn=self._look)
        if not answer.ok:
            self._front.tell(Refused(self._why_refused(answer)))
            return
        self._front.tell(Configured(place.address))
        if self._front.is_there():
            self._start(session)
        self._follow(session)

    def _why_refused(self, answer: Answer) -> str:
        """All mistakes in the functions, as `mimodaq check` shows them; else what the broker says."""
        problems = check_functions(self._setup)
        return str(SetupErrors(problems)) if problems else _own_words(answer.text)

    def _start(self, session: Session) -> None:
        try:
            answer = session.ask("start", comment=self._comment, on_turn=self._look_and_tell)
            has_ended = self._tell_ends(session)
            if not (answer.ok or has_ended or session.status().cluster.aim.is_in_run):
                self._front.tell(NotStarted(_own_words(answer.text)))
        except SessionError as error:  # it may have begun all the same
            _complain(error)

    def _follow(self, session: Session) -> None:
        """Tell of the ends of runs, until nobody is there, no run goes on, and node and broker have left."""
        is_idle = False
        while self._broker.is_alive() or not is_idle:  # somebody else may shut it down
            self._look()
            for one in session.news(_TURN_S):
                if isinstance(one, Cluster):
                    self._look_and_tell()
                    was_idle, is_idle = is_idle, one.run is None and not one.aim.is_in_run
                    if is_idle and not was_idle:
                        is_idle = self._try(partial(self._tell_ends, session))
            wish = self._wishes.take()
            if wish is not None:
                self._try(partial(session.ask, wish, on_turn=self._look))
            if is_idle and self._is_nobody_there():
                if session.ask("shutdown").ok:
                    self._node_thread.join(_LEAVE_S)
                    return
                is_idle = False  # somebody has started another run

    def _is_nobody_there(self) -> bool:
        """Whether the front has gone, and with it all who would want to hear how the run has ended."""
        if self._front.is_there():
            return False
        return self._front.is_done or self._broker.quiet_s >= _STAY_S

    def _try(self, request: Callable[[], object]) -> bool:
        """Ask the broker something; whether it has answered. That it is too busy must not end a run."""
        try:
            request()
        except SessionError as error:
            _complain(error)
            return False
        return True

    # -- ends of runs ---------------------------------------------------------------------------------------------

    def _tell_ends(self, session: Session) -> bool:
        """Tell of the runs that have ended since the last time; whether there were any."""
        ended = [row for row in session.runs() if row.run not in self._told and row.verdict is not None]
        for row in reversed(ended):
            self._told.add(row.run)
            self._front.tell(self._end_of(row))
        return bool(ended)

    def _end_of(self, row: RunInfo) -> Ended | NotStarted:
        run_dir = self._node.run_directory
        record = _record(run_dir) if run_dir is not None else {}
        if run_dir is None or record.get("run") != row.run:
            return NotStarted(_own_words("; ".join(row.reasons) or row.end_reason))
        verdict = str(record["verdict"] or row.verdict)
        setup = self._setup if row.setup_id == self._setup_id else load_setup(run_dir / RESOLVED)
        return Ended(row.run, verdict, as_text(setup, RunResult(row.run, run_dir, verdict, record)))


def _record(run_dir: Path) -> dict[str, Any]:
    """The record of a run; empty if it has none."""
    try:
        record: dict[str, Any] = json.loads((run_dir / RECORD).read_text())
    except (OSError, ValueError) as error:
        _complain(error)
        return {}
    return record


def _complain(error: Exception) -> None:
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _window(place: Place) -> str:
    return f"{place.address}/window"


def _own_words(text: str) -> str:
    """What a broker says, to somebody who has only one host."""
    return text.replace(f"{LOCAL}: ", "")


def main() -> int:
    """Be that process; returns the exit code."""
    order = order_of(sys.stdin.buffer.readline())
    sys.argv = list(order.command)
    front = _Front()
    try:
        EmbeddedHost(order, front).run()
    except (SetupErrors, BundleError, PlaceError, BrokerError, LockedError, SessionError) as error:
        front.tell(Refused(str(error)))
    except OSError as error:
        front.tell(Refused(f"{error.filename or 'starting the run'}: {error.strerror}"))
    except _Broken:
        print("the run cannot go on: its functions save what is in the buffers and end", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
