"""The command: choose the families of rows, measure, print."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Final

from mimodaq.client.bench._alternate import FULL, QUICK, say
from mimodaq.client.bench._machine import Bystanders, machine
from mimodaq.client.bench._peers import Peers, checkout
from mimodaq.client.bench._results import Row, table

FAMILIES: Final = ("ring", "link", "write", "run", "cluster", "broker", "scope", "tui")


def measure(what: str, *, quick: bool = False, peers: Peers | None = None) -> Iterator[Row]:
    """The rows of one family, or of `all`, as they are measured.

    `quick` only tries whether everything runs: its figures mean nothing. Raises ValueError for an unknown family.
    """
    if what != "all" and what not in FAMILIES:
        raise ValueError(f"there is no benchmark {what!r}; there are {', '.join(FAMILIES)} and all")
    effort = QUICK if quick else FULL
    found = peers if peers is not None else Peers(checkout())
    for family in FAMILIES if what == "all" else (what,):
        yield from importlib.import_module(f"mimodaq.client.bench._{family}").rows(effort, found)


def bench(what: str, as_json: bool, *, quick: bool = False) -> int:
    """Measure and print; returns the exit code: 0, 1 if a measurement broke off, 2 for an unknown family.

    A goal that is missed is a result, not an error. Progress goes to stderr.
    """
    found, bystanders = machine(), Bystanders()
    rows: list[Row] = []
    try:
        for row in measure(what, quick=quick):
            rows.append(row)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    found["other_cores"] = round(bystanders.cores, 2)
    say(f"\nother programs kept {found['other_cores']:.2f} cores busy meanwhile\n")
    if as_json:
        print(json.dumps({"results": [row.as_json() for row in rows], "machine": found}, ensure_ascii=False))
    else:
        print(table(rows))
    return 1 if any(series.failed for row in rows for series in (row.subject, row.limit)) else 0
