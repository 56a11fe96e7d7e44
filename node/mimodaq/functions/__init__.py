"""What workers run: the forms of functions, and the built-in sources, filters and sinks.

Built-ins are imported when they are asked for, so that a worker loads pyarrow, scipy or matplotlib only if
its function needs it.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from mimodaq.functions._adapt import OutputError, run
from mimodaq.functions._forms import (
    Form,
    FormError,
    OptionProblem,
    check_buffers,
    check_options,
    describe,
    form_of,
    options_of,
)
from mimodaq.functions._io import FunctionIO
from mimodaq.functions._load import LoadError, load_function, user_frames
from mimodaq.functions._requires import requires
from mimodaq.functions._surroundings import SetupProblem, Surroundings, check_surroundings, checked_by

BUILTINS: Final = {
    "simulate": "physics",
    "find_peaks": "physics",
    "calculate_decay_time": "physics",
    "double_pulses": "physics",
    "histograms": "physics",
    "waveforms": "physics",
    "plot_histograms": "physics",
    "plot_waveform": "physics",
    "build_events": "building",
    "to_parquet": "files",
    "to_csv": "files",
    "replay": "files",
    "to_tar": "files",
    "drain": "_drain",
    "picoscope": ".picoscope",
}
"""Name of each built-in function and the part it lives in; with a dot: a package beside this one."""

__all__ = [
    "BUILTINS",
    "Form",
    "FormError",
    "FunctionIO",
    "LoadError",
    "OptionProblem",
    "OutputError",
    "SetupProblem",
    "Surroundings",
    "check_buffers",
    "check_options",
    "check_surroundings",
    "checked_by",
    "describe",
    "form_of",
    "load_function",
    "options_of",
    "requires",
    "run",
    "user_frames",
]


def __getattr__(name: str) -> Any:
    if name in BUILTINS:
        return getattr(importlib.import_module(f".{BUILTINS[name]}", __name__), name)
    raise AttributeError(f"mimodaq.functions has no {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *BUILTINS})
