"""The experiments that are run end to end: projects written for mimoCoRB 1.0, made ready for a measurement.

Both programs get the very same files. The modules are not touched; of the setup and its configuration only this is
changed: the source makes a given number of events without delay and from a seed (or replays a recording), limits of
the run are taken out, and so are the displays (there is none here).
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from mimodaq.client.bench._results import Missing

SEED: Final = 20_26
_SOURCE: Final = "simul_source"
_DISPLAYS: Final = ("plot_waveform", "plot_histograms")
_BUILT_IN: Final = {
    "simul_source": "simulate",
    "replay_source": "replay",
    "find_peaks": "find_peaks",
    "calculate_decay_time": "calculate_decay_time",
    "save_to_txt": "to_csv",
    "save_parquet": "to_parquet",
}
"""Functions of the projects and the built-in ones that do the same."""
_REPLAY: Final = Path(__file__).parent / "peers" / "replay_source.py"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project made ready."""

    folder: Path
    setup: str
    """Name of the setup file in the folder."""


def find_project(checkout: Path, name: str) -> Path:
    """The folder of a project. Raises Missing when the program is installed without its sources."""
    folder = checkout / "tests" / "mimocorb" / "projects" / name
    if not folder.is_dir():
        raise Missing("the project is not here: run this in a clone of the repository")
    return folder


def prepare(project: Path, target: Path, events: int, recording: Path | None = None) -> Prepared:
    """Copy a project to the new folder `target`, for `events` simulated events or those of a recording."""
    setup_path = _copy(project, target)
    setup = yaml.safe_load(setup_path.read_text())
    main = setup["Functions"][0]["Fkt_main"]
    common_path = target / main["config_file"]
    common = yaml.safe_load(common_path.read_text())
    common["general"].update(runtime=0, runevents=0)
    functions = [next(iter(entry.values())) for entry in setup["Functions"][1:]]
    functions = [f for f in functions if f["fkt_name"] not in _DISPLAYS]
    (source,) = (f for f in functions if f["fkt_name"] == _SOURCE)
    if recording is None:
        common[_SOURCE].update(eventcount=events, sleeptime=0, random=False, seed=SEED)
    else:
        shutil.copyfile(_REPLAY, target / "modules" / _REPLAY.name)
        source.update(file_name=f"modules/{_REPLAY.stem}", fkt_name=_REPLAY.stem)
        common[_REPLAY.stem] = {"file": str(recording)}
    setup["Functions"] = [{"Fkt_main": main}, *({f"Fkt_{i}": f} for i, f in enumerate(functions, 1))]
    setup.update(GUI_control=False, KBD_control=False)
    common_path.write_text(yaml.safe_dump(common, sort_keys=False))
    setup_path.write_text(yaml.safe_dump(setup, sort_keys=False))
    return Prepared(target, setup_path.name)


def prepare_built_in(project: Path, target: Path, events: int, recording: Path | None = None) -> Prepared:
    """The same with our built-in functions in place of the project's, with the project's buffers and parameters."""
    prepared = prepare(project, target, events, recording)
    setup_path = target / prepared.setup
    setup = yaml.safe_load(setup_path.read_text())
    common = yaml.safe_load((target / setup["Functions"][0]["Fkt_main"]["config_file"]).read_text())
    functions = []
    for entry in setup["Functions"][1:]:
        ((name, function),) = entry.items()
        function = dict(function)
        theirs = function.pop("fkt_name")
        own = function.pop("config_file", None)
        config = dict(yaml.safe_load((target / own).read_text()) if own else common[theirs])
        if theirs == "save_to_txt":
            config["separator"] = "\t"
        if theirs == _REPLAY.stem:
            config = {"input": config["file"]}
        del function["file_name"]
        functions.append({name: {**function, "function": _BUILT_IN[theirs], "config": config}})
    setup["Functions"] = functions
    setup_path.write_text(yaml.safe_dump(setup, sort_keys=False))
    return prepared


def record(project: Path, path: Path, events: int) -> None:
    """Write simulated events of a project's own simulator to a numpy file that `replay` and `replay_source` read."""
    setup = yaml.safe_load(_setup_of(project).read_text())
    config = yaml.safe_load((project / setup["Functions"][0]["Fkt_main"]["config_file"]).read_text())[_SOURCE]
    buffer = next(iter(setup["RingBuffer"][0].values()))
    channels = [name for name, _ in buffer["data_type"].values()]
    simulate = _simulator(project, {**config, "sleeptime": 0, "seed": SEED})
    dtype = np.dtype(
        [("counter", "<i8"), ("timestamp", "<f8"), *((name, "<f4", (buffer["channel_per_slot"],)) for name in channels)]
    )
    recorded = np.zeros(events, dtype)
    recorded["counter"] = np.arange(events)
    recorded["timestamp"] = 1.7e9 + np.arange(events)
    for i in range(events):
        for name, samples in zip(channels, simulate(len(channels)), strict=True):
            recorded[name][i] = samples
    np.save(path, recorded)


def _simulator(project: Path, config: Mapping[str, Any]) -> Any:
    spec = importlib.util.spec_from_file_location("bench_simulator", project / "modules" / "pulseSimulator.py")
    if spec is None or spec.loader is None:
        raise Missing(f"{project} has no modules/pulseSimulator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pulseSimulator(config)


def _setup_of(folder: Path) -> Path:
    (path,) = folder.glob("*setup.yaml")
    return path


def _copy(project: Path, target: Path) -> Path:
    shutil.copytree(project, target, ignore=shutil.ignore_patterns("__pycache__", "target"))
    return _setup_of(target)
