"""What the commands of a cluster print for programs. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

from mimodaq.client.session import CountInfo, RunInfo

_PARTS: Final = ("accounts", "counts", "links", "is_cut")
"""What is asked for run by run."""


def mistake(text: str) -> dict[str, Any]:
    """Why there is nothing to show."""
    return {"error": text}


def refusal(text: str) -> dict[str, Any]:
    """Why a command was not carried out, or is not known to be."""
    return answer(text, ok=False)


def answer(text: str, *, ok: bool, run: int | None = None) -> dict[str, Any]:
    """What has become of a command."""
    return {"ok": ok, "text": text, "run": run}


def one_run(run: RunInfo) -> dict[str, Any]:
    """All about a run."""
    return dataclasses.asdict(run)


def run_in_list(run: RunInfo) -> dict[str, Any]:
    """A run among others."""
    return {name: value for name, value in one_run(run).items() if name not in _PARTS}


def run_as_here(run: RunInfo, hosts: Iterable[str]) -> dict[str, Any]:
    """All about a run, with the keys that a run of one host has as far as the broker knows their values.

    `buffers` and `ledger` are there if all `hosts` have told them; rings of one name on several hosts are added up.
    """
    table = one_run(run)
    told = {account.node for account in run.accounts if account.is_ledger_known}
    if told.issuperset(hosts) and not run.is_cut:
        ledger = _ledger(run.counts)
        table["buffers"] = {name: _buffer(groups, run.running_s) for name, groups in ledger["buffers"].items()}
        table["ledger"] = ledger
    return table


def _buffer(groups: dict[str, dict[str, Any]], running_s: float) -> dict[str, Any]:
    events = max(group["committed"] for group in groups.values())
    return {"events": events, "rate_hz": events / running_s if running_s > 0 else 0.0}


def _ledger(counts: Iterable[CountInfo]) -> dict[str, Any]:
    buffers: dict[str, dict[str, dict[str, Any]]] = {}
    sums = {"left": 0, "quarantined": 0}
    balanced = True
    for count in counts:
        row = {
            "committed": count.committed,
            "released": count.released,
            "quarantined": count.quarantined,
            "left": count.left_over,
        }
        is_even = count.committed == count.released + count.quarantined + count.left_over
        balanced = balanced and is_even
        for name in sums:
            sums[name] += row[name]
        groups = buffers.setdefault(count.buffer, {})
        before = groups.get(count.readers, {"balanced": True})
        summed: dict[str, Any] = {name: value + before.get(name, 0) for name, value in row.items()}
        groups[count.readers] = {**summed, "balanced": before["balanced"] and is_even}
    return {"balanced": balanced, **sums, "buffers": buffers}
