"""What stands on every screen: state of the cluster, the list of screens, the worst alarm, the keys that work now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mimodaq.watch import Alarm, Level, Snapshot

from ._glyphs import LEVEL_STYLES, LEVELS, state_glyph, state_style
from ._line import Line, Span, clean, fit, spread, width_of
from ._numbers import clock, count, percent, short_rate, span, time_of_day


@dataclass(frozen=True, slots=True)
class Bar:
    """What the state bar says beside the snapshot."""

    rate_hz: float = 0.0
    disk_left_s: float | None = None
    alarms: int = 0
    warnings: int = 0
    dead_fraction: float = 0.0
    """Of the sources: the part of the time in which the experiment was blind."""
    duration_s: float | None = None
    """The setup ends the run after this time."""
    events_limit: int | None = None
    is_frozen: bool = False
    is_replay: bool = False
    is_secure: bool = True


def state_bar(snapshot: Snapshot, bar: Bar, width: int) -> Line:
    """State, run, time, events, rate, live time, disk, alarms; the more room, the more of it."""
    alarms = _alarm_counts(bar)
    cluster = snapshot.cluster
    insecure: list[Span] = [] if bar.is_secure else [(" ", ""), ("INSECURE", "shout")]
    if cluster is None:
        silence = f" broker not heard for {span(snapshot.age_s)}"
        return spread([("? NO CONTACT ", "shout"), *insecure, (silence, "")], alarms, width)
    if snapshot.is_stale:
        state: Span = (f"? NO CONTACT {span(snapshot.age_s)} ", "shout")
    else:
        mixed = "~" if snapshot.is_mixed else " "
        state = (f"{state_glyph(cluster.state)} {cluster.state.value.upper()}{mixed}", state_style(cluster.state))
    style = "dim" if snapshot.is_stale else ""
    run = f" run {cluster.run}" if cluster.run else " no run"
    parts = [state, (run, "dim" if snapshot.is_stale else "strong"), *insecure]
    if bar.is_frozen:
        parts.append(("  ‖ FROZEN", "warning"))
    if bar.is_replay:
        parts.append(("  REPLAY", "warning"))
    optional: list[Span] = []
    if cluster.run:
        limit = f" / {clock(bar.duration_s)}" if bar.duration_s else ""
        of_limit = f" / {count(bar.events_limit)}" if bar.events_limit else ""
        optional += [(f"{clock(cluster.running_s)}{limit}", style), (f"{count(cluster.events)}{of_limit} ev", style)]
        is_blind = bar.dead_fraction > 0.05 and not snapshot.is_stale
        live = (f"live {percent(1 - bar.dead_fraction)}", "warning" if is_blind else style)
        optional += [(short_rate(bar.rate_hz), style), live]
    if bar.disk_left_s is not None:
        optional.append((f"disk {span(bar.disk_left_s)}", style))
    room = width - width_of(tuple(alarms)) - 1
    for text, shown_as in optional:
        if width_of(tuple(parts)) + 2 + len(text) <= room:
            parts.append((f"  {text}", shown_as))
    if cluster.text and width_of(tuple(parts)) + 12 <= room:
        left = room - width_of(tuple(parts)) - 3
        parts.append((f"  {clean(cluster.text)[:left]}", "warning"))
    return spread(parts, alarms, width)


def _alarm_counts(bar: Bar) -> list[Span]:
    counts: list[Span] = []
    if bar.alarms:
        counts.append((f"▲ {bar.alarms} ALARM", "alarm"))
    if bar.warnings:
        counts.append(((" " if counts else "") + f"! {bar.warnings}", "warning"))
    return counts or [("no alarm", "dim")]


def screens_line(
    names: Sequence[tuple[str, str, bool]], snapshot: Snapshot, operator: str, may_command: bool, width: int
) -> Line:
    """The screens with their digits, the one in front marked; who is in charge; the time."""
    blank = " " if width >= 110 else ""
    left: list[Span] = []
    for digit, name, is_chosen in names:
        left += [(f"{blank}{digit}{blank}{name}{blank}", "chosen" if is_chosen else "dim"), (" ", "")]
    cluster = snapshot.cluster
    holder = cluster.in_charge if cluster else ""
    if not may_command:
        charge: Span = ("watching only", "dim")
    elif holder == operator:
        charge = ("you have control", "strong")
    else:
        charge = (f"control: {clean(holder) or 'nobody'}", "warning" if holder else "dim")
    now = time_of_day(snapshot.utc_ns)
    right = [charge, (f"  {now} UTC" if width >= 90 else f" {now}", "")]
    if width_of(tuple(left)) + width_of(tuple(right)) >= width:
        left = [(text[:2], style) for text, style in left]
    return spread(left, right, width)


def alarm_line(alarms: Sequence[Alarm], width: int) -> Line | None:
    """The worst alarm nobody has acknowledged; None if there is none."""
    waiting = [a for a in alarms if not a.is_acknowledged and a.level >= Level.WARNING]
    if not waiting:
        return None
    alarm = waiting[0]
    more = f"  +{len(waiting) - 1}" if len(waiting) > 1 else ""
    over = "" if alarm.is_active else " (over)"
    stamp = f"{time_of_day(alarm.since_utc_ns)} " if width >= 100 else ""
    advice = f"  {alarm.rule.advice}" if width >= 140 and alarm.rule.advice else ""
    keys = f"{more}  a ack  A all "
    text = f"{LEVELS[alarm.level]} {stamp}{clean(alarm.text)}{over}{advice}"
    room = width - len(keys)
    style = "shout" if alarm.level is Level.ALARM else LEVEL_STYLES[alarm.level]
    shown = text if len(text) <= room else text[: room - 1] + "…"
    return ((shown.ljust(room), style), (keys, style))


def footer(keys: Sequence[tuple[str, str]], said: str, width: int) -> Line:
    """The keys that work now, and what was last said at the right; what does not fit is left out from the end."""
    parts: list[Span] = []
    right: list[Span] = [(f" {clean(said)}"[: max(0, width * 2 // 3)], "strong")] if said else []
    room = width - width_of(tuple(right)) - len(right)
    for key, label in keys:
        blanks = "  " if parts else ""
        if width_of(tuple(parts)) + len(f"{blanks}{key} {label}") > room:
            break
        parts += [(blanks, ""), (key, "key"), (f" {label}", "")]
    return spread(parts, right, width)


def too_small(width: int, height: int) -> list[Line]:
    """Instead of a screen that cannot be read."""
    return [fit([(f"{width}x{height}: too small, 60x16 needed", "warning")], width)]
