"""What the functions of a setup are in a run: sources or not, started again or not, one plan for each process."""

from __future__ import annotations

from mimodaq.config import FunctionSpec, Setup
from mimodaq.protocol.run import WorkerId, WorkerPlan


def is_source(function: FunctionSpec) -> bool:
    """Whether events begin here: it is told to stop, all others end with their input."""
    return bool(function.writes) and not function.reads and not function.observes


def source_buffers(setup: Setup) -> tuple[str, ...]:
    """Buffers that sources write."""
    return tuple(sorted({b for f in setup.functions.values() if is_source(f) for b in f.writes}))


def is_counted_exactly(setup: Setup) -> bool:
    """Whether the buffer that the event limit counts is filled by sources alone.

    It takes exactly that many then. A filter cannot be told to stop in the middle of its input.
    """
    return all(is_source(f) for f in setup.writers(setup.counted_buffer))


def restarts(setup: Setup, function: FunctionSpec) -> bool | int:
    """Whether or how often a process is started again when it dies.

    A source only if the setup asks for it: most would begin from the first event.
    """
    if is_source(function) and (function.name, "restart") not in setup.places:
        return False
    return function.restart


def worker_plans(setup: Setup) -> list[WorkerPlan]:
    """One plan for each process of each function."""
    return [
        WorkerPlan(
            WorkerId(function.name, process),
            is_source(function),
            restarts(setup, function),
            is_observer=not function.reads and not function.writes,
        )
        for function in setup.functions.values()
        for process in range(function.processes)
    ]
