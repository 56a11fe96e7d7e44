"""Recorded runs for programs and notebooks: take one, open one, read what it has written.

    run = take_run("setup.yaml", events=2000)
    run = open_run("target/2026-11-22_1510")
    decays = run["RB_3"].to_pandas()

A run can be opened while it goes on, and one that was killed without being recovered: what is read is what was there
at that moment, and `run.state` tells.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mimodaq.client._take import RunError, take

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mimodaq.config import Setup
    from mimodaq.functions.files import EventFile

__all__ = ["NoOutputError", "Output", "RecordedRun", "RunError", "RunState", "open_run", "take_run"]

_KEYS: Final = ("run", "verdict", "reasons", "times", "files", "buffers", "ledger")
"""By these a record is known to be one of ours."""


class NoOutputError(RunError, KeyError):
    """A run has no such output."""

    def __str__(self) -> str:
        """The message; that of a KeyError would be in quotes."""
        return str(self.args[0])


class RunState(Enum):
    """How far a run has come."""

    GOING_ON = "going on"
    ENDED = "ended"
    KILLED = "killed"
    """It did not end by itself; `mimodaq recover` completes its files and its record."""


@dataclass(frozen=True, slots=True)
class Output:
    """Events that a run has written: a dataset or a file.

    Each call opens the file anew, so that a run that goes on gives more each time. `columns` are names of fields, and
    counter, timestamp, deadtime; default all. `start` and `stop` count events, as in a slice. All raise RunError.
    """

    name: str
    """Of the folder, or of the file without its ending."""
    path: Path
    function: str
    """The function that writes it; empty if that is not known."""
    buffer: str
    """The buffer whose events these are; empty if that is not known."""

    @contextmanager
    def open(self, *, skip_corrupt: bool = False) -> Iterator[EventFile]:
        """The events piece by piece: `with output.open() as events: for batch in events.batches(): ...`."""
        from mimodaq.functions.files import CorruptFileError, FilesError, open_events

        try:
            with open_events(self.path, skip_corrupt=skip_corrupt, unfinished=True) as events:
                yield events
        except CorruptFileError as error:
            way_out = (
                "Give skip_corrupt=True to leave out what is damaged" if error.is_skippable else "Use a copy of it"
            )
            raise RunError(f"reading {error.path}: {error.problem}. {way_out}") from error
        except FilesError as error:
            raise RunError(str(error)) from error

    def __len__(self) -> int:
        """How many events there are now."""
        from mimodaq.functions.files import NothingYetError

        try:
            with self.open() as events:
                return events.count
        except RunError as error:
            if isinstance(error.__cause__, NothingYetError):
                return 0
            raise

    @property
    def is_complete(self) -> bool:
        """Whether no event will come any more, and none is waiting for `mimodaq recover`."""
        with self.open() as events:
            return events.is_complete

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields of an event."""
        with self.open() as events:
            return events.dtype.names or ()

    def to_numpy(
        self,
        columns: Sequence[str] | None = None,
        start: int = 0,
        stop: int | None = None,
        *,
        skip_corrupt: bool = False,
    ) -> npt.NDArray[np.void]:
        """A structured array (n,): a scalar is a plain field, a waveform one of shape (samples,)."""
        with self.open(skip_corrupt=skip_corrupt) as events:
            return events.to_numpy(columns, start, stop)

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        start: int = 0,
        stop: int | None = None,
        *,
        skip_corrupt: bool = False,
    ) -> Any:
        """A pyarrow.Table: a waveform is a list of fixed size."""
        with self.open(skip_corrupt=skip_corrupt) as events:
            return events.to_arrow(columns, start, stop)

    def to_pandas(
        self,
        columns: Sequence[str] | None = None,
        start: int = 0,
        stop: int | None = None,
        *,
        skip_corrupt: bool = False,
    ) -> Any:
        """A pandas.DataFrame: a waveform is an array in each row."""
        with self.open(skip_corrupt=skip_corrupt) as events:
            return events.to_pandas(columns, start, stop)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RecordedRun:
    """A run directory at one moment; `open_run` again to see how a run goes on.

    `run["decays"]` is the output of this name, `run["RB_3"]` the only one of a buffer, `run["Fkt_4"]` of a function.
    """

    path: Path
    record: Mapping[str, Any]
    """What run.json says: counts, dead time, ledger, times, figures, versions, ..."""
    state: RunState
    outputs: tuple[Output, ...]
    """All events that it has written; there may be more while it goes on."""

    @property
    def number(self) -> int:
        """Number of the run."""
        return int(self.record["run"])

    @property
    def verdict(self) -> str | None:
        """What it was worth: `good`, or not; None if it has not ended."""
        verdict: str | None = self.record["verdict"]
        return verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not good."""
        return tuple(self.record["reasons"])

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the functions have registered, pictures and counts among them."""
        return tuple(place_in(self.path, name) for names in self.record["files"].values() for name in names)

    def __getitem__(self, name: str) -> Output:
        """The output of this name, or the only one of this function or buffer. Raises NoOutputError."""
        for key in ("name", "function", "buffer"):
            found = [output for output in self.outputs if getattr(output, key) == name]
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(output.name for output in found)
                raise NoOutputError(f"{self}: {name} is written to {names}. Name one of them")
        there = ", ".join(output.name for output in self.outputs) or "none yet"
        raise NoOutputError(f"{self} has no output {name!r}; it has {there}")

    def __str__(self) -> str:
        """The run in a few words."""
        return f"run {self.number} ({self.verdict or self.state.value}) in {self.path}"

    def __repr__(self) -> str:
        """The run and its outputs, for a notebook."""
        outputs = ", ".join(f"{output.name} (of {output.buffer or 'unknown'})" for output in self.outputs)
        return f"<{self}: {outputs or 'no events written'}>"


def open_run(path: str | PathLike[str]) -> RecordedRun:
    """The run in a run directory, whether it has ended, goes on, or was killed.

    Raises RunError: no such directory, a directory of something else, a record that cannot be read.
    """
    from mimodaq.functions.files import event_files
    from mimodaq.node import is_running

    folder = Path(path).expanduser()
    was_running = is_running(folder)  # before the look at the record, which is written before the run is let go
    record = _read_record(folder)
    state = RunState.ENDED if record["verdict"] else RunState.GOING_ON if was_running else RunState.KILLED
    setup = _setup(folder)
    writers = _writers(setup, folder, record)
    files = event_files(folder)
    stems = Counter(_stem(file) for file in files)
    outputs = []
    for file in files:
        name = _stem(file) if stems[_stem(file)] == 1 else file.name
        function = writers.get(file, "")
        buffers = setup.functions[function].reads if setup is not None and function in setup.functions else ()
        outputs.append(Output(name, file, function, next(iter(buffers), "")))
    return RecordedRun(folder, record, state, tuple(outputs))


def take_run(
    setup: str | PathLike[str],
    *,
    events: int | None = None,
    duration_s: float | None = None,
    output: str | PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    quiet: bool = False,
) -> RecordedRun:
    """Take data with a setup on this host, as `mimodaq run` does, and open the run when it has ended.

    events, duration_s: when to stop, instead of what the setup says. output: the run directory, instead of a new one.
    overrides: as `--set`, such as `"Fkt_2.config.threshold=0.05"`. quiet: print nothing while it goes on.

    Ctrl-C (in a notebook: interrupt) stops the run and keeps what was taken. A run that is not good is returned like
    any other: look at `verdict`. Raises RunError when no data could be taken, with the words of `mimodaq run`.
    """
    arguments = [str(setup)]
    arguments += [] if events is None else ["--events", str(events)]
    arguments += [] if duration_s is None else ["--duration", f"{duration_s} s"]
    arguments += [] if output is None else ["--output", str(output)]
    for override in overrides:
        arguments += ["--set", override]
    return open_run(take(arguments, quiet=quiet))


def place_in(folder: Path, name: str) -> Path:
    """Where a file of a record lies now; the run directory may have been moved since."""
    parts = Path(name).parts
    tails = (folder.joinpath(*parts[i:]) for i in range(1, len(parts)))
    return next((path for path in tails if path.exists()), Path(name))


def _stem(file: Path) -> str:
    return file.name if file.is_dir() else file.name.split(".")[0]


def _read_record(folder: Path) -> dict[str, Any]:
    from mimodaq.node import RECORD, is_unbegun, unbegun_in_words

    if not folder.exists():
        raise RunError(
            f"{folder}: there is no such directory. Runs are in the output_directory of their setup (target)"
        )
    if not folder.is_dir():
        raise RunError(f"{folder} is a file. Give the run directory it is in, the one with {RECORD}")
    path = folder / RECORD
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if is_unbegun(folder):
            raise RunError(unbegun_in_words(folder)) from None
        runs = sorted(found.parent.name for found in folder.glob(f"*/{RECORD}"))
        inside = f" There are runs in it: {', '.join(runs[-5:])}" if runs else ""
        raise RunError(f"{folder} is no run directory: it has no {RECORD}.{inside}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"reading {path}: {error}") from error
    try:
        record = json.loads(text)
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}). Its data files can be read alone: open_events(FILE)") from error
    missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if missing:
        raise RunError(f"{path} is not that of a run of mimodaq: it has no {', '.join(missing)}")
    return dict(record)


def _setup(folder: Path) -> Setup | None:
    """The setup of the run; None if it cannot be read, perhaps because it is that of another release."""
    from mimodaq.config import SetupErrors, load_setup
    from mimodaq.node import RESOLVED

    try:
        return load_setup(folder / RESOLVED)
    except SetupErrors:
        return None


def _writers(setup: Setup | None, folder: Path, record: Mapping[str, Any]) -> dict[Path, str]:
    """For files and datasets in the run directory: the function that has registered them, or is to write them."""
    from mimodaq.functions.files import output_name

    found = {}
    for function, names in record["files"].items():
        for path in (place_in(folder, name) for name in names):
            found[path] = function
            found.setdefault(path.parent, function)
    for spec in setup.functions.values() if setup is not None else ():
        if spec.module == "mimodaq.functions" and spec.function in ("to_parquet", "to_csv", "to_tar"):
            options = {key: str(spec.config[key]) for key in ("filename", "separator") if key in spec.config}
            found[folder / output_name(spec.function, spec.reads[0], **options)] = spec.name
    return found
