"""A cluster that is not there: three nodes, an experiment, and faults by the script.

Everything follows from the seed and from how its clock is advanced, so tests see the same each time. With `pace` it
advances by itself, for a demonstration.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import numpy as np

from mimodaq.config import Setup, SetupErrors, load_setup
from mimodaq.protocol.messages import Answer, Ask, Cluster, LogLine, NodeLine, Report
from mimodaq.protocol.parts import BufferLine, ClockLine, HostLine, LinkLine, WorkerLine
from mimodaq.protocol.plan import NodePlan, make_plan
from mimodaq.protocol.states import RULES, State
from mimodaq.tui.feed import FeedError, Message, RunSummary, Sample, SetupFiles
from mimodaq.watch import Subject

from ._control import Control
from ._faults import Fault, What
from ._flow import Flow, Ring, Speed
from ._pulses import events_of

SPEEDS: Final = {
    "reader_1": Speed(limit_hz=2100.0),
    "reader_2": Speed(limit_hz=1650.0),
    "filter_1": Speed(limit_hz=9000.0, keeps=0.44),
    "filter_2": Speed(limit_hz=9000.0, keeps=0.41),
    "merge": Speed(limit_hz=30000.0),
    "file": Speed(limit_hz=8000.0),
    "spectra": Speed(limit_hz=12000.0),
}
_EPOCH: Final = 1
_BEGAN_UTC_NS: Final = 1_790_000_000_000_000_000
_LOST_AFTER_S: Final = 2.5


def demo_setup() -> Path:
    """The setup of the simulated experiment."""
    with as_file(files("mimodaq.tui.simulated") / "setup.yaml") as path:
        return path


class SimulatedFeed:
    """A feed of an experiment that runs in this process."""

    is_replay = False

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        seed: int = 1,
        operator: str = "anna",
        may_command: bool = True,
        pace: float | None = None,
        state: State = State.CONFIGURED,
    ) -> None:
        self.operator, self.may_command = operator, may_command
        self._pace = pace
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self._generator = np.random.default_rng(seed)
        path = demo_setup()
        self._files = SetupFiles(path.name, {path.name: path.read_text()})
        self._offered: dict[str, SetupFiles] = {}
        self._now = 100.0
        self._number = 0
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._log: deque[LogLine] = deque(maxlen=2000)
        self._runs: list[RunSummary] = list(_earlier_runs())
        self._restarts: dict[str, int] = {}
        self._was_on: set[Fault] = set()
        self._next_report = 0.0
        self._dirty = True
        self.control = Control(on_start=self._begin_run, on_end=self._end_run, is_drained=self._is_drained)
        self._load(self._files, self.setup_id)
        self._reach(state)

    @property
    def setup_id(self) -> str:
        """Of the setup of the experiment."""
        return _hash(self._files)

    # -- the feed -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def utc_ns(self) -> int:
        """Wall clock."""
        return _BEGAN_UTC_NS + int(self._now * 1e9)

    async def messages(self) -> AsyncIterator[Message]:
        """What the simulated broker publishes."""
        if self._pace is not None:
            pacing = asyncio.create_task(self._advance_by_itself(self._pace))
        try:
            while (message := await self._queue.get()) is not None:
                yield message
        finally:
            if self._pace is not None:
                pacing.cancel()

    async def logs(self, lines: int) -> Sequence[LogLine]:
        """The last lines of the log."""
        return list(self._log)[-lines:]

    async def command(self, ask: Ask) -> Answer:
        """Carry out a command; the answer comes when the clock has been advanced far enough."""
        if not self.may_command:
            return Answer(
                ask.number, False, f"{ask.command}: {self.operator} is an observer and may watch, not command"
            )
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.control.ask(self.operator, ask, lambda a: None if answer.done() else answer.set_result(a), self._now)
        if ask.command == "configure" and ask.setup_id in self._offered and self.control.state is State.CONFIGURING:
            self._load(self._offered[ask.setup_id], ask.setup_id)
        self._say("info", "broker", f"{self.operator}: {ask.command} {ask.comment}".rstrip())
        self._dirty = True
        self.publish()
        return await answer

    async def runs(self) -> Sequence[RunSummary]:
        """Newest first."""
        return self._runs[::-1]

    async def observe(self, node: str, buffer: str) -> AsyncIterator[Sample]:
        """Invented events, twice a second of the feed's clock while events flow."""
        ring = self.flow.rings.get(Subject("buffer", node, buffer))
        name = buffer.split("~", maxsplit=1)[0].removesuffix(".out")
        if ring is None or name not in self._setup.buffers:
            raise FeedError(f"observing {buffer} on {node}: there is no such buffer")
        seen, looked = ring.committed, self._now
        while True:
            await asyncio.sleep(0 if self._pace is None else 0.05)
            ring = self.flow.rings[Subject("buffer", node, buffer)]
            if ring.committed - seen >= 1 and self._now - looked >= 0.5:
                number = int(min(20, ring.committed - seen))
                seen, looked = ring.committed, self._now
                events = events_of(self._setup.buffers[name], number, self._generator)
                numbers = np.arange(int(seen) - number, int(seen), dtype=np.int64)
                yield Sample(node, buffer, events, numbers, np.full(number, self.utc_ns() / 1e9))

    async def setup(self) -> SetupFiles | None:
        """The setup that is configured."""
        setup_id = self.control.setup_id
        return self._offered.get(setup_id, self._files) if setup_id else None

    async def offer(self, files: SetupFiles) -> str:
        """Keep a setup for `configure`."""
        self._offered[_hash(files)] = files
        return _hash(files)

    async def close(self) -> None:
        """End `messages`."""
        self._queue.put_nowait(None)

    # -- the clock ------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps of at most a quarter of a second."""
        left = seconds
        while left > 1e-9:
            step = min(0.25, left)
            left -= step
            self._step(step)

    def publish(self) -> None:
        """Say how things are, now."""
        self._number += 1
        for node in self._plans:
            if not self._is_lost(node):
                self._queue.put_nowait(self._report(node))
        self._queue.put_nowait(self._cluster())
        self.flow.looked()
        self._next_report = self._now + 1.0
        self._looked, self._dirty = self._now, False

    async def _advance_by_itself(self, pace: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(0.1)
            now = loop.time()
            self.advance((now - before) * pace)
            before = now

    def _step(self, step_s: float) -> None:
        self._now += step_s
        self._apply_faults()
        before = self.control.state
        self.control.advance(self._now, step_s)
        state = self.control.state
        self.flow.are_sources_held = state is not State.RUNNING
        if state.is_in_run and state is not State.ABORTING:
            self.flow.advance(step_s)
        if state is State.RUNNING:
            self._disk_used += self._written_bytes(step_s)
        if state is not before:
            self._say("info", "broker", f"cluster is {state.value}")
            self._dirty = True
        if self._dirty or self._now >= self._next_report:
            self.publish()

    def _apply_faults(self) -> None:
        now = self._now - 100.0
        on = {fault for fault in self._faults if fault.is_on(now)}
        self.flow.broken = {
            e.via
            for e in self.flow.graph.edges
            for f in on
            if e.is_link and f.what is What.CUT and f.target in {e.via, e.source.name}
        }
        speeds = {What.SLOW: 0.06, What.SILENT: 0.0}
        self.flow.slowed = {f.target: speeds[f.what] for f in on if f.what in speeds}
        for fault in on - self._was_on:
            self._tell(fault)
        for fault in self._was_on - on:
            if fault.what is What.CUT:
                self._say("info", fault.target, "connected again, nothing was lost", self._node_of(fault.target))
        self._was_on = on

    def _tell(self, fault: Fault) -> None:
        match fault.what:
            case What.CUT:
                self._say(
                    "warning", fault.target, "peer silent for 2.0 s, connecting again", self._node_of(fault.target)
                )
            case What.DIES:
                self._restarts[fault.target] = self._restarts.get(fault.target, 0) + 1
                node = self._node_of(fault.target.split("[", maxsplit=1)[0])
                text = "ValueError: peak without a left edge\n  in find_pulses, event 1304566; it is handed out again"
                self._say("error", fault.target, text, node)
            case What.LOST:
                self._say("error", "broker", f"{fault.target} is not heard any more")
            case What.SLOW:
                self._say("warning", fault.target, "writing took 3.1 s, usually 0.02 s", self._node_of(fault.target))
            case _:
                pass  # noticed by whoever watches the figures

    # -- a run ----------------------------------------------------------------------------------------------------

    def _reach(self, state: State) -> None:
        """Begin in this state, without anybody having asked."""
        self.control.state = state
        if state not in {State.IDLE, State.OFFLINE}:
            self.control.setup_id = self.setup_id
        if state.is_in_run:
            self.control.last_run += 1
            self.control.run = self.control.last_run
            self._begin_run(self.control.run, Ask(1, "start", comment="cosmics, top panel moved"))
        self.publish()

    def _begin_run(self, run: int, ask: Ask) -> None:
        self.flow.clear()
        operator = self.control.charge.holder or self.operator
        self._runs.append(RunSummary(run, self.setup_id[:8], operator, ask.comment, self.utc_ns(), 0.0, 0, ""))

    def _end_run(self, verdict: str) -> None:
        last = self._runs.pop()
        reasons = ("filter_1[0] died once",) if self._restarts else ()
        if verdict == "good" and reasons:
            verdict = "tainted"
        running_s, end = self.control.running_s, "stopped" if verdict != "aborted" else "aborted"
        started, events = last.started_utc_ns, self._events()
        self._runs.append(
            RunSummary(
                last.run, last.setup, last.operator, last.comment, started, running_s, events, verdict, reasons, end
            )
        )
        self._say("info", "broker", f"run {last.run} is {verdict}: {self._events()} events in {running_s:.0f} s")

    def _is_drained(self) -> bool:
        return self.flow.is_empty()

    # -- messages -------------------------------------------------------------------------------------------------

    def _load(self, given: SetupFiles, setup_id: str) -> None:
        """Make the rings of a setup; one with mistakes leaves everything as it was."""
        self._setup = _read(given)
        self._plans: dict[str, NodePlan] = dict(make_plan(self._setup).nodes)
        self.flow = Flow(self._setup, SPEEDS, self._random)
        self._disk_used = 0.0
        self._looked = self._now

    def _cluster(self) -> Cluster:
        control = self.control
        lines = tuple(self._line(node) for node in self._plans)
        lost = [line.node for line in lines if line.presence == "lost"]
        aim = RULES["start"].result if control.state is State.STARTING else control.state
        return Cluster(
            epoch=_EPOCH,
            number=self._number,
            state=control.state,
            aim=aim or control.state,
            for_s=self._now - control.since,
            run=control.run,
            running_s=control.running_s,
            events=self._events(),
            in_charge=control.charge.holder or "",
            text=f"waiting for {', '.join(lost)}" if lost else "",
            setup_id=control.setup_id,
            reasons=tuple(f"{worker} died {n}x" for worker, n in self._restarts.items()) if control.run else (),
            nodes=lines,
        )

    def _line(self, node: str) -> NodeLine:
        silent = self._silent_s(node)
        presence = "lost" if silent >= _LOST_AFTER_S else "late" if silent >= 0.75 else "here"
        state = State.OFFLINE if presence == "lost" else self.control.state
        rings = self._rings(node)
        return NodeLine(
            node=node,
            state=state,
            presence=presence,
            silent_s=silent or 0.1,
            is_in_setup=True,
            is_optional=False,
            rate_hz=sum(ring.given for _, ring in rings) / self._since_look,
            fill=max((ring.lag / ring.slots for _, ring in rings), default=0.0),
            dead_fraction=max((ring.dead_fraction for _, ring in rings), default=0.0),
        )

    def _report(self, node: str) -> Report:
        control = self.control
        in_run = control.state.is_in_run
        plan = self._plans[node]
        return Report(
            node=node,
            epoch=_EPOCH,
            number=self._number,
            state=control.state,
            setup_id=control.setup_id,
            run=control.run,
            running_s=control.running_s,
            buffers=tuple(self._buffer(subject) for subject, _ in self._rings(node)) if in_run else (),
            workers=tuple(self._workers(plan)) if in_run else (),
            links=tuple(self._link(node, e.name) for e in (*plan.outgoing, *plan.incoming)) if in_run else (),
            clock=ClockLine(self._clock_s(node), 0.0004, 0),
            host=self._host(node),
        )

    def _buffer(self, subject: Subject) -> BufferLine:
        ring = self.flow.rings[subject]
        rate = ring.given / self._since_look
        blamed = tuple(sorted(ring.blamed, key=lambda g: -ring.blamed[g])) if ring.dead_fraction > 0.001 else ()
        return BufferLine(
            name=subject.name,
            committed=int(ring.committed),
            rate_hz=rate,
            bytes_per_s=rate * ring.event_bytes,
            fill=min(1.0, ring.lag / ring.slots),
            dead_fraction=min(1.0, max(0.0, ring.dead_fraction)),
            blamed=blamed,
            lag=int(ring.lag),
        )

    def _workers(self, plan: NodePlan) -> list[WorkerLine]:
        return [WorkerLine(str(w.id), "working", self._restarts.get(str(w.id), 0)) for w in plan.workers()]

    def _link(self, node: str, name: str) -> LinkLine:
        link = next(e for e in self.flow.graph.edges if e.is_link and e.via == name)
        is_up = name not in self.flow.broken
        rate = self.flow.through.get(Subject("link", node, name), 0.0) / self._since_look
        ring = self.flow.rings[link.source]
        return LinkLine(
            name=name,
            connected=is_up,
            rate_hz=rate,
            bytes_per_s=rate * ring.event_bytes,
            lag=int(ring.lag) if node == link.source.node else 0,
            unacknowledged=0,
            reconnects=0 if is_up else 3,
            redelivered=0,
            round_trip_s=0.0006,
        )

    def _host(self, node: str) -> HostLine:
        hot = self._has(What.HOT, node)
        load = min(1.0, 0.05 + sum(ring.given for _, ring in self._rings(node)) / self._since_look / 8000)
        warm = 44 + 18 * load + (hot and 24)
        free = int(212e9 - self._disk_used * 40)
        is_writer = node == "daq1"
        disk = free if is_writer else 48_000_000_000
        return HostLine(cpu=round(load, 2), memory=0.38, temperature_c=round(warm, 1), disk_free_bytes=disk)

    def _clock_s(self, node: str) -> float:
        return 0.09 if self._has(What.CLOCK, node) else {"pi-1": 0.0001, "pi-2": -0.0002}.get(node, 0.0)

    def _written_bytes(self, seconds: float) -> float:
        merged = self.flow.rings.get(Subject("buffer", "daq1", "merged"))
        return (merged.event_bytes * 1500 * seconds) if merged else 0.0

    def _rings(self, node: str) -> list[tuple[Subject, Ring]]:
        return [(s, ring) for s, ring in self.flow.rings.items() if s.node == node]

    def _events(self) -> int:
        plan = make_plan(self._setup)
        ring = self.flow.rings.get(Subject("buffer", plan.counted_node, self._setup.counted_buffer))
        return int(ring.committed) if ring else 0

    @property
    def _since_look(self) -> float:
        return max(self._now - self._looked, 0.05)

    def _has(self, what: What, target: str) -> bool:
        return any(fault.what is what and fault.target == target for fault in self._was_on)

    def _is_lost(self, node: str) -> bool:
        return self._has(What.LOST, node)

    def _silent_s(self, node: str) -> float:
        faults = [f for f in self._was_on if f.what is What.LOST and f.target == node]
        return self._now - 100.0 - faults[0].at_s if faults else 0.0

    def _node_of(self, name: str) -> str:
        """Where a function, link or buffer is."""
        for edge in self.flow.graph.edges:
            if name in {edge.via, edge.source.name, edge.target.name}:
                return edge.source.node
        return "broker"

    def _say(self, level: str, source: str, text: str, node: str = "broker") -> None:
        line = LogLine(node, self.utc_ns(), level, source, text)
        self._log.append(line)
        self._queue.put_nowait(line)


def _read(given: SetupFiles) -> Setup:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name, text in given.files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        try:
            return load_setup(Path(folder, given.main))
        except SetupErrors as error:
            raise FeedError(f"configuring the simulated cluster: {error}") from error


def _hash(given: SetupFiles) -> str:
    content = repr((given.main, sorted(given.files.items()))).encode()
    return hashlib.sha256(content).hexdigest()


def _earlier_runs() -> Sequence[RunSummary]:
    comments = ("new amplifier", "pedestals, HV off", "cosmics, top panel 20 cm higher", "cosmics, night")
    verdicts = ("good", "good", "aborted", "tainted")
    reasons = ((), (), (), ("filter_2[1] died twice",))
    return [
        RunSummary(
            38 + i,
            "3f2a91c0",
            "anna" if i % 2 else "bernd",
            comments[i],
            _BEGAN_UTC_NS - (4 - i) * 7_200_000_000_000,
            3600.0 + 600 * i,
            3_500_000 + 90_000 * i,
            verdicts[i],
            reasons[i],
            "stopped",
        )
        for i in range(4)
    ]
