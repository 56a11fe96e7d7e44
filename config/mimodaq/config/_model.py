"""What a setup says, checked and ready to use: buffers, functions, limits, hosts.

Values only; nothing here reads a file. Where something was written is kept beside the values and does not
take part in comparisons, so two setups are equal when they describe the same experiment.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from ._problems import Problem, Where

PLAIN_FIELD = "data"
"""Name of the one field of a buffer whose `data_type` is a numpy type without a name."""


DATA_PORT: Final = 7800
"""First port of a host for events."""
CODECS: Final = ("none", "lz4", "zstd")
HOST_ROLES: Final = ("essential", "optional")
WHEN_LOW: Final = ("stop", "pause", "warn")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of an event."""

    name: str
    dtype: np.dtype[Any]
    """Type of one sample: a boolean, number, time or fixed-length text."""
    samples: int
    """Number of samples in one event."""


@dataclass(frozen=True, slots=True)
class BufferSpec:
    """One ring buffer."""

    name: str
    slots: int
    samples: int
    """Samples of a field in one event, unless the field says otherwise (mimoCoRB: rows of a slot)."""
    fields: tuple[FieldSpec, ...]
    plain: bool = False
    """True if `data_type` is a single numpy type; mimoCoRB's interface then shows no field names."""
    host: str | None = None
    where: Where = field(default=Where(""), compare=False)

    @property
    def event_dtype(self) -> np.dtype[Any]:
        """Planar dtype of one event: every field a sub-array, `[('chA', '<f4', (4250,)), ...]`."""
        return np.dtype([(f.name, f.dtype, (f.samples,)) for f in self.fields])

    @property
    def row_dtype(self) -> np.dtype[Any]:
        """The dtype mimoCoRB gives one of the `samples` rows: `[('chA', '<f4'), ...]`, or a plain type.

        Raises `ValueError` if the fields differ in length, so that there are no rows.
        """
        if any(f.samples != self.samples for f in self.fields):
            raise ValueError(
                f"buffer {self.name!r} has fields of different length, which mimoCoRB functions cannot read: "
                f"give every field {self.samples} samples, or use a plain function"
            )
        if self.plain:
            return self.fields[0].dtype
        return np.dtype([(f.name, f.dtype) for f in self.fields])

    @property
    def size_bytes(self) -> int:
        """Bytes of event data in all slots together."""
        return self.slots * self.event_dtype.itemsize


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function and what it is connected to."""

    name: str
    """Name of the entry, for example `Fkt_2`."""
    module: str
    """Importable module (`mimodaq.functions`) or path of a file without `.py` (`modules/my_filter`)."""
    function: str
    processes: int = 1
    rb_assign: dict[str, str] = field(default_factory=dict)
    """Buffer name to `read`, `write` or `observe`, in the order written."""
    config: dict[str, Any] = field(default_factory=dict)
    """Options of the function, merged from every place where they may stand."""
    host: tuple[str, ...] = ()
    """Hosts it runs on; empty = the host the run is started on."""
    restart: bool | int = True
    """Whether a crashed process is started again, or how often at most."""
    source_file: Path | None = field(default=None, compare=False)
    """The user's file `module` stands for (which may not exist); None for an importable module."""
    where: Where = field(default=Where(""), compare=False)

    @property
    def reads(self) -> tuple[str, ...]:
        """Buffers it reads, in the order of `rb_assign`."""
        return self._with_access("read")

    @property
    def writes(self) -> tuple[str, ...]:
        """Buffers it writes, in the order of `rb_assign`."""
        return self._with_access("write")

    @property
    def observes(self) -> tuple[str, ...]:
        """Buffers it observes, in the order of `rb_assign`."""
        return self._with_access("observe")

    def _with_access(self, access: str) -> tuple[str, ...]:
        return tuple(buffer for buffer, word in self.rb_assign.items() if word == access)


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host that buffers and functions can be put on."""

    name: str
    address: str
    data_port: int = DATA_PORT
    """Where clients may look at its events; its links have the ports above."""
    role: str = HOST_ROLES[0]
    """`essential`, or `optional`: a run can do without it, unless the operator decides otherwise."""
    where: Where = field(default=Where(""), compare=False)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """How the events of a buffer travel between hosts."""

    buffer: str
    codec: str = "none"
    """`lz4` or `zstd` for slow networks."""


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """What is done before a disk is full."""

    when_low: str = "stop"
    """`stop` or `pause` the run when only the reserve is left, or only `warn`."""
    warn_s: float = 3600.0
    """The operator is told when the disk will be full within this time."""
    reserve_bytes: int = 100_000_000
    """Space that no event may take."""
    spill: tuple[Path, ...] = ()
    """Folders on other disks, absolute, where datasets go on."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A whole setup. Equality ignores files, names of files and line numbers."""

    path: Path = field(compare=False)
    """The setup file, absolute."""
    buffers: dict[str, BufferSpec]
    """By name, in the order written."""
    functions: dict[str, FunctionSpec]
    """By name of the entry, in the order written, without `Fkt_main`."""
    output_directory: Path
    """Absolute; run directories are made in it. It need not exist."""
    gui: bool = True
    keyboard: bool = True
    events_limit: int | None = None
    """Stop after so many events of `counted_buffer`; None = no limit."""
    duration_s: float | None = None
    """Stop after so many seconds; None = no limit."""
    hosts: dict[str, HostSpec] = field(default_factory=dict)
    broker: str | None = None
    """Address of the broker of the hosts, for those who name no other; None = not said."""
    links: dict[str, LinkSpec] = field(default_factory=dict)
    """By buffer; links follow from the hosts, this says only how they work."""
    disk: DiskSpec = DiskSpec()
    variables: dict[str, Any] = field(default_factory=dict)
    """Values of `${name}`; they are already put in everywhere else."""
    config_files: tuple[Path, ...] = field(default=(), compare=False)
    """Configuration files that were read besides the setup file, absolute, each once."""
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    """Things that are allowed but probably not meant."""
    places: Mapping[tuple[Hashable, ...], Where] = field(default_factory=dict, compare=False, repr=False)
    """Where each key was written; use `where_of`."""
    _users: dict[tuple[str, str], tuple[FunctionSpec, ...]] = field(init=False, compare=False, repr=False)
    """Functions by buffer and access."""

    def __post_init__(self) -> None:
        users: dict[tuple[str, str], list[FunctionSpec]] = {}
        for function in self.functions.values():
            for use in function.rb_assign.items():
                users.setdefault(use, []).append(function)
        object.__setattr__(self, "_users", {use: tuple(found) for use, found in users.items()})

    @property
    def folder(self) -> Path:
        """The folder of the setup file; relative paths of the setup start here."""
        return self.path.parent

    @property
    def name(self) -> str:
        """File name without suffix."""
        return self.path.stem

    @property
    def run_prefix(self) -> str:
        """What run directories are called before the date: `demo_setup.yaml` -> `demo_`, `setup.yaml` -> ``.

        As mimoCoRB: the name up to "setup"; a name without that word is used whole, with `_` after it.
        """
        before, found, _ = self.name.partition("setup")
        return before if found else f"{self.name}_"

    @property
    def counted_buffer(self) -> str:
        """The buffer whose events `events_limit` counts: the one listed first (mimoCoRB's RB_1)."""
        return next(iter(self.buffers))

    def writers(self, buffer: str) -> tuple[FunctionSpec, ...]:
        """Functions that write `buffer`, in the order written."""
        return self._users.get((buffer, "write"), ())

    def readers(self, buffer: str) -> tuple[FunctionSpec, ...]:
        """Functions that read `buffer`: the reader groups of its ring, in the order written."""
        return self._users.get((buffer, "read"), ())

    def observers(self, buffer: str) -> tuple[FunctionSpec, ...]:
        """Functions that observe `buffer`, in the order written."""
        return self._users.get((buffer, "observe"), ())

    def where_of(self, name: str, *keys: Hashable) -> Where:
        """Where a key of the function or buffer `name` is written, or the nearest thing above it.

        `where_of("Fkt_2", "fkt_name")`, `where_of("Fkt_2", "config", "threshold")` (in whichever file the
        option stands), `where_of("RB_1", "data_type")`. Asking for `file_name` or `fkt_name` of a function
        given as `function: module:name` finds that key, and the other way round.
        """
        path: tuple[Hashable, ...] = (name, *keys)
        if keys and keys[0] in _CODE_KEYS and path not in self.places:
            path = next(((name, k) for k in _CODE_KEYS if (name, k) in self.places), path)
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Where(str(self.path))

    def resolved(self) -> dict[str, Any]:
        """The whole setup as plain values with nothing left to look up; see `mimodaq.config.dump_text`.

        Loading it again gives an equal setup. Relative paths of modules and in options stay relative to
        the folder of the setup file; `output_directory` is absolute.
        """
        from ._resolved import resolve

        return resolve(self)


_CODE_KEYS = ("function", "fkt_name", "file_name")
