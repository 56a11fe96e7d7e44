"""The state of the cluster as a picture for a terminal, and as one line for a pipe. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mimodaq.client._texts import clock, count, rate, size
from mimodaq.client.session import Me, Status
from mimodaq.protocol.messages import NodeLine, Report
from mimodaq.protocol.states import State

SILENT_S: Final = 1.8
"""A broker is heard once a second; what is older than this is history."""
_CLOCK_OFF_S: Final = 0.05
_FULL: Final = 0.9
_DEAD: Final = 0.05
_COLOURS: Final = {
    State.RUNNING: "bold green",
    State.READY: "green",
    State.PAUSED: "bold yellow",
    State.ERROR: "bold red",
    State.OFFLINE: "bold red",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be shown."""

    status: Status
    me: Me
    address: str
    silent_s: float = 0.0
    possible: Sequence[str] = ()
    """Commands, by the table of the broker."""

    @property
    def is_old(self) -> bool:
        """Whether the broker is not heard any more."""
        return self.silent_s >= SILENT_S


def picture(what: Picture) -> Group:
    """Head, and a table each of hosts, buffers and links."""
    reports = [report for _, report in sorted(what.status.reports.items())]
    parts: list[Text | Table] = list(_head(what))
    nodes = what.status.cluster.nodes
    parts.append(Text("no node daemon has been heard yet", style="dim") if not nodes else _hosts(what))
    for table in (_buffers(reports), _links(reports)):
        if table.row_count:
            parts += [Text(""), table]
    parts += [
        Text(f"{report.node}: {worker.name} is {worker.state}, restarted {worker.restarts} x", style="yellow")
        for report in reports
        for worker in report.workers
        if worker.restarts or worker.state in {"restarting", "failed"}
    ]
    return Group(*parts)


def _head(what: Picture) -> Iterator[Text]:
    cluster = what.status.cluster
    if not what.me.is_secure:
        yield Text("INSECURE: without keys, everybody who can reach the broker can command it", style="bold red")
    if what.is_old:
        text = f"the broker at {what.address} has not been heard for {what.silent_s:.0f} s; what follows is old"
        yield Text(text, style="bold red")
    line = Text(cluster.state.value, style="dim" if what.is_old else _COLOURS.get(cluster.state, "bold"))
    if cluster.aim is not cluster.state:
        line.append(f" -> {cluster.aim.value}", style="yellow")
    line.append(f" for {clock(cluster.for_s)}", style="dim")
    if cluster.run is not None:
        line.append(f"   run {cluster.run}  {clock(cluster.running_s)}  {count(cluster.events)} events", style="bold")
    if cluster.setup_id:
        line.append(f"   setup {cluster.setup_id[:12]}", style="dim")
    line.append(f"   in charge: {cluster.in_charge or 'nobody'}", style="dim")
    yield line
    if what.possible and not what.is_old:
        yield Text(f"possible now: {', '.join(what.possible)}", style="dim")
    if cluster.text:
        yield Text(cluster.text, style="yellow")
    for reason in cluster.reasons:
        yield Text(f"not good: {reason}", style="yellow")
    yield Text("")


def _table(*headings: str, left: set[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    return table


def _hosts(what: Picture) -> Table:
    table = _table(
        "host",
        "state",
        "seen",
        "clock",
        "cpu",
        "memory",
        "disk free",
        "temp",
        "remarks",
        left={"host", "state", "remarks"},
    )
    for node in what.status.cluster.nodes:
        report = what.status.reports.get(node.node)
        host = report.host if report else None
        figures = [
            _percent(host.cpu if host else None),
            _percent(host.memory if host else None),
            size(host.disk_free_bytes) if host and host.disk_free_bytes is not None else "-",
            f"{host.temperature_c:.0f} °C" if host and host.temperature_c is not None else "-",
        ]
        seen = "" if node.presence == "here" else "never" if node.silent_s >= 1e9 else f"{node.silent_s:.1f} s ago"
        table.add_row(
            node.node,
            Text(node.state.value, style=_COLOURS.get(node.state, "")),
            Text(seen, style="yellow" if seen else ""),
            _offset(report),
            *figures,
            Text(_remarks(node), style="" if node.state is not State.ERROR else "red"),
        )
    return table


def _remarks(node: NodeLine) -> str:
    remarks = [] if node.is_in_setup else ["not in the setup"]
    remarks += ["optional"] if node.is_optional else []
    return ", ".join([*remarks, *([node.text] if node.text else [])])


def _percent(fraction: float | None) -> str:
    return f"{fraction:.0%}" if fraction is not None else "-"


def _offset(report: Report | None) -> Text:
    if report is None or report.clock is None:
        return Text("-")
    offset_s = report.clock.offset_s
    return Text(f"{offset_s * 1000:+.1f} ms", style="yellow" if abs(offset_s) > _CLOCK_OFF_S else "")


def _buffers(reports: list[Report]) -> Table:
    table = _table(
        "buffer", "host", "events", "rate", "data", "fill", "dead time", "because of", "behind",
        left={"buffer", "host", "because of"},
    )  # fmt: skip
    for report in reports:
        for b in report.buffers:
            table.add_row(
                b.name,
                report.node,
                count(b.committed),
                rate(b.rate_hz),
                size(b.bytes_per_s) + "/s",
                Text(f"{b.fill:.0%}", style="yellow" if b.fill > _FULL else ""),
                Text(f"{b.dead_fraction:.1%}", style="yellow" if b.dead_fraction > _DEAD else ""),
                ", ".join(b.blamed) if b.dead_fraction >= 0.001 else "",
                count(b.lag),
            )
    return table


def _links(reports: list[Report]) -> Table:
    table = _table(
        "link", "host", "", "rate", "data", "behind", "unacked", "again", "reconnects", "RTT", left={"link", "host", ""}
    )
    for report in reports:
        for link in report.links:
            table.add_row(
                link.name,
                report.node,
                Text("up") if link.connected else Text("DOWN", style="bold red"),
                rate(link.rate_hz),
                size(link.bytes_per_s) + "/s",
                count(link.lag),
                count(link.unacknowledged),
                count(link.redelivered),
                Text(count(link.reconnects), style="yellow" if link.reconnects else ""),
                f"{link.round_trip_s * 1000:.1f} ms",
            )
    return table


def as_line(what: Picture) -> str:
    """Everything that matters on one line."""
    cluster = what.status.cluster
    parts = [] if what.me.is_secure else ["INSECURE"]
    if what.is_old:
        parts.append(f"broker not heard for {what.silent_s:.0f} s")
    parts.append(cluster.state.value + (f" -> {cluster.aim.value}" if cluster.aim is not cluster.state else ""))
    if cluster.run is not None:
        parts.append(f"run {cluster.run} {clock(cluster.running_s)} {cluster.events} events")
    if cluster.text:
        parts.append(cluster.text)
    for node in cluster.nodes:
        report = what.status.reports.get(node.node)
        figures = [
            _buffer(b.name, b.rate_hz, b.fill, b.dead_fraction, b.blamed) for b in (report.buffers if report else ())
        ]
        figures += [
            f"{k.name} {'DOWN' if not k.connected else f'{k.lag} behind'}" for k in (report.links if report else ())
        ]
        words = node.state.value if node.presence == "here" else f"{node.state.value} ({node.presence})"
        parts.append(f"{node.node} {words}" + (f": {', '.join(figures)}" if figures else ""))
    return " | ".join(parts)


def _buffer(name: str, rate_hz: float, fill: float, dead_fraction: float, blamed: tuple[str, ...]) -> str:
    dead = f" {dead_fraction:.0%} dead: {' '.join(blamed)}" if dead_fraction >= 0.005 else ""
    return f"{name} {rate(rate_hz)} {fill:.0%} full{dead}"
