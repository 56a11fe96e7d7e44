"""What is looked at before the run: the options, the buffer, and, on the host that will read it, the scope."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from mimodaq.picoscope._arrange import look_for
from mimodaq.picoscope._calibration import full_scale_of
from mimodaq.picoscope._fields import match_fields
from mimodaq.picoscope._load import LibraryMissingError
from mimodaq.picoscope._options import Fault
from mimodaq.picoscope._settings import Settings, SettingsError, read_settings
from mimodaq.picoscope._simulation import read_simulation
from mimodaq.picoscope._status import ScopeError, ScopeLostError


class Problem(NamedTuple):
    """What is wrong with the entry of the function; the form `mimodaq.functions.check_surroundings` hands on."""

    key: tuple[str, ...]
    message: str
    suggestion: str = ""


class Surroundings(Protocol):
    """The buffers of the function, before the run."""

    @property
    def writes(self) -> Mapping[str, np.dtype[Any]]: ...
    @property
    def processes(self) -> int: ...
    @property
    def is_here(self) -> bool: ...


def check_before_run(config: Mapping[str, Any], around: Surroundings) -> list[Problem]:
    """Everything wrong with the options and the buffer of the source; if it will run here, with library and scope, too.

    The scope is looked for and not opened.
    """
    problems = []
    if around.processes != 1:
        problems.append(Problem(("num_process",), "picoscope: one process reads a scope; write num_process: 1"))
    if len(around.writes) != 1:
        problems.append(Problem(("RB_assign",), f"picoscope writes one buffer, {len(around.writes)} are assigned"))
    try:
        settings = read_settings(config)
    except SettingsError as error:
        return problems + [_problem(fault) for fault in error.faults]
    faults: list[Fault] = []
    read_simulation(settings.simulation, settings.trigger.edge, Path(), faults)
    problems += [_problem(fault) for fault in faults]
    for name, dtype in around.writes.items():
        fields, texts = match_fields(settings, dtype)
        problems += [Problem(("RB_assign", name), f"picoscope: {name}: {text}") for text in texts]
        if fields is not None and fields.is_counts and full_scale_of(settings) is None:
            text = "picoscope: a buffer of counts needs `family` (or `full_scale`): readers must know what a count is"
            problems.append(Problem(("config", "family"), text))
    if around.is_here and not problems and settings.driver == "picosdk":
        problems += _look_for_scope(settings)
    return problems


def _look_for_scope(settings: Settings) -> list[Problem]:
    """Whether the scope that is meant can be opened, as far as that can be told without opening it."""
    try:
        look_for(settings)
    except (ScopeError, ScopeLostError) as error:
        option = "library" if isinstance(error, LibraryMissingError) and settings.library else "family"
        if settings.serial is not None and not isinstance(error, LibraryMissingError):
            option = "serial"
        return [_problem(Fault(option, str(error)))]
    return []


def _problem(fault: Fault) -> Problem:
    return Problem(("config", fault.option), f"picoscope: {fault.message}", fault.suggestion)
