"""`mimodaq status`: the whole cluster once, or as long as one watches."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import suppress
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mimodaq.client._cluster_commands import Where, guarded
from mimodaq.client._exit import EXIT_GOOD
from mimodaq.client._log_lines import COLOURS, as_text
from mimodaq.client._status_texts import SILENT_S, Picture, as_line, picture
from mimodaq.client._streams import tell
from mimodaq.client.session import Session, Status, UnreachableError
from mimodaq.protocol.messages import Cluster, LogLine, Report

_PIPE_WIDTH: Final = 160
_TICK_S: Final = 1.0
"""The picture is renewed at least this often: silence must be seen, too."""


def status(where: Where, watch: bool, as_json: bool) -> int:
    """Show the cluster; returns the exit code."""

    def work() -> int:
        place = where.found()
        with place.session() as session:
            if watch:
                _watch(session, place.address, as_json)
            else:
                found = session.status()
                if as_json:
                    tell(_as_json(session, found))
                else:
                    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
                    console.print(picture(_seen(session, found, place.address)))
        return EXIT_GOOD

    try:
        return guarded(as_json, work)
    except KeyboardInterrupt:
        return EXIT_GOOD


def _watch(session: Session, address: str, as_json: bool) -> None:
    """Until Ctrl-C. A broker that falls silent is shown as silent, and found again when it is back."""
    found = session.status()
    if as_json or not sys.stdout.isatty():
        while True:
            print(_as_json(session, found) if as_json else as_line(_seen(session, found, address)), flush=True)
            found, _ = _renewed(session, found)
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            live.update(picture(_seen(session, found, address)), refresh=True)
            found, lines = _renewed(session, found)
            for line in lines:
                console.print(Text(as_text(line), style=COLOURS.get(line.level, "")))


def _renewed(session: Session, status: Status) -> tuple[Status, list[LogLine]]:
    """The status after the next snapshot of the cluster, or after a while without one; and the log meanwhile."""
    cluster, reports = status.cluster, dict(status.reports)
    lines: list[LogLine] = []
    is_new = False
    while not is_new:
        until_silent_s = SILENT_S - session.silent_s
        news = session.news(min(_TICK_S, until_silent_s) if until_silent_s > 0 else _TICK_S)
        for one in news:
            match one:
                case Cluster():
                    cluster, is_new = one, True
                case Report():
                    reports[one.node] = one
                case LogLine():
                    lines.append(one)
        is_new = is_new or not news or session.silent_s >= _TICK_S
    if cluster.epoch != session.me.epoch:
        with suppress(UnreachableError):  # it has gone again
            session.renew_me()
    known = {node.node for node in cluster.nodes}
    return Status(cluster, {name: report for name, report in reports.items() if name in known}), lines


def _seen(session: Session, status: Status, address: str) -> Picture:
    return Picture(status, session.me, address, session.silent_s, _possible(session, status))


def _possible(session: Session, status: Status) -> list[str]:
    """The commands that are possible, as the broker judges."""
    try:
        return session.commands().possible(status.cluster.aim)
    except UnreachableError:
        return []  # it has gone again


def _as_json(session: Session, status: Status) -> str:
    plain = {
        "me": dataclasses.asdict(session.me),
        "silent_s": session.silent_s,
        "cluster": dataclasses.asdict(status.cluster),
        "possible": _possible(session, status),
        "reports": {name: dataclasses.asdict(report) for name, report in sorted(status.reports.items())},
    }
    return json.dumps(plain, ensure_ascii=False, default=_value)


def _value(value: Any) -> Any:
    return value.value
