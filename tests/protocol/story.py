"""Tell the brain of a run what happens, one event after the other, on a clock of our own."""

from __future__ import annotations

from mimodaq.protocol.run import (
    Begin,
    Command,
    Effect,
    Event,
    Exited,
    Launch,
    Moved,
    Ready,
    Run,
    Say,
    State,
    Tick,
    WorkerId,
    WorkerPlan,
)

SOURCE = WorkerId("source", 0)
FILTER = WorkerId("filter", 0)
SINK = WorkerId("sink", 0)
SHOW = WorkerId("show", 0)

CHAIN = (
    WorkerPlan(SOURCE, is_source=True, restart=False),
    WorkerPlan(FILTER, is_source=False, restart=True),
    WorkerPlan(SINK, is_source=False, restart=True),
)
OBSERVER = WorkerPlan(SHOW, is_source=False, restart=True, is_observer=True)


class Story:
    """A run and the time that has passed in it."""

    def __init__(self, *plans: WorkerPlan, duration_s: float | None = None, stuck_s: float = 20.0) -> None:
        self.run = Run(plans or CHAIN, duration_s, stuck_s)
        self.now = 100.0

    def tell(self, *events: Event, after: float = 0.0) -> list[Effect]:
        """Let `after` seconds pass, then the events happen; returns all effects."""
        self.now += after
        return [effect for event in events for effect in self.run.handle(event, self.now)]

    def tick(self, after: float = 0.0, *, drained: bool = False) -> list[Effect]:
        return self.tell(Tick(drained), after=after)

    def command(self, name: str, after: float = 0.0) -> list[Effect]:
        return self.tell(Command(name, "test"), after=after)

    def dies(self, worker: WorkerId, after: float = 0.0, reason: str = "broken", **how: bool) -> list[Effect]:
        return self.tell(Exited(worker, reason, **how), after=after)

    def leaves(self, worker: WorkerId, after: float = 0.0) -> list[Effect]:
        return self.tell(Exited(worker, None), after=after)

    def moves(self, *functions: str, after: float = 0.0) -> list[Effect]:
        return self.tell(Moved(frozenset(functions)), after=after)

    def comes_back(self, worker: WorkerId, after: float) -> None:
        """The pause after a death is over, and the new process is ready."""
        assert Launch(worker) in self.tick(after)
        self.tell(Ready(worker))

    @property
    def state(self) -> State:
        return self.run.state


def running(*plans: WorkerPlan, duration_s: float | None = None, stuck_s: float = 20.0) -> Story:
    """A run that is running."""
    story = Story(*plans, duration_s=duration_s, stuck_s=stuck_s)
    story.tell(Begin(), *(Ready(plan.id) for plan in sorted(story.run.plans, key=lambda plan: plan.is_source)))
    assert story.state is State.RUNNING
    return story


def acts(effects: list[Effect]) -> list[Effect]:
    """The effects that do something."""
    return [effect for effect in effects if not isinstance(effect, Say)]


def said(effects: list[Effect]) -> str:
    """What the operator is told."""
    return "\n".join(effect.text for effect in effects if isinstance(effect, Say))
