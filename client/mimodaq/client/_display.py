"""What a run shows on the terminal: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mimodaq.client._streams import to_nowhere
from mimodaq.client._texts import clock, count, rate, size
from mimodaq.node import Entry, Snapshot

_COLOURS = {"error": "bold red", "warning": "yellow"}

_SHOWN_S = 48 * 3600.0
"""A disk that is full later is no matter for this run."""


class Display(Protocol):
    """Where snapshots and log entries go."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Show the present figures."""

    def log(self, entry: Entry) -> None:
        """Show one line of the log."""


def _line_of(entry: Entry) -> str:
    mark = {"error": "ERROR ", "warning": "warning: "}.get(entry.level, "")
    source = "" if entry.source == "run" else f"[{entry.source}] "
    return f"{mark}{source}{entry.text}"


class Lines:
    """One line a second on stderr; for pipes, log files and batch jobs."""

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write the figures of every buffer on one line."""
        parts = [f"{snapshot.state:8} {clock(snapshot.running_s)}"]
        for buffer in snapshot.buffers:
            text = f"{buffer.name} {buffer.committed} ({rate(buffer.rate_hz)}, {buffer.fill:.0%} full"
            if buffer.dead_fraction >= 0.005:
                text += f", {buffer.dead_fraction:.0%} dead: {', '.join(buffer.blamed)}"
            parts.append(text + ")")
        if snapshot.progress is not None:
            parts.append(f"{snapshot.progress:.0%}")
        if snapshot.disk_left_s is not None and snapshot.disk_left_s < _SHOWN_S:
            parts.append(f"disk full in {clock(snapshot.disk_left_s)}")
        print("  ".join(parts), file=sys.stderr, flush=True)

    def log(self, entry: Entry) -> None:
        """Write the entry."""
        print(_line_of(entry), file=sys.stderr, flush=True)


class LiveTable:
    """A table that is redrawn in place, log lines above it."""

    def __init__(self, help_line: str) -> None:
        self._help = help_line
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; the summary follows."""
        self._live.__exit__(None, None, None)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Redraw."""
        self._live.update(self._picture(snapshot), refresh=True)

    def log(self, entry: Entry) -> None:
        """Print above the table."""
        self._console.print(Text(_line_of(entry), style=_COLOURS.get(entry.level, "")))

    def _picture(self, snapshot: Snapshot) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("buffer", "events", "rate", "data", "fill", "dead time", "because of"):
            table.add_column(heading, justify="left" if heading in {"buffer", "because of"} else "right")
        for b in snapshot.buffers:
            dead = f"{b.dead_fraction:.1%}"
            table.add_row(
                b.name,
                count(b.committed),
                rate(b.rate_hz),
                size(b.bytes_per_s) + "/s",
                f"{b.fill:.0%}",
                Text(dead, style="yellow" if b.dead_fraction > 0.05 else ""),
                ", ".join(b.blamed) if b.dead_fraction >= 0.001 else "",
            )
        head = Text(f"run {snapshot.run}  {snapshot.state}  {clock(snapshot.running_s)}", style="bold")
        if snapshot.disk_free_bytes is not None:
            head.append(f"  {size(snapshot.disk_free_bytes)} free", style="not bold")
        if snapshot.disk_left_s is not None and snapshot.disk_left_s < _SHOWN_S:
            head.append(f", disk full in {clock(snapshot.disk_left_s)}", style="not bold yellow")
        workers = [w for w in snapshot.workers if w.restarts or w.state in {"restarting", "failed"}]
        parts: list[Text | Table] = [head, table]
        for worker in workers:
            parts.append(Text(f"{worker.name}: {worker.state}, restarted {worker.restarts} x", style="yellow"))
        if snapshot.progress is not None:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(ProgressBar(total=1.0, completed=snapshot.progress, width=60), f"{snapshot.progress:.0%}")
            parts.append(bar)
        parts.append(Text(self._help, style="dim"))
        return Group(*parts)


class WhileItLasts:
    """Shows on another display until that fails: a terminal that was closed, a pipe that nobody reads.

    What a run shows must never end the run.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._lasts = True

    def __enter__(self) -> Self:
        """Begin to show."""
        self._try(self._display.__enter__)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was, if it is still there."""
        self._try(self._display.__exit__)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Show the present figures."""
        self._try(self._display.snapshot, snapshot)

    def log(self, entry: Entry) -> None:
        """Show one line of the log."""
        self._try(self._display.log, entry)

    def _try(self, show: Callable[..., object], *what: object) -> None:
        if self._lasts:
            try:
                show(*what)
            except OSError:
                self._lasts = False
                to_nowhere(sys.stderr)


def display_for(*, live: bool, help_line: str) -> Display:
    """The display that suits the terminal."""
    return WhileItLasts(LiveTable(help_line) if live else Lines())
