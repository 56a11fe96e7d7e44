"""`mimodaq replay`: the setup of a recorded run again, on the events it recorded."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimodaq.client._exit import UsageError
from mimodaq.client._run import RunRequest, guarded, run
from mimodaq.config import FunctionSpec, Setup, dump_text, load_setup


def replay(
    run_dir: Path, output: Path | None, speed: str, overrides: Sequence[str], headless: bool, as_json: bool
) -> int:
    """Run the setup kept in `run_dir` again; returns the exit code of the run, 2 when the run cannot be repeated."""

    def work() -> int:
        with tempfile.TemporaryDirectory(prefix="mimodaq-replay-") as folder:
            setup = prepare(run_dir, Path(folder), speed)
            return run(RunRequest(setup, overrides, output, headless, as_json))

    return guarded(as_json, work)


def prepare(run_dir: Path, folder: Path, speed: str) -> Path:
    """Write the setup of the repetition into `folder`, with the modules of the run; returns its path.

    A source is replaced by a replay of the dataset that the run wrote from the source's buffer. Without one, a source
    that is a replay stays, and so does a simulation, with the seed it had. As many events are taken as the run took.
    Raises UsageError when there is no such dataset, or when `run_dir` is no run.
    """
    from mimodaq.node import RECORD, RESOLVED

    if not (run_dir / RESOLVED).is_file() or not (run_dir / RECORD).is_file():
        raise UsageError(f"{run_dir} is no run directory: it has no {RESOLVED} and {RECORD}")
    record = json.loads((run_dir / RECORD).read_text(encoding="utf-8"))
    for path in run_dir.rglob("*.py"):
        place = folder / path.relative_to(run_dir)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    resolved = folder / f"{Path(record['setup']).stem}.yaml"
    shutil.copyfile(run_dir / RESOLVED, resolved)
    setup = load_setup(resolved)
    content = setup.resolved()
    content["Functions"] = _Repetition(setup, record, run_dir, speed).functions(content["Functions"])
    content["runtime"] = content["runevents"] = 0  # what is replayed ends by itself
    resolved.write_text(dump_text(content), encoding="utf-8")
    return resolved


@dataclass(frozen=True, slots=True)
class _Repetition:
    """A run that is to be repeated."""

    setup: Setup
    record: Mapping[str, Any]
    run_dir: Path
    speed: str

    def functions(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The functions of the repetition, made from those of the run."""
        found: list[dict[str, Any]] = []
        done: set[str] = set()
        for name, entry in ((name, entry) for item in entries for name, entry in item.items()):
            function = self.setup.functions[name]
            if function.reads or function.observes:
                found.append({name: entry})
                continue
            recordings = {buffer: self._recording(buffer) for buffer in function.writes}
            if recordings[function.writes[0]] is None and len(recordings) == 1:
                found.append({name: self._again(function, entry)})
                continue
            for buffer, recording in recordings.items():
                if recording is None:
                    raise _nothing_recorded(buffer)
                if buffer not in done:  # a recording holds the events of all sources of its buffer
                    called = name if buffer == function.writes[0] else f"{name}-{buffer}"
                    found.append({called: self._replay(buffer, {"input": str(recording)})})
                    done.add(buffer)
        return found

    def _replay(self, buffer: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "function": "mimodaq.functions:replay",
            "RB_assign": {buffer: "write"},
            "restart": False,
            "config": {**options, "speed": self.speed},
        }

    def _recording(self, buffer: str) -> Path | None:
        """The dataset that a to_parquet, or the tar that a to_tar, of the run wrote from `buffer`; None without one."""
        from mimodaq.functions.files import output_name

        for function in self.setup.readers(buffer):
            if function.module != "mimodaq.functions" or function.function not in {"to_parquet", "to_tar"}:
                continue
            place = self.run_dir / output_name(function.function, buffer, function.config.get("filename", ""))
            if place.exists() and not function.config.get("columns"):
                return place.resolve()
        return None

    def _again(self, function: FunctionSpec, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The entry of a source that makes the same events again. Raises UsageError when it cannot be known to."""
        buffer, options = function.writes[0], function.config
        taken = self.record["buffers"].get(buffer, {}).get("events", 0)
        is_whole = self.record["end_reason"] == "sources finished"
        # of several processes that were stopped half-way nobody knows who had made what
        if taken and len(self.setup.writers(buffer)) == 1 and (is_whole or function.processes == 1):
            match (function.module, function.function):
                case ("mimodaq.functions", "replay") if is_whole or options.get("repeat", 1) == 1:
                    count = {} if is_whole else {"count": taken}
                    kept = {key: value for key, value in options.items() if key != "rate"}
                    return self._replay(buffer, {**kept, **count, "input": str(self._original(options["input"]))})
                case ("mimodaq.functions", "simulate") if (seed := self._seed(function)) is not None:
                    return {**entry, "config": {**options, "seed": seed, "eventcount": taken}}
        raise _nothing_recorded(buffer)

    def _original(self, given: str) -> Path:
        """The file that a replay has read; it may have been given relative to the folder of its setup."""
        path = Path(given).expanduser()
        for place in (Path(self.record.get("setup_folder", "")), self.run_dir, Path.cwd()):
            if (place / path).exists():
                return (place / path).resolve()
        raise UsageError(f"the run has replayed {given}, which is not there any more: put it back to repeat the run")

    def _seed(self, function: FunctionSpec) -> int | None:
        """The seed of a simulation: given, or chosen and noted by its process."""
        figures = self.record["figures"].get(function.name, {})
        noted = {by_process.get("seed") for by_process in figures.values()}
        given = function.config.get("seed")
        return given if given is not None or len(noted) != 1 else noted.pop()


def _nothing_recorded(buffer: str) -> UsageError:
    return UsageError(
        f"the run recorded no events of {buffer}: add a function with `function: to_parquet` and "
        f"`RB_assign: {{{buffer}: read}}` to the setup, and the next run can be replayed"
    )
