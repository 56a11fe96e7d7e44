"""What chaos prints: the schedule, what it does, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mimodaq.chaos._faults import Fault
from mimodaq.chaos._ledger import RunLedger
from mimodaq.chaos._witness import Sign
from mimodaq.client._texts import aligned, count


@dataclass(frozen=True, slots=True)
class Done:
    """A fault of the schedule, and what came of it."""

    fault: Fault
    begun_s: float | None
    """When it was done; None if it could not be done."""
    why_not: str = ""
    sign: Sign | None = None
    """How an operator could see it; None if nothing told of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """All of it."""

    seed: int
    faults: tuple[Done, ...]
    runs: tuple[RunLedger, ...]
    resumed: int = 0
    """How often a run that was held had to be resumed by hand."""
    trouble: tuple[str, ...] = ()
    """What kept chaos from bringing it to an end."""

    @property
    def is_accounted(self) -> bool:
        """Whether every event is accounted for."""
        return not self.trouble and not any(run.unaccounted for run in self.runs)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        done = [one for one in self.faults if one.begun_s is not None]
        return {
            "seed": self.seed,
            "faults_done": len(done),
            "faults_skipped": len(self.faults) - len(done),
            "faults_seen": sum(one.sign is not None for one in done),
            "faults": [_plain(one) for one in self.faults],
            "runs": [asdict(run) for run in self.runs],
            "resumed_by_hand": self.resumed,
            "trouble": list(self.trouble),
            "accounted": self.is_accounted,
        }


def _plain(one: Done) -> dict[str, Any]:
    return {**asdict(one), "fault": {**asdict(one.fault), "kind": one.fault.kind.value}}


def schedule_lines(seed: int, schedule: Sequence[Fault]) -> list[str]:
    """The schedule, to be compared with that of another time."""
    return [f"schedule of seed {seed}:", *(f"  {f.at_s:8.3f} s  #{f.number:<4} {f.words()}" for f in schedule)]


def summary(result: Result) -> str:
    """Everything at the end."""
    return "\n\n".join(part for part in (_faults(result), _runs(result), _verdict(result)) if part)


def _faults(result: Result) -> str:
    rows = [("#", "at", "fault", "seen after", "by")]
    for one in result.faults:
        fault = one.fault
        if one.begun_s is None:
            rows.append((str(fault.number), "-", f"{fault.words()}", "-", f"not done: {one.why_not}"))
        else:
            seen = (f"{one.sign.after_s:.2f} s", _line(one.sign.words)) if one.sign else ("-", "not seen")
            rows.append((str(fault.number), f"{one.begun_s:.1f} s", fault.words(), *seen))
    return aligned(rows, right={0, 1, 3})


def _line(text: str, longest: int = 90) -> str:
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= longest else f"{first[: longest - 2]} …"


def _runs(result: Result) -> str:
    if not result.runs:
        return ""
    rows: list[tuple[str, ...]] = [("run", "verdict", "in", "out", "lost, told", "doubled", "in doubt", "unaccounted")]
    rows += [
        (
            str(run.run),
            run.verdict or "goes on",
            *(count(n) for n in (run.came_in, run.went_out, run.lost, run.doubled, run.in_doubt)),
            "; ".join(run.unaccounted) or "nothing",
        )
        for run in result.runs
    ]
    return aligned(rows, right={0, 2, 3, 4, 5, 6})


def _verdict(result: Result) -> str:
    done = [one for one in result.faults if one.begun_s is not None]
    seen = [one.sign.after_s for one in done if one.sign is not None]
    lines = [f"{len(done)} faults done, {len(result.faults) - len(done)} could not be done"]
    if seen:
        middle = sorted(seen)[len(seen) // 2]
        lines.append(f"{len(seen)} of them could be seen: half within {middle:.2f} s, the last after {max(seen):.2f} s")
    if result.resumed:
        lines.append(f"{result.resumed} times a run was held and had to be resumed by hand")
    lines += [f"TROUBLE: {text}" for text in result.trouble]
    came_in = sum(run.came_in for run in result.runs)
    if result.is_accounted:
        lines.append(f"all of {count(came_in)} events are accounted for")
    else:
        lines.append(f"NOT all of {count(came_in)} events are accounted for: again with --seed {result.seed}")
    return "\n".join(lines)
