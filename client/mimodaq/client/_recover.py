"""`mimodaq recover`: make the files of a killed run readable."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, UsageError
from mimodaq.client._run import guarded
from mimodaq.client._streams import tell
from mimodaq.client._texts import count


def recover(paths: Sequence[Path], as_json: bool) -> int:
    """Recover every path; returns 0 when all is recovered, 1 when not, 2 for a wrong path."""
    return guarded(as_json, lambda: _recover(paths, as_json))


def _recover(paths: Sequence[Path], as_json: bool) -> int:
    from mimodaq.functions.files import FilesError
    from mimodaq.functions.files import recover as recover_files
    from mimodaq.node import RECORD, close_record, is_running, is_unbegun, remove_left_overs, unbegun_in_words

    reports: list[dict[str, Any]] = []
    is_complete = True
    for path in paths:
        if path.is_dir() and is_running(path):
            raise UsageError(f"{path}: this run is still going on")
        try:
            report = recover_files(path)
        except FilesError as error:
            raise UsageError(str(error)) from None
        is_complete = is_complete and report.is_complete
        reports += [asdict(file) for file in report.files]
        if not as_json:
            for file in report.files:
                tell(_line(asdict(file)))
            if not report.files:
                tell(unbegun_in_words(path) if is_unbegun(path) else f"{path}: nothing to recover")
        if path.is_dir() and report.is_complete:
            try:
                problems = close_record(path)
            except ValueError as error:
                raise UsageError(
                    f"{path / RECORD} cannot be read ({error}); the files beside it are recovered"
                ) from None
            for problem in problems:
                print(problem, file=sys.stderr)
    for segment in remove_left_overs():
        print(f"removed {segment}, left over from a run that was killed", file=sys.stderr)
    if as_json:
        tell(json.dumps({"files": reports, "complete": is_complete}, default=str))
    return EXIT_GOOD if is_complete else EXIT_NOT_GOOD


def _line(file: dict[str, Any]) -> str:
    text = f"{file['path']}: {file['outcome']}, {count(file['events'])} events"
    if file["bytes_dropped"]:
        text += f", {count(file['bytes_dropped'])} bytes of an unfinished event cut off"
    return text + (f" ({file['problem']})" if file["problem"] else "")
