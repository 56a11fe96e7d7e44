"""`mimodaq doctor`: is everything there that a run needs? This part looks at scopes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD
from mimodaq.client._streams import tell
from mimodaq.picoscope import Finding, probe

_MARKS = {True: "ok", False: "FAULT", None: "note"}


def scope_findings() -> list[Finding]:
    """What a PicoScope readout needs, looked at without opening a scope."""
    return probe()


def lines(title: str, findings: Iterable[Finding]) -> list[str]:
    """Findings for people: one line each, and below a fault what to do about it."""
    out = [title]
    for finding in findings:
        out.append(f"  {_MARKS[finding.is_good]:5}  {finding.what}: {finding.text}")
        if finding.remedy:
            out.append(f"         -> {finding.remedy}")
    return out


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings for programs."""
    return [{"what": f.what, "good": f.is_good, "text": f.text, "remedy": f.remedy} for f in findings]


def has_fault(findings: Iterable[Finding]) -> bool:
    """Whether something is to be repaired. A missing library is no fault as long as no scope is plugged in."""
    return any(finding.is_good is False for finding in findings)


def doctor(json_: bool) -> int:
    """Look and tell; returns the exit code: 1 if something is to be repaired."""
    findings = scope_findings()
    tell(json.dumps({"scopes": as_json(findings)}) if json_ else "\n".join(lines("PicoScope", findings)))
    return EXIT_NOT_GOOD if has_fault(findings) else EXIT_GOOD
