"""Alarms: what deserves attention now, or did and has not been acknowledged.

Pure code: `handle(snapshot) -> actions`; the snapshots bring the time. An alarm is latched: it goes away when its cause
has gone *and* somebody has acknowledged it; a note goes away with its cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ._default_rules import DEFAULT_RULES
from ._expression import Value
from ._figures import Figures, Subject
from ._rules import Level, Rule
from ._snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Alarm:
    """One rule that holds, or held, for one thing."""

    number: int
    rule: Rule
    subject: Subject
    text: str
    since_utc_ns: int
    """When it began to hold, the last time."""
    is_active: bool = True
    is_acknowledged: bool = False
    times: int = 1
    """How often it has begun to hold since it was last gone."""

    @property
    def level(self) -> Level:
        """How much it matters."""
        return self.rule.level


@dataclass(frozen=True, slots=True)
class Act:
    """Do one action of a rule, because it has begun to hold."""

    action: str
    alarm: Alarm


@dataclass(slots=True)
class _Watched:
    since: float | None = None
    """Since when the condition is true, without the rule holding yet."""
    alarm: Alarm | None = None


@dataclass(slots=True)
class Alarms:
    """All rules on all things of one cluster."""

    rules: Sequence[Rule] = DEFAULT_RULES
    figures: Figures = field(default_factory=Figures)
    _watched: dict[tuple[str, Subject], _Watched] = field(default_factory=dict)
    _number: int = 0

    def handle(self, snapshot: Snapshot) -> list[Act]:
        """Judge what is known now; what must be done about it."""
        acts: list[Act] = []
        by_kind: dict[str, list[Rule]] = {}
        for rule in self.rules:
            by_kind.setdefault(rule.on, []).append(rule)
        there: set[Subject] = set()
        for subject, figures in self.figures.of(snapshot):
            there.add(subject)
            for rule in by_kind.get(subject.kind, ()):
                acts += self._judge(rule, subject, figures, snapshot)
        if not snapshot.is_stale:
            self._forget(there)
        return acts

    def acknowledge(self, number: int | None = None) -> list[Alarm]:
        """Somebody has seen this alarm, or all; returns those."""
        seen = []
        for key, watched in list(self._watched.items()):
            alarm = watched.alarm
            if alarm is None or alarm.is_acknowledged or number not in {None, alarm.number}:
                continue
            watched.alarm = replace(alarm, is_acknowledged=True)
            seen.append(watched.alarm)
            if not alarm.is_active:
                del self._watched[key]
        return seen

    def all(self) -> list[Alarm]:
        """Unacknowledged before acknowledged, worst first, then in the order they came: causes before consequences."""
        alarms = [w.alarm for w in self._watched.values() if w.alarm]
        return sorted(alarms, key=lambda a: (a.is_acknowledged, -a.level, not a.is_active, a.since_utc_ns, a.number))

    def count(self, level: Level) -> int:
        """How many alarms of this level there are."""
        return sum(1 for w in self._watched.values() if w.alarm and w.alarm.level is level)

    def _judge(self, rule: Rule, subject: Subject, figures: Mapping[str, Value], snapshot: Snapshot) -> list[Act]:
        key = (rule.name, subject)
        watched = self._watched.get(key)
        holds = rule.when.holds(figures)
        if watched is None:
            if not holds:
                return []
            self._watched[key] = watched = _Watched()
        alarm = watched.alarm
        if alarm and alarm.is_active:
            is_over = holds is False if rule.clear is None else rule.clear.holds(figures)
            if is_over:
                self._end(key, watched, alarm)
            elif holds:
                watched.alarm = replace(alarm, text=rule.describe(subject, figures))
            return []
        if not holds:
            watched.since = None
            if alarm is None:
                del self._watched[key]
            return []
        if watched.since is None:
            watched.since = snapshot.now
        if snapshot.now - watched.since < rule.for_s:
            return []
        return self._raise(rule, subject, rule.describe(subject, figures), watched, snapshot)

    def _raise(self, rule: Rule, subject: Subject, text: str, watched: _Watched, snapshot: Snapshot) -> list[Act]:
        self._number += 1
        times = watched.alarm.times + 1 if watched.alarm else 1
        watched.alarm = Alarm(self._number, rule, subject, text, snapshot.utc_ns, times=times)
        watched.since = None
        return [Act(action, watched.alarm) for action in rule.do]

    def _end(self, key: tuple[str, Subject], watched: _Watched, alarm: Alarm) -> None:
        if alarm.is_acknowledged or alarm.level is Level.NOTE:
            del self._watched[key]
        else:
            watched.alarm = replace(alarm, is_active=False)

    def _forget(self, there: set[Subject]) -> None:
        """What is no longer reported raises nothing; what it has raised stays until it is acknowledged."""
        for key, watched in list(self._watched.items()):
            if key[1] in there:
                continue
            if watched.alarm is None:
                del self._watched[key]
            elif watched.alarm.is_active:
                self._end(key, watched, watched.alarm)
