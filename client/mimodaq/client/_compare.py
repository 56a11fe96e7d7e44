"""`mimodaq compare`: whether two runs have written the same, as a run and its replay should."""

from __future__ import annotations

import filecmp
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, UsageError
from mimodaq.client._run import guarded
from mimodaq.client._streams import tell
from mimodaq.client.runs import Output, RecordedRun, RunError, open_run

SAME_BYTES: Final = "the same bytes"
SAME_EVENTS: Final = "the same bytes, but for what the files say of their run"
OTHER_PARTS: Final = "the same events, divided otherwise among files"
ROUNDED: Final = "the same, but for the rounding of sums"
OTHER_TIMES: Final = "the same events at other times"
_SAME: Final = (SAME_BYTES, SAME_EVENTS, OTHER_PARTS, ROUNDED)
_ROUNDING: Final = 1e-9
_CHUNK_BYTES: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """How an output of one run is to that of the other."""

    name: str
    words: str

    @property
    def is_same(self) -> bool:
        """Whether no event and no count differs."""
        return self.words in _SAME


def compare(one: Path, other: Path, as_json: bool) -> int:
    """Compare what two runs have written; returns 0 if it is the same, 1 if not, 2 if one of them is no run."""

    def work() -> int:
        try:
            findings = list(differences(open_run(one), open_run(other)))
        except RunError as error:
            raise UsageError(str(error)) from error
        is_same = all(finding.is_same for finding in findings)
        if as_json:
            tell(json.dumps({"same": is_same, "outputs": [asdict(finding) for finding in findings]}))
        else:
            width = max((len(finding.name) for finding in findings), default=0)
            tell("\n".join(f"{finding.name:{width}}  {finding.words}" for finding in findings) or "nothing was written")
        return EXIT_GOOD if is_same else EXIT_NOT_GOOD

    return guarded(as_json, work)


def differences(one: RecordedRun, other: RecordedRun) -> Iterator[Finding]:
    """What can be said of each output of either run, and of each other file that its functions have registered.

    Pictures are left out: they show what the other files hold.
    """
    mine, theirs = ({output.name: output for output in run.outputs} for run in (one, other))
    for name in sorted({*mine, *theirs}):
        if name in mine and name in theirs:
            yield Finding(name, _of_events(mine[name], theirs[name]))
        else:
            yield Finding(name, _missing(one if name in mine else other))
    for name in sorted({*_others(one), *_others(other)}):
        there = [(run.path / name).is_file() for run in (one, other)]
        if all(there):
            yield Finding(name, _of_files(one.path / name, other.path / name))
        else:
            yield Finding(name, _missing(one if there[0] else other))


def _missing(run: RecordedRun) -> str:
    return f"only in {run.path}"


def _others(run: RecordedRun) -> set[str]:
    """Registered files that hold no events, relative to the run directory."""
    outputs = {output.path for output in run.outputs}
    return {
        str(path.relative_to(run.path))
        for path in run.files
        if path.is_relative_to(run.path)
        and not {path, path.parent} & outputs
        and path.suffix not in (".png", ".svg", ".pdf")
    }


def _of_files(one: Path, other: Path) -> str:
    if filecmp.cmp(one, other, shallow=False):
        return SAME_BYTES
    if one.suffix == ".json":
        with suppress(ValueError):  # then it is no JSON, but something else that differs
            if _is_close(json.loads(one.read_bytes()), json.loads(other.read_bytes())):
                return ROUNDED
    return "different"


def _is_close(one: Any, other: Any) -> bool:
    """Whether two values of JSON differ by no more than sums do whose terms came in another order."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(_is_close, one, other))
        case float(), float():
            return math.isclose(one, other, rel_tol=_ROUNDING) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _of_events(one: Output, other: Output) -> str:
    pairs = [_files(output) for output in (one, other)]
    if [path.name for path in pairs[0]] == [path.name for path in pairs[1]]:
        if all(filecmp.cmp(a, b, shallow=False) for a, b in zip(*pairs, strict=True)):
            return SAME_BYTES
        if all(_equal_where_events_are(a, b) for a, b in zip(*pairs, strict=True)):
            return SAME_EVENTS
    return _event_by_event(one, other)


def _files(output: Output) -> list[Path]:
    return sorted(output.path.iterdir()) if output.path.is_dir() else [output.path]


def _equal_where_events_are(one: Path, other: Path) -> bool:
    from mimodaq.functions.files import bytes_of_events

    (start, stop), (begin, end) = bytes_of_events(one), bytes_of_events(other)
    if stop - start != end - begin:
        return False
    with one.open("rb") as mine, other.open("rb") as theirs:
        mine.seek(start)
        theirs.seek(begin)
        left = stop - start
        while left > 0:
            size = min(left, _CHUNK_BYTES)
            if mine.read(size) != theirs.read(size):
                return False
            left -= size
    return True


def _event_by_event(one: Output, other: Output) -> str:
    answer = OTHER_PARTS
    with one.open() as mine, other.open() as theirs:
        if mine.dtype != theirs.dtype:
            return f"different: {mine.dtype} and {theirs.dtype}"
        for a, b in zip(mine.batches(_CHUNK_BYTES), theirs.batches(_CHUNK_BYTES), strict=False):
            size = min(len(a.counter), len(b.counter))
            for name in ("counter", "events", "deadtime", "timestamp"):
                left, right = getattr(a, name)[:size], getattr(b, name)[:size]
                if left.tobytes() == right.tobytes():
                    continue
                if name == "timestamp":
                    answer = OTHER_TIMES
                    continue
                number = next(i for i in range(size) if left[i].tobytes() != right[i].tobytes())
                return f"different: {name} of event {int(a.counter[number])}"
        if mine.count != theirs.count:
            return f"different: {mine.count} and {theirs.count} events"
    return answer
