"""Try a setup without taking data: load every function in a process of its own and compare its options."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from selectors import DefaultSelector
from typing import Any

from mimodaq.config import Problem, Setup
from mimodaq.node._folder import Folder
from mimodaq.node._order import Order
from mimodaq.node._workers import Job, WorkerProcess, Workers, dispatch
from mimodaq.protocol.run import READY_S, WorkerId

_checks = itertools.count()


def order_for(setup: Setup, function: str, **given: Any) -> Order:
    """The order for a process of `function`; `given` overrides what only a run knows."""
    spec = setup.functions[function]
    content: dict[str, Any] = {
        "function": spec.name,
        "process": 0,
        "processes": spec.processes,
        "module": spec.module,
        "name": spec.function,
        "source_file": str(spec.source_file) if spec.source_file else None,
        "folder": str(setup.folder),
        "run_dir": str(setup.folder),
        "config": spec.config,
        "rb_assign": spec.rb_assign,
        "dtypes": {name: setup.buffers[name].event_dtype for name in spec.rb_assign},
        "segments": {},
        "run_info": {},
    }
    return Order(**{**content, **given})


def check_functions(
    setup: Setup, patience_s: float = READY_S, names: Iterable[str] | None = None, *, is_here: bool = True
) -> list[Problem]:
    """Everything wrong with the functions of a setup: missing files, modules, functions; options that do not fit.

    A module whose import takes longer than `patience_s` is a problem, too. `names`: only these functions.
    `is_here`: this host is going to run them, so a missing instrument is a problem.
    """
    problems: list[Problem] = []

    def on_report(worker: WorkerId, report: dict[str, Any]) -> None:
        if report["kind"] == "problem":
            place = setup.where_of(worker.function, *report["key"])
            problems.append(Problem(place, report["message"], report["suggestion"]))

    def on_exit(process: WorkerProcess) -> None:
        if process.reason and not process.problems:
            cannot_load(process.id.function, process.reason)

    def cannot_load(name: str, reason: str) -> None:
        problems.append(Problem(setup.where_of(name, "fkt_name"), f"{name} cannot be loaded: {reason}"))

    with DefaultSelector() as selector:
        folder = Folder.of(f"check-{os.getpid()}-{next(_checks)}")
        workers = Workers(selector, folder, on_report, lambda _worker, _line: None, on_exit)
        try:
            for name in names if names is not None else setup.functions:
                workers.launch(WorkerId(name, 0), Job.of(order_for(setup, name, check_only=True, is_here=is_here)))
            give_up = time.monotonic() + patience_s
            while workers.running and (left := give_up - time.monotonic()) > 0:
                dispatch(selector, left)
            for worker in workers.running:
                cannot_load(worker.function, f"its module was not imported after {patience_s:g} s")
        finally:
            workers.close()
            folder.remove()
    return sorted(problems, key=lambda problem: problem.where)
