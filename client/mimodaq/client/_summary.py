"""How a run ended, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mimodaq.client._texts import clock, count, rate
from mimodaq.config import Setup
from mimodaq.node import RunResult


def files_by_buffer(setup: Setup, files: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The files of a run under the buffer whose events are in them (or the function, where it reads none)."""
    found: dict[str, list[str]] = {}
    for function, paths in files.items():
        spec = setup.functions[function]
        buffer = next(iter((*spec.reads, *spec.observes)), function)
        found.setdefault(buffer, []).extend(paths)
    return found


def as_json(setup: Setup, result: RunResult) -> dict[str, Any]:
    """The object that `--json` prints."""
    record = result.record
    return {
        "run": result.run,
        "run_dir": str(result.run_dir),
        "verdict": result.verdict,
        "reasons": record["reasons"],
        "files": files_by_buffer(setup, record["files"]),
        "buffers": record["buffers"],
        "ledger": record["ledger"],
        "live_time_fraction": record["live_time_fraction"],
        "running_s": record["running_s"],
        "figures": record["figures"],
    }


def _figure(value: object) -> str:
    """A figure of a worker on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_figure(entry)}" for name, entry in value.items())
    return str(value)


def _ledger_line(ledger: Mapping[str, Any]) -> str:
    if not ledger["balanced"]:
        return "LEDGER DOES NOT BALANCE: events are missing, see run.json"
    parts = [
        f"{count(ledger[k])} {words}" for k, words in (("left", "left"), ("quarantined", "in quarantine")) if ledger[k]
    ]
    return f"ledger balances: every event accounted for{', ' if parts else ''}{', '.join(parts)}"


def as_text(setup: Setup, result: RunResult) -> str:
    """The summary printed at the end of a run."""
    record = result.record
    lines = [
        "",
        f"run {result.run}: {result.verdict.upper()}   {clock(record['running_s'])} running, "
        f"{record['live_time_fraction']:.1%} live   ({record['end_reason']})",
    ]
    lines += [f"  ! {reason}" for reason in record["reasons"]]
    width = max(len(name) for name in record["buffers"])
    for name, buffer in record["buffers"].items():
        text = f"  {name:{width}}  {count(buffer['events']):>12} events  {rate(buffer['rate_hz']):>9}"
        waited = {n: s for n, s in buffer["waited_for_s"].items() if s >= 0.01}
        if waited:
            text += "  waited " + ", ".join(f"{s:.1f} s for {n}" for n, s in waited.items())
        lines.append(text)
        for group, entry in record["ledger"]["buffers"][name].items():
            parts = [f"{count(entry['released'])} done"]
            parts += [f"{count(entry[k])} {k}" for k in ("quarantined", "left", "redelivered") if entry[k]]
            lines.append(f"  {'':{width}}    {group} ({setup.functions[group].function}): {', '.join(parts)}")
    lines.append(f"  {_ledger_line(record['ledger'])}")
    for function, by_process in record["figures"].items():
        for figures in by_process.values():
            for name, value in figures.items():
                lines.append(f"  {function} {setup.functions[function].function}: {name} = {_figure(value)}")
    lines.append(f"  in {result.run_dir}")
    for paths in record["files"].values():
        lines += [f"     {path.removeprefix(str(result.run_dir) + '/')}" for path in paths]
    return "\n".join(lines)
