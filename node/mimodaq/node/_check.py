"""Try a setup without taking data: load every function in a process of its own and compare its options."""

from __future__ import annotations

from selectors import DefaultSelector
from typing import Any

from mimodaq.config import Problem, Setup
from mimodaq.node._order import Order
from mimodaq.node._workers import WorkerProcess, Workers, explain_exit
from mimodaq.protocol.run import WorkerId


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
        "segments": {},
        "source_buffers": (),
        "run_info": {},
    }
    return Order(**{**content, **given})


def check_functions(setup: Setup) -> list[Problem]:
    """Everything wrong with the functions of a setup: missing files, modules, functions; options that do not fit."""
    problems: list[Problem] = []

    def on_report(worker: WorkerId, report: dict[str, Any]) -> None:
        if report["kind"] == "problem":
            place = setup.where_of(worker.function, *report["key"])
            problems.append(Problem(place, report["message"], report["suggestion"]))

    said: dict[WorkerId, list[str]] = {}

    def on_exit(process: WorkerProcess, code: int) -> None:
        if code and not process.problems:
            last = said.get(process.id, [explain_exit(code)])[-1]
            place = setup.where_of(process.id.function, "fkt_name")
            problems.append(Problem(place, f"{process.id.function} cannot be loaded: {last}"))

    with DefaultSelector() as selector:
        workers = Workers(selector, on_report, lambda w, line: said.setdefault(w, []).append(line), on_exit)
        try:
            for name in setup.functions:
                workers.launch(WorkerId(name, 0), order_for(setup, name, check_only=True))
            while workers.running:
                for key, _ in selector.select():
                    key.data()
        finally:
            workers.kill_all()
    return problems
