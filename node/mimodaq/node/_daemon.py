"""The node daemon: the shell around `mimodaq.protocol.node_brain`.

It owns rings, processes, files, the line to the broker and time, and decides nothing. Data flow past it: workers and
links touch the rings, it only looks. Whatever takes long is done beside its loop, so that it always answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from types import FrameType
from typing import Any, Final, assert_never

from mimodaq.config import BundleError, Setup, SetupErrors
from mimodaq.keys import is_local
from mimodaq.node._background import Background
from mimodaq.node._clear import clear_left
from mimodaq.node._figures import host_line
from mimodaq.node._folder import KEPT, Folder, FolderInUse, folder_path
from mimodaq.node._hostrun import TICK_S, HostRun, Surroundings
from mimodaq.node._liaison import Fetched, Liaison
from mimodaq.node._links import LinkJobs
from mimodaq.node._log import LOG, Entry, RunLog
from mimodaq.node._node_log import NodeLog
from mimodaq.node._options import NodeOptions
from mimodaq.node._record import Books, RunFacts
from mimodaq.node._rundir import RECORD
from mimodaq.node._shm import ShmWatch
from mimodaq.node._slow import (
    DisksSeen,
    Loaded,
    Made,
    Recovered,
    Saved,
    close_books,
    load,
    look_at_disks,
    make_place,
    recover_left,
    save_books,
    unused_directory,
)
from mimodaq.node._state import NodeState
from mimodaq.node._workers import dispatch
from mimodaq.protocol import node_events as events
from mimodaq.protocol import run as runs
from mimodaq.protocol.messages import Do, LogLine, Memory, Peers
from mimodaq.protocol.node_brain import NodeBrain
from mimodaq.protocol.parts import ClockLine, short
from mimodaq.protocol.plan import ClusterPlan, make_plan
from mimodaq.protocol.states import State
from mimodaq.ring import SegmentError
from mimodaq.system import Notifier

FIGURES_S: Final = 1.0


@dataclass(slots=True)
class _Buried:
    """A run on which nothing works any more."""

    host: HostRun
    log: RunLog | None

    def close(self) -> None:
        self.host.close()
        if self.log is not None:
            self.log.close()


class Node:
    """One life of a node daemon. `run` returns when it has been told to leave."""

    SOURCE = "node"
    """Who says what the daemon itself has to say."""

    def __init__(self, options: NodeOptions) -> None:
        """Take the state folder. Raises LockedError, OSError."""
        self._options = options
        self._state = NodeState(options.state, options.here)
        self._brain = NodeBrain(options.name, self._state.epoch)
        self._log = NodeLog(options.on_log, self._to_broker, self.SOURCE)
        self._broker = Liaison(
            options.name,
            self._state.epoch,
            options.broker,
            options.key,
            is_insecure=options.is_insecure,
            say=self._log.say,
        )
        self._selector = DefaultSelector()
        self._background = Background()
        self._inbox: deque[events.Event] = deque()
        self._host: HostRun | None = None
        self._setup: Setup | None = None
        self._plan: ClusterPlan | None = None
        self._shm = ShmWatch()
        self._looked_at = self._figures_at = float("-inf")
        self._is_at_disks = False
        self._is_leaving = False
        self._leaves_by = ""
        """The signal that has made it leave."""
        self._notifier = Notifier()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._broker.fd, EVENT_READ, lambda: None)
        self._selector.register(self._background.fd, EVENT_READ, self._take_done)
        self._selector.register(self._wake_read, EVENT_READ, lambda: os.read(self._wake_read, 4096))

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to leave, by the broker or by `leave`."""
        try:
            self._boot()
            if self._options.is_insecure:
                self._to_broker(Entry(time.time(), "warning", "node", NodeOptions.INSECURE))
            self._notifier.ready(f"node {self._options.name}, broker {self._options.broker}")
            while not self._is_leaving or self._brain.state is State.ABORTING:  # what is being ended is ended first
                self.step()
        finally:
            self._close()

    def leave(self, number: int = 0, _frame: FrameType | None = None) -> None:
        """Leave soon; may be called from a signal handler. A run goes on, and the next daemon takes it over."""
        self._is_leaving = True
        self._leaves_by = signal.Signals(number).name if number else ""
        os.write(self._wake_write, b"!")

    def step(self) -> None:
        """Wait for the next thing to happen and do it."""
        now = time.monotonic()
        due = min(self._brain.deadline(now), self._looked_at + TICK_S, self._broker.deadline())
        is_waiting = not self._inbox and not self._broker.has_input
        dispatch(self._selector, max(0.0, due - now) if is_waiting else 0.0)
        for told in self._broker.received():
            self._heard(told)
        now = time.monotonic()
        self._notifier.alive(now)
        self._broker.keep_up(now)
        if now - self._looked_at >= TICK_S:
            self._looked_at = now
            self._look(now)
        if not self._inbox:
            self._inbox.append(events.Wake())
        while self._inbox:
            self._handle(self._inbox.popleft())

    def _handle(self, event: events.Event) -> None:
        effects = self._brain.handle(event, time.monotonic())
        if self._host is not None and self._brain.part is not None:
            self._host.note_state(self._brain.part.state)
        for effect in effects:
            self._carry_out(effect)

    # -- what comes from the broker -------------------------------------------------------------------------------

    def _heard(self, told: Do | Peers | Fetched) -> None:
        match told:
            case Do():
                self._inbox.append(told)
            case Peers():
                if self._host is not None and self._host.link_jobs is not None:
                    self._host.link_jobs.keys = self._broker.keys()
                    self._host.window.renew()
            case Fetched(ticket, setup_id, raw):
                self._background.do(partial(self._loading(ticket, setup_id), raw))
            case _:
                assert_never(told)

    # -- effects ----------------------------------------------------------------------------------------------------

    def _carry_out(self, effect: events.Effect) -> None:
        match effect:
            case events.Send(message):
                self._broker.send(message)
            case events.Remember(memory):
                self._remember(memory)
            case events.Prepare(ticket, setup_id):
                self._prepare(ticket, setup_id)
            case events.MakeRings():
                self._make_rings(effect)
            case events.CloseBooks():
                self._close_books(effect)
            case events.Clear():
                self._clear()
            case events.CutLink(link):
                if self._host is not None:
                    self._host.cut(link)
            case events.Leave():
                self._is_leaving = True
            case runs.Say(level, text):
                self._log.say(level, text)
            case _:
                assert self._host is not None
                self._host.carry_out(effect)

    def _close_books(self, effect: events.CloseBooks) -> None:
        assert self._host is not None
        self._background.do(partial(close_books, effect, self._host, self._facts(self._host)))

    def _remember(self, memory: Memory) -> None:
        try:
            self._state.remember(memory)
        except OSError as error:
            self._log.say(
                "error", f"writing to {self._state.folder}: {error.strerror}; a restart of this daemon would fail"
            )

    def _prepare(self, ticket: int, setup_id: str) -> None:
        self._setup = self._plan = None
        if self._state.has_setup(setup_id):
            self._background.do(self._loading(ticket, setup_id))
        else:
            self._broker.fetch(ticket, setup_id)

    def _loading(self, ticket: int, setup_id: str) -> Callable[..., Loaded]:
        return partial(load, self._state, self._options.name, ticket, setup_id)

    def _make_rings(self, effect: events.MakeRings) -> None:
        assert self._setup is not None
        ticket, run = effect.ticket, effect.run
        try:
            host = self._new_host(run, self._brain.plan, effect.operator, effect.comment)
            if self._options.orphans_s:
                (host.folder.path / KEPT).touch()
        except (OSError, FolderInUse) as error:
            self._inbox.append(events.Impossible(ticket, f"making the folder of run {run}: {error}"))
            return
        self._host = host
        choose = partial(self._choose_directory, host)
        self._background.do(partial(make_place, ticket, host, choose, self._state, self._options.on_log))

    def _choose_directory(self, host: HostRun) -> Path | None:
        """Where a run is to write; called beside the loop."""
        name = f"{host.setup.run_prefix}run{host.number:06d}_{self._options.name}"
        return unused_directory(self._options.data / name)

    @property
    def run_directory(self) -> Path | None:
        """Where the last run writes; None before the first. May be called from another thread."""
        return self._state.run_directory()

    def _new_host(self, run: int, plan: Any, operator: str = "", comment: str = "") -> HostRun:
        setup, cluster = self._setup, self._plan
        assert setup is not None
        assert cluster is not None
        around = Surroundings(
            self._selector, partial(self._emit, run), self._log.say, self._options.orphans_s, self._log.hear
        )
        partition = self._partition(run)
        window = self._options.window
        has_jobs = bool(setup.hosts or window)
        jobs = LinkJobs(setup, cluster, self._options.name, self._broker.keys(), window) if has_jobs else None
        host = HostRun(setup, plan, run, partition, Folder.of(partition), around, jobs)
        host.restarts = self._brain.restarts_of
        host.books.asked, host.books.comment = time.time(), comment
        if setup.hosts:  # on one host it is the user, whoever looks on
            host.books.operator = operator
        return host

    def _partition(self, run: int) -> str:
        return f"{self._state.tag}-{run}"

    def _emit(self, run: int, event: runs.Event) -> None:
        assert isinstance(event, runs.Ready | runs.Exited | runs.Moved | runs.Tick)
        self._inbox.append(events.InRun(run, event))

    def _facts(self, host: HostRun) -> RunFacts:
        run = self._brain.part
        assert run is not None
        facts = RunFacts.of(run, time.monotonic())
        if host.books.begun is None and facts.running_s > 0:
            host.books.begun = time.time() - facts.running_s
        return facts

    def _has_place(self, log: RunLog) -> None:
        """The run has a directory, and there is its log."""
        self._log.begin_run(log)

    def _clear(self) -> None:
        """End the processes of the run; what else there is of it goes when nothing works on it any more."""
        self._broker.fetch_no_more()
        log = self._log.end_run()
        host, self._host = self._host, None
        if host is not None:
            host.end_processes()
            self._background.do(partial(_Buried, host, log))

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        host = self._host
        self._broker.look_at_clock()
        self._log.tell_left_out()
        if host is not None and host.setup.hosts and self._broker.clock is not None:
            host.is_news |= host.books.clock.note(self._broker.clock)
        is_in_run = host is not None and bool(host.rings.by_name) and self._brain.part is not None
        if host is not None and is_in_run and not self._brain.is_closing:
            host.look()
            self._emit(host.number, runs.Tick(host.rings.is_drained))
            if host.is_news:
                host.is_news = False
                self._background.do(partial(save_books, host, self._facts(host)))
            if now >= host.disks.due and not self._is_at_disks:
                self._is_at_disks = True
                self._background.do(partial(look_at_disks, host, host.rings.buffered_bytes))
        if now - self._figures_at >= FIGURES_S:
            self._figures_at = now
            shown = host if is_in_run else None
            if shown is not None and not self._brain.is_closing:
                shown.look_at_processes()
            said = self._shm.look()
            if said is not None:
                self._log.say(*said)
            self._inbox.append(events.Looked(self._figures(shown, self._broker.clock_line, now)))

    def _figures(self, host: HostRun | None, clock: ClockLine | None, now: float) -> events.Figures:
        state = host_line(self._options.data)
        if host is None or self._plan is None or self._setup is None:
            return events.Figures(clock=clock, host=state)
        disk = host.disks.watch
        state = replace(state, disk_left_s=disk.left_s, disk_wish=disk.wish)
        buffers = host.rings.lines(now)
        is_counted = self._plan.counted_node == self._options.name
        counted = next((b.committed for b in buffers if b.name == self._setup.counted_buffer), 0) if is_counted else 0
        return events.Figures(counted, buffers, host.link_lines(), clock, state)

    def _take_done(self) -> None:
        for result in self._background.done():
            match result:
                case Exception():
                    self._inbox.append(events.Fault(f"{type(result).__name__}: {result}"))
                case _Buried():
                    result.close()
                case Loaded(event, setup, plan):
                    if setup is not None:
                        self._setup, self._plan = setup, plan
                    self._inbox.append(event)
                case Made(event, host, place):
                    if place is not None and host is not self._host:
                        place.give_back()  # the run was given up meanwhile
                    elif place is not None:
                        self._has_place(place.log)
                        for problem in host.disks.problems:
                            self._log.say("warning", problem, "disk")
                        host.window.start()
                    self._inbox.append(event)
                case DisksSeen(host, found):
                    self._is_at_disks = False
                    for say in host.disks.note(found, time.monotonic()):
                        self._log.say(say.level, say.text, "disk")
                case Recovered(found):
                    for run in found:
                        self._log.say("warning", run.line())
                case Saved(problem):
                    if problem:
                        self._log.say("error", problem, "run")
                case _:
                    self._inbox.append(result)

    # -- a new life ---------------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        memory = self._state.memory()
        boot = events.Boot(memory)
        if memory is not None and memory.setup_id is not None:
            boot = self._recall(memory, memory.setup_id)
        if self._host is None:
            clear_left(self._state.tag)
        self._background.do(partial(recover_left, self._options.data))
        self._handle(boot)

    def _recall(self, memory: Memory, setup_id: str) -> events.Boot:
        """Load the setup of the earlier life, and take over the rings and processes of its run."""
        try:
            self._setup = self._state.load_setup(setup_id)
        except (SetupErrors, BundleError, OSError) as error:
            self._log.say("error", f"the setup of the life before cannot be loaded: {error}")
            return events.Boot(memory)
        self._plan = make_plan(self._setup)
        plan = self._plan.nodes.get(self._options.name)
        if plan is None or memory.run is None or memory.state is State.ARMING:
            return events.Boot(memory, plan)  # a run that had not begun is not taken over
        run_dir = self._state.run_directory()
        if run_dir is None or not folder_path(self._partition(memory.run)).is_dir():
            return events.Boot(memory, plan)
        host = self._new_host(memory.run, plan)
        try:
            host.rings.attach()
        except SegmentError as error:
            host.close()
            self._log.say("error", f"run {memory.run} cannot go on: {error}")
            return events.Boot(memory, plan)
        with suppress(OSError, ValueError, KeyError):  # then the books begin anew
            host.books = Books.restore(json.loads((run_dir / RECORD).read_text()))
        host.use_directory(run_dir)
        self._log.begin_run(RunLog(run_dir / LOG, self._options.on_log))
        self._host = host
        return events.Boot(memory, plan, are_rings_there=True, fates=host.adopt())

    def _close(self) -> None:
        self._notifier.stopping()
        self._say_farewell()
        if self._host is not None:
            self._host.leave()
        for result in self._background.close():
            if isinstance(result, _Buried):
                result.close()
        self._selector.close()
        self._broker.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        log = self._log.end_run()
        if log is not None:
            log.close()
        self._state.release()

    # -- the log ------------------------------------------------------------------------------------------------------

    def _say_farewell(self) -> None:
        """Say that it leaves, and what goes on, if somebody may start it again."""
        self._log.tell_left_out(is_end=True)
        if not self._options.orphans_s:
            return
        leaves = "the node daemon leaves" + (f" ({self._leaves_by})" if self._leaves_by else "")
        host = self._host
        if host is None or not host.living:
            self._log.say("info", leaves)
            return
        processes = "1 process goes" if host.living == 1 else f"{host.living} processes go"
        until = f"for {self._options.orphans_s:g} s without it, and longer if it is started again by then"
        self._log.say("warning", f"{leaves}: {processes} on in run {host.number} {until}")

    def _to_broker(self, entry: Entry) -> None:
        self._broker.log(LogLine(self._options.name, time.time_ns(), entry.level, entry.source, short(entry.text)))


def serve(options: NodeOptions) -> None:
    """Run a node daemon in this process; SIGTERM and Ctrl-C make it leave. Raises LockedError, OSError."""
    if options.key is None and not options.is_insecure and not is_local(options.broker):
        raise AssertionError("the command line has seen to it that there is a key")
    node = Node(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, node.leave)
    node.run()
    print(f"node {options.name} has left", file=sys.stderr)
