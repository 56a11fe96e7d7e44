"""`mimodaq replay`: the setup of a recorded run again, on the events it recorded."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mimodaq.client._run import RunRequest, UsageError, guarded, run
from mimodaq.config import Setup, dump_text, load_setup

_REPLAY = ("mimodaq.functions", "replay")


def replay(
    run_dir: Path, output: Path | None, speed: str, overrides: Sequence[str], headless: bool, as_json: bool
) -> int:
    """Run the setup kept in `run_dir` again; returns the exit code of the run, 2 when the run cannot be repeated."""

    def work() -> int:
        with tempfile.TemporaryDirectory(prefix="mimodaq-replay-") as folder:
            setup = prepare(run_dir, Path(folder), speed)
            request = RunRequest(setup, overrides, output, headless, as_json)
            return run(request)

    return guarded(as_json, work)


def prepare(run_dir: Path, folder: Path, speed: str) -> Path:
    """Write the setup of the repetition into `folder`, with the modules of the run; returns its path.

    A source that is a replay or a simulation stays, the latter with the seed it had. Every other one is replaced by a
    replay of the dataset that the run wrote from the source's buffer. As many events are taken as the run took. Raises
    UsageError when there is no such dataset, or when `run_dir` is no run.
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
    entries = {name: entry for item in content["Functions"] for name, entry in item.items()}
    taken = record["buffers"].get(setup.counted_buffer, {}).get("events")
    if taken:
        content["runevents"] = taken
    for function in setup.functions.values():
        if function.reads or function.observes or not function.writes:
            continue
        options = dict(function.config)
        if (function.module, function.function) == _REPLAY:
            options["input"] = str(_original(options["input"], setup, run_dir))
            options["speed"] = speed
        elif (
            function.function == "simulate" and (seed := options.get("seed", _seed(record, function.name))) is not None
        ):
            entry = entries[function.name]
            entry["config"] = {**options, "seed": seed}
            continue
        else:
            options = {"input": str(_recording(setup, record, function.writes[0], run_dir)), "speed": speed}
        entry = entries[function.name]
        for key in ("file_name", "fkt_name", "config_file"):
            entry.pop(key, None)
        entry.update({"function": "mimodaq.functions:replay", "num_process": 1, "config": options})
    resolved.write_text(dump_text(content), encoding="utf-8")
    return resolved


def _original(given: str, setup: Setup, run_dir: Path) -> Path:
    """The file a replay read: absolute, in the run directory, or where the user is; the setup's folder is not kept."""
    path = Path(given).expanduser()
    for candidate in (path, run_dir / path, Path.cwd() / path):
        if candidate.exists():
            return candidate.resolve()
    raise UsageError(f"the run replayed {given}, which is not there any more: give it with --set input=FILE")


def _recording(setup: Setup, record: Mapping[str, Any], buffer: str, run_dir: Path) -> Path:
    """The dataset that a to_parquet (or the tar that a to_tar) of the run wrote from `buffer`."""
    for function in setup.readers(buffer):
        if function.function not in {"to_parquet", "to_tar"}:
            continue
        for file in map(Path, record["files"].get(function.name, [])):
            place = run_dir / (file.parent.name if file.suffix == ".parquet" else file.name)  # the run may have moved
            if place.exists():
                return place.resolve()
    raise UsageError(
        f"the run recorded no events of {buffer}: add a function with `function: to_parquet` and "
        f"`RB_assign: {{{buffer}: read}}` to the setup, and the next run can be replayed"
    )


def _seed(record: Mapping[str, Any], function: str) -> int | None:
    """The seed that a simulation without one has chosen and noted."""
    for figures in record["figures"].get(function, {}).values():
        return figures.get("seed")  # type: ignore[no-any-return]
    return None
