"""Whether a run can be started now, point by point: what stands in the way, and what should be known before."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mimodaq.protocol.messages import NodeLine
from mimodaq.protocol.states import CommandTable

from ._alarms import Alarm
from ._rules import Level
from ._snapshot import Snapshot


class Grade(enum.Enum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    """The run can start, but should it?"""
    BLOCKING = "blocking"


@dataclass(frozen=True, slots=True)
class Check:
    """One point."""

    grade: Grade
    text: str


def preflight(
    snapshot: Snapshot, commands: CommandTable, alarms: Sequence[Alarm], disk_left_s: float | None, operator: str
) -> list[Check]:
    """All points, in the order they are worth reading; `commands` is the broker's table."""
    return list(_checks(snapshot, commands, alarms, disk_left_s, operator))


def _checks(
    snapshot: Snapshot, commands: CommandTable, alarms: Sequence[Alarm], disk_left_s: float | None, operator: str
) -> Iterator[Check]:
    cluster = snapshot.cluster
    if cluster is None or snapshot.is_stale:
        yield Check(Grade.BLOCKING, f"no contact to the broker for {snapshot.age_s:.0f} s")
        return
    why_not = commands.refusal("start", cluster.aim)
    yield Check(Grade.BLOCKING, why_not) if why_not else Check(Grade.OK, f"cluster is {cluster.state.value}")
    if cluster.in_charge and cluster.in_charge != operator:
        yield Check(Grade.BLOCKING, f"{cluster.in_charge} is in charge: take control (c) first")
    if not cluster.setup_id:
        yield Check(Grade.BLOCKING, "no setup is loaded: configure (6) first")
    yield _nodes([line for line in cluster.nodes if line.is_in_setup])
    yield _clocks(snapshot)
    yield _disk(snapshot, disk_left_s)
    for alarm in alarms:
        if alarm.is_active and alarm.level >= Level.WARNING:
            yield Check(Grade.WARNING, alarm.text)


def _nodes(lines: list[NodeLine]) -> Check:
    missing = [line for line in lines if line.presence != "here"]
    needed = [line.node for line in missing if not line.is_optional]
    if needed:
        return Check(Grade.BLOCKING, f"not heard: {', '.join(needed)}")
    if missing:
        return Check(Grade.WARNING, f"optional and not heard: {', '.join(line.node for line in missing)}")
    return Check(Grade.OK, f"{len(lines)} of {len(lines)} nodes there")


def _clocks(snapshot: Snapshot) -> Check:
    offsets = [abs(r.clock.offset_s) for r in snapshot.reports.values() if r.clock]
    if not offsets:
        return Check(Grade.WARNING, "no node has compared its clock yet")
    grade = Grade.OK if max(offsets) < 0.05 else Grade.WARNING
    return Check(grade, f"clocks within {max(offsets) * 1000:.1f} ms")


def _disk(snapshot: Snapshot, disk_left_s: float | None) -> Check:
    free = [r.host.disk_free_bytes for r in snapshot.reports.values() if r.host and r.host.disk_free_bytes is not None]
    if not free:
        return Check(Grade.WARNING, "free disk space is not known")
    left = f" = {disk_left_s / 3600:.1f} h at the last rate" if disk_left_s else ""
    return Check(Grade.OK if min(free) > 2e9 else Grade.WARNING, f"disk {min(free) / 1e9:,.0f} GB free{left}")
