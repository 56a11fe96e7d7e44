"""Runs of the database as text."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mimodaq.client._texts import aligned, clock, count
from mimodaq.client.session import RunInfo


def table_of_runs(runs: Sequence[RunInfo]) -> str:
    """One line for each run."""
    if not runs:
        return "no run has been taken yet"
    rows = [("run", "begin", "running", "events", "verdict", "operator", "comment")]
    rows += [
        (
            str(run.run),
            local_time(run.started_utc_s or run.asked_utc_s),
            clock(run.running_s),
            count(run.events),
            run.verdict or "goes on",
            run.operator,
            run.comment,
        )
        for run in runs
    ]
    return aligned(rows, right={0, 2, 3})


def one_run(run: RunInfo) -> str:
    """All about a run: what it was worth and why, and where its events went."""
    lines = [
        f"run {run.run}: {run.verdict or 'goes on'}, {count(run.events)} events in {clock(run.running_s)}"
        + (f" ({run.end_reason})" if run.end_reason else "")
    ]
    lines += [f"  {reason}" for reason in run.reasons]
    if run.comment:
        lines.append(f"  comment: {run.comment}")
    lines.append(f"  operator {run.operator or '-'}, setup {run.setup_id[:12]}")
    times = (("asked", run.asked_utc_s), ("started", run.started_utc_s), ("stopped", run.stopping_utc_s))
    told = [f"{word} {local_time(moment)}" for word, moment in times if moment is not None]
    if run.ended_utc_s is not None:
        told.append(f"closed {local_time(run.ended_utc_s)}")
    lines.append(f"  {', '.join(told)}")
    if run.accounts:
        lines.append("")
        accounts = [("host", "verdict", "ended", "remarks")]
        for one in run.accounts:
            remarks = [*one.reasons, *(["came after the run was closed"] if one.is_late else [])]
            remarks += [] if one.is_ledger_known else ["what its buffers held is unknown"]
            accounts.append((one.node, one.verdict, one.ending, "; ".join(remarks)))
        lines.append(aligned(accounts))
    if run.counts:
        lines.append("")
        counts = [("host", "buffer", "readers", "committed", "released", "quarantined", "left", "balance")]
        counts += [
            (
                c.node,
                c.buffer,
                c.readers,
                count(c.committed),
                count(c.released),
                count(c.quarantined),
                count(c.left_over),
                "ok" if c.committed == c.released + c.quarantined + c.left_over else "WRONG",
            )
            for c in run.counts
        ]
        lines.append(aligned(counts, right={3, 4, 5, 6}))
    if run.links:
        lines.append("")
        links = [("link", "host", "", "events")]
        links += [(k.link, k.node, "acknowledged" if k.is_sender else "arrived", count(k.events)) for k in run.links]
        lines.append(aligned(links, right={3}))
    if run.is_cut:
        lines.append("\nThere is more, see runs.sqlite in the broker's folder.")
    return "\n".join(lines)


def local_time(utc_s: float) -> str:
    """A moment as the clocks here show it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(utc_s))
