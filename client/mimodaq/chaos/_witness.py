"""Whether an operator who only listens could see a fault, and when. Pure: news and times are handed in.

What is looked for is what the screens and the log show: that a host is late, that a process was started again, a line
that names the cause. The look begins with the fault and ends some time after it was undone: what comes later is of
another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mimodaq.chaos._faults import BROKER, Fault, Kind
from mimodaq.protocol.messages import Cluster, LogLine, Report

News = Cluster | Report | LogLine

QUIET_S: Final = 1.5
"""The feed comes at least once a second; screens say so when it does not."""
LOOK_S: Final = 20.0
"""After a fault was undone it is looked for so long."""
_FULL_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sign:
    """The first thing that told of a fault."""

    after_s: float
    words: str


@dataclass(frozen=True, slots=True)
class Before:
    """What was known when a fault began."""

    report: Report | None = None
    """The last one of its node."""
    broker_epoch: int = 0


@dataclass(slots=True)
class _Open:
    fault: Fault
    begun: float
    before: Before


@dataclass(slots=True)
class Witness:
    """Listens for all faults at once."""

    signs: dict[int, Sign] = field(default_factory=dict)
    """By the number of the fault."""
    _open: dict[int, _Open] = field(default_factory=dict)
    _reports: dict[str, Report] = field(default_factory=dict)
    _broker_epoch: int = 0

    def begin(self, fault: Fault, now: float) -> None:
        """A fault was done; what is heard of its victim from now on is not of an earlier one."""
        for number in [number for number, one in self._open.items() if one.fault.victim == fault.victim]:
            del self._open[number]
        self._open[fault.number] = _Open(fault, now, Before(self._reports.get(fault.node), self._broker_epoch))

    def hear(self, news: News, now: float) -> None:
        """The feed has brought something."""
        self._look(lambda one: sign_of(one.fault, one.before, news), now)
        match news:
            case Report():
                self._reports[news.node] = news
            case Cluster():
                self._broker_epoch = max(self._broker_epoch, news.epoch)

    def miss(self, silent_s: float, now: float) -> None:
        """The feed has been silent for so long."""
        if silent_s >= QUIET_S:
            words = f"the broker is not heard for {silent_s:.1f} s"
            of_broker = (Kind.KILL_BROKER, Kind.STALL_BROKER)
            self._look(lambda one: words if one.fault.kind in of_broker and now - one.begun >= QUIET_S else "", now)

    def _look(self, sign: Callable[[_Open], str], now: float) -> None:
        for number, one in list(self._open.items()):
            words = sign(one)
            if now > one.begun + one.fault.lasts_s + LOOK_S:
                del self._open[number]
            elif words:
                self.signs[number] = Sign(now - one.begun, words)
                del self._open[number]


def sign_of(fault: Fault, before: Before, news: News) -> str:
    """What `news` tells of a fault, in words; empty if it does not."""
    match news:
        case LogLine():
            return f"{news.node}: {news.text}" if _is_told(fault, news) else ""
        case Report():
            return _in_report(fault, before, news)
        case Cluster():
            return _in_cluster(fault, before, news)


def _is_told(fault: Fault, line: LogLine) -> bool:
    is_of_node = line.node == fault.node
    match fault.kind:
        case Kind.KILL_WORKER | Kind.KILL_LINK | Kind.STALL_WORKER | Kind.STALL_LINK:
            return is_of_node and fault.target in line.text
        case Kind.KILL_NODE | Kind.STALL_NODE | Kind.CUT if fault.node != BROKER:
            return line.node == BROKER and _names(line.text, fault.node) and not line.text.startswith("run ")
        case Kind.KILL_BROKER | Kind.STALL_BROKER | Kind.CUT:
            return line.node == BROKER and ("held up" in line.text or "has started" in line.text)
        case Kind.DISK:
            return is_of_node and ("No space left" in line.text or "disk" in line.text)
        case Kind.SHM:
            return "No space left" in line.text or "/dev/shm" in line.text
        case Kind.CLOCK:
            return is_of_node and line.source == "clock"
        case Kind.GARBAGE:
            return is_of_node and ("not accepted" in line.text or "ignored" in line.text)
    return False


def _names(text: str, node: str) -> bool:
    return any(word.strip(":,.") == node for word in text.split())


def _in_report(fault: Fault, before: Before, report: Report) -> str:
    match fault.kind:
        case Kind.KILL_WORKER | Kind.KILL_LINK if report.node == fault.node:
            was = _restarts(before.report, report.run).get(fault.target, 0)
            now = _restarts(report, report.run).get(fault.target, 0)
            return f"{fault.target} was started again, {now} times so far" if now > was else ""
        case Kind.STALL_LINK:
            cut = [line.name for line in report.links if fault.target == f"{line.name}[0]" and not line.connected]
            return f"{report.node}: {cut[0]} is not connected" if cut else ""
        case Kind.KILL_NODE if report.node == fault.node and before.report is not None:
            return f"{report.node} has a new daemon" if report.epoch > before.report.epoch else ""
        case Kind.DISK if report.node == fault.node and report.host is not None:
            free = report.host.disk_free_bytes
            is_full = free is not None and free < _FULL_BYTES
            return f"{report.node}: {free} bytes are free on the disk" if is_full else ""
        case Kind.SHM if report.host is not None:
            free = report.host.shm_free_bytes
            is_full = free is not None and free < _FULL_BYTES
            return f"{report.node}: {free} bytes are free in /dev/shm" if is_full else ""
    return ""


def _restarts(report: Report | None, run: int | None) -> Mapping[str, int]:
    if report is None or report.run != run:
        return {}
    return {line.name: line.restarts for line in report.workers}


def _in_cluster(fault: Fault, before: Before, cluster: Cluster) -> str:
    if fault.kind is Kind.KILL_BROKER:
        return "there is a new broker" if 0 < before.broker_epoch < cluster.epoch else ""
    if fault.kind in (Kind.KILL_NODE, Kind.STALL_NODE, Kind.CUT):
        away = [line for line in cluster.nodes if line.presence != "here" and fault.node in (line.node, BROKER)]
        return f"{away[0].node} is {away[0].presence}" if away else ""
    return ""
