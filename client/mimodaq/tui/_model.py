"""What the screens show, without a screen: messages go in, the present state comes out. Bounded in all its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mimodaq.config import Setup
from mimodaq.protocol.messages import LogLine
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import OURS, CommandTable
from mimodaq.tui.feed import Choices, Message
from mimodaq.tui.render import Bar
from mimodaq.watch import (
    DEFAULT_RULES,
    Act,
    Alarm,
    Alarms,
    Assembler,
    Graph,
    History,
    Level,
    Rule,
    Snapshot,
    Subject,
    graph_of,
)

from ._logbook import LogBook


@dataclass(slots=True)
class Model:
    """The state of the viewer."""

    rules: Sequence[Rule] = DEFAULT_RULES
    history: History = field(default_factory=History)
    log: LogBook = field(default_factory=LogBook)
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(0.0, 0))
    alarm_list: list[Alarm] = field(default_factory=list)
    setup: Setup | None = None
    graph: Graph | None = None
    commands: CommandTable = OURS
    """That of the broker, as soon as it has come."""
    alarms: Alarms = field(init=False)
    _on_loss: OnLoss = OnLoss.PAUSE
    _assembler: Assembler = field(default_factory=Assembler)

    def __post_init__(self) -> None:
        self.alarms = Alarms(self.rules)

    def take(self, message: Message, now: float) -> bool:
        """Note a message; whether an operator wants to see the change at once."""
        if isinstance(message, LogLine):
            self.log.add(message)
            return False
        return self._assembler.handle(message, now)

    def look(self, now: float, utc_ns: int) -> list[Act]:
        """Take a snapshot, judge it; what rules want done."""
        self.snapshot = self._assembler.snapshot(now, utc_ns)
        self.history.note(self.snapshot)
        acts = self.alarms.handle(self.snapshot)
        self.alarm_list = self.alarms.all()
        return acts

    def acknowledge(self, number: int | None) -> list[Alarm]:
        """Somebody has seen an alarm, or all."""
        seen = self.alarms.acknowledge(number)
        self.alarm_list = self.alarms.all()
        return seen

    def know_setup(self, setup: Setup | None, choices: Choices | None = None) -> None:
        """The setup the cluster runs, or none, and what was chosen with it."""
        self.setup = setup
        self._on_loss = choices.on_loss if choices else OnLoss.PAUSE
        self.graph = graph_of(setup) if setup else None
        figures = self.alarms.figures
        figures.upstream = self.graph.upstream() if self.graph else {}
        figures.downstream = self.graph.downstream() if self.graph else {}
        figures.sources = self.graph.sources() if self.graph else frozenset()
        figures.readers = self.graph.readers() if self.graph else {}

    @property
    def choices(self) -> Choices:
        """What was chosen beside the setup, as far as it is known."""
        return Choices(tuple(line.node for line in self.snapshot.nodes if line.is_optional), self._on_loss)

    def bar(self, *, is_frozen: bool = False, is_replay: bool = False, is_secure: bool = True) -> Bar:
        """What the state bar says beside the snapshot."""
        waiting = [alarm for alarm in self.alarm_list if alarm.is_active or not alarm.is_acknowledged]
        setup = self.setup
        return Bar(
            rate_hz=self.history.rate_hz,
            disk_left_s=self.disk_left_s,
            alarms=sum(alarm.level is Level.ALARM for alarm in waiting),
            warnings=sum(alarm.level is Level.WARNING for alarm in waiting),
            dead_fraction=self.dead_fraction,
            duration_s=setup.duration_s if setup else None,
            events_limit=setup.events_limit if setup else None,
            is_frozen=is_frozen,
            is_replay=is_replay,
            is_secure=is_secure,
        )

    @property
    def disk_left_s(self) -> float | None:
        """How long the fullest disk lasts; None if none fills."""
        left = [self.alarms.figures.disk_left_s(line.node) for line in self.snapshot.nodes]
        return min((seconds for seconds in left if seconds is not None), default=None)

    @property
    def dead_fraction(self) -> float:
        """Of the worst buffer that sources write; of the worst of all if the setup is not known."""
        sources = self.graph.sources() if self.graph else None
        return max(
            (
                buffer.dead_fraction
                for node, report in self.snapshot.reports.items()
                for buffer in report.buffers
                if sources is None or Subject("buffer", node, buffer.name) in sources
            ),
            default=0.0,
        )
