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
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import numpy as np

from mimodaq.config import Setup
from mimodaq.protocol.counts import Counts, FieldCounts
from mimodaq.protocol.histogram import GrowingHistogram, heights
from mimodaq.protocol.messages import Answer, Ask, LogLine
from mimodaq.protocol.states import OURS, CommandTable, State
from mimodaq.tui.feed import Choices, FeedError, Message, RunSummary, Sample
from mimodaq.tui.setups import pack, read_packed
from mimodaq.watch import Subject

from ._control import Control
from ._faults import Fault, What
from ._flow import Flow, Speed
from ._pulses import events_of
from ._reporter import BEGAN_S, Reporter

SPEEDS: Final = {
    "reader_1": Speed(limit_hz=2100.0),
    "reader_2": Speed(limit_hz=1650.0),
    "filter_1": Speed(limit_hz=9000.0, keeps=0.44),
    "filter_2": Speed(limit_hz=9000.0, keeps=0.41),
    "merge": Speed(limit_hz=30000.0),
    "file": Speed(limit_hz=8000.0),
    "spectra": Speed(limit_hz=12000.0),
}
_BEGAN_UTC_NS: Final = 1_790_000_000_000_000_000


def demo_setup() -> Path:
    """The setup of the simulated experiment."""
    with as_file(files("mimodaq.tui.simulated") / "setup.yaml") as path:
        return path


@cache
def _packed_demo() -> bytes:
    return pack(demo_setup())


class SimulatedFeed:
    """A feed of an experiment that runs in this process."""

    is_replay = False
    is_secure = True

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        seed: int = 1,
        operator: str = "anna",
        may_command: bool = True,
        pace: float | None = None,
        state: State = State.CONFIGURED,
        setup: Path | Setup | None = None,
    ) -> None:
        self.operator, self.may_command = operator, may_command
        self._pace = pace
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self._generator = np.random.default_rng(seed)
        self._packed = pack(setup) if setup else _packed_demo()
        self._offered: dict[str, bytes] = {}
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._log: deque[LogLine] = deque(maxlen=2000)
        self._runs: list[RunSummary] = list(_earlier_runs())
        self._next_report = 0.0
        self._dirty = True
        self._waiting: list[asyncio.Future[None]] = []
        """Observers that wait for time to pass."""
        self.control = Control(on_start=self._begin_run, on_end=self._end_run, is_drained=self._is_drained)
        self._load(self._packed)
        self._reach(state)

    @property
    def setup_id(self) -> str:
        """Of the setup of the experiment."""
        return _hash(self._packed)

    @property
    def flow(self) -> Flow:
        """The events in the rings."""
        return self.reporter.flow

    @property
    def _now(self) -> float:
        return self.reporter.now

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
            self._load(self._offered[ask.setup_id])
        self._say("info", "broker", f"{self.operator}: {ask.command} {ask.comment}".rstrip())
        self._dirty = True
        self.publish()
        return await answer

    async def commands(self) -> CommandTable:
        """The real rules."""
        return OURS

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
            step: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(step)
            await step
            ring = self.flow.rings[Subject("buffer", node, buffer)]
            if ring.committed - seen >= 1 and self._now - looked >= 0.5:
                number = int(min(20, ring.committed - seen))
                seen, looked = ring.committed, self._now
                events = events_of(self._setup.buffers[name], number, self._generator)
                numbers = np.arange(int(seen) - number, int(seen), dtype=np.int64)
                yield Sample(node, buffer, events, numbers, np.full(number, self.utc_ns() / 1e9))

    async def counts(self, node: str, buffer: str, *, anew: bool = False) -> AsyncIterator[Sequence[Counts]]:
        """Histograms of invented events."""
        histograms: dict[str, GrowingHistogram] = {}
        events = 0
        async for sample in self.observe(node, buffer):
            events += len(sample.events)
            for name in sample.events.dtype.names or ():
                histograms.setdefault(name, GrowingHistogram()).fill(heights(sample.events[name]))
            fields = tuple(FieldCounts(name, histogram.settled()) for name, histogram in histograms.items())
            yield [Counts("", buffer, fields, "", events, is_sample=True)]

    async def setup(self) -> bytes | None:
        """The setup that is configured."""
        setup_id = self.control.setup_id
        return self._offered.get(setup_id, self._packed) if setup_id else None

    async def choices(self) -> Choices:
        """What was chosen with the last `configure`."""
        return Choices(self.control.optional, self.control.on_loss)

    async def offer(self, packed: bytes) -> str:
        """Keep a setup for `configure`."""
        self._offered[_hash(packed)] = packed
        return _hash(packed)

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
        for message in self.reporter.publish():
            self._queue.put_nowait(message)
        self._next_report, self._dirty = self._now + 1.0, False

    async def _advance_by_itself(self, pace: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(0.1)
            now = loop.time()
            self.advance((now - before) * pace)
            before = now

    def _step(self, step_s: float) -> None:
        self.reporter.now += step_s
        self._apply_faults()
        before = self.control.state
        self.control.advance(self._now, step_s)
        state = self.control.state
        self.flow.are_sources_held = state is not State.RUNNING
        if state.is_in_run and state is not State.ABORTING:
            self.flow.advance(step_s)
        if state is not before:
            self._say("info", "broker", f"cluster is {state.value}")
            self._dirty = True
        if self._dirty or self._now >= self._next_report:
            self.publish()
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _apply_faults(self) -> None:
        now = self._now - BEGAN_S
        on = {fault for fault in self._faults if fault.is_on(now)}
        self.flow.broken = {
            e.via
            for e in self.flow.graph.edges
            for f in on
            if e.is_link and f.what is What.CUT and f.target in {e.via, e.source.name}
        }
        speeds = {What.SLOW: 0.06, What.SILENT: 0.0}
        self.flow.slowed = {f.target: speeds[f.what] for f in on if f.what in speeds}
        for fault in on - self.reporter.on:
            self._tell(fault)
        for fault in self.reporter.on - on:
            if fault.what is What.CUT:
                self._say_of(fault.target, "info", "connected again, nothing was lost")
        self.reporter.on = on

    def _tell(self, fault: Fault) -> None:
        """What the log says of a fault; of some it says nothing, they are only seen in the figures."""
        match fault.what:
            case What.CUT:
                self._say_of(fault.target, "warning", "peer silent for 2.0 s, connecting again")
            case What.DIES:
                self.reporter.restarts[fault.target] = self.reporter.restarts.get(fault.target, 0) + 1
                text = "ValueError: peak without a left edge\n  in find_pulses, event 1304566; it is handed out again"
                self._say_of(fault.target, "error", text)
            case What.LOST:
                self._say("error", "broker", f"{fault.target} is not heard any more")
            case What.SLOW:
                self._say_of(fault.target, "warning", "writing took 3.1 s, usually 0.02 s")
            case What.SILENT | What.HOT | What.CLOCK:
                pass

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
        reasons = ("filter_1[0] died once",) if self.reporter.restarts else ()
        if verdict == "good" and reasons:
            verdict = "tainted"
        running_s, end = self.control.running_s, "stopped" if verdict != "aborted" else "aborted"
        started, events = last.started_utc_ns, self.reporter.events
        self._runs.append(
            RunSummary(
                last.run, last.setup, last.operator, last.comment, started, running_s, events, verdict, reasons, end
            )
        )
        self._say("info", "broker", f"run {last.run} is {verdict}: {self.reporter.events} events in {running_s:.0f} s")

    def _is_drained(self) -> bool:
        return self.flow.is_empty()

    def _load(self, packed: bytes) -> None:
        """Make the rings of a setup."""
        self._setup = read_packed(packed)
        old = getattr(self, "reporter", None)
        self.reporter = Reporter(self._setup, Flow(self._setup, SPEEDS, self._random), self.control)
        if old is not None:
            self.reporter.now = self.reporter.looked = old.now
            self.reporter.number, self.reporter.on = old.number, old.on

    def _say_of(self, target: str, level: str, text: str) -> None:
        """What the function or link itself says."""
        self._say(level, target, text, self.reporter.node_of(target.split("[", maxsplit=1)[0]))

    def _say(self, level: str, source: str, text: str, node: str = "broker") -> None:
        line = LogLine(node, self.utc_ns(), level, source, text)
        self._log.append(line)
        self._queue.put_nowait(line)


def _hash(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()


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
