"""Which keys a setup may have and of which type, as pydantic models, and what to say when they do not fit.

Imported only when a setup is read, so that importing `mimodaq.config` stays cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ._model import CODECS, DATA_PORT, HOST_ROLES, WHEN_LOW, DiskSpec
from ._problems import Report, nearest, show
from ._quantities import parse_quantity
from ._yaml import Document, KeyPath

NOT_GOOD: Final = ("repeat", "mark", "stop")
_LAST_PORT: Final = 65000
ACCESS_WORDS = ("read", "write", "observe")


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flag(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


def _seconds(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError(f"expected a time such as '2 h', found {show(value)}")
    seconds = parse_quantity(value, "s")
    if seconds < 0:
        raise ValueError(f"must not be negative, found {show(value)}")
    return seconds


def _bytes(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError(f"expected a size such as '500 MB', found {show(value)}")
    size = parse_quantity(value, "B")
    if size < 0:
        raise ValueError(f"must not be negative, found {show(value)}")
    return int(size)


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _restart(value: Any) -> bool | int:
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return value
    raise ValueError(f"expected true, false or how often at most, found {show(value)}")


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Bytes = Annotated[int, BeforeValidator(_bytes)]


class Entry(BaseModel):
    """A mapping of the setup whose keys are all known."""

    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)


class Limits(Entry):
    """When a run ends; each limit under mimoCoRB's name or its plain one, 0 = no limit."""

    runevents: Annotated[Whole, Field(ge=0)] | None = None
    """Stop after exactly so many events of the buffer listed first; 0 = no limit."""
    events: Annotated[Whole, Field(ge=0)] | None = None
    """The same as `runevents`."""
    runtime: Seconds | None = None
    """Stop after so long a time (`90`, `10 min`, `2 h`); pauses do not count; 0 = no limit."""
    duration: Seconds | None = None
    """The same as `runtime`."""


def _port(value: int) -> int:
    if value > _LAST_PORT:
        raise ValueError(f"at most {_LAST_PORT}, because links use the ports above it, found {value}")
    return value


def _codec(value: str) -> str:
    if value not in CODECS:
        raise ValueError(f"one of {', '.join(CODECS)}, found {value!r}")
    return value


def _one_of(words: Sequence[str], value: str) -> str:
    if value not in words:
        near = nearest(value, words)
        hint = f" (did you mean {near!r}?)" if near else ""
        raise ValueError(f"one of {', '.join(words)}, found {value!r}{hint}")
    return value


class TopLevel(Limits):
    """The whole file."""

    RingBuffer: dict[str, dict[Any, Any]]
    """The buffers, a list of `- NAME: {...}`."""
    Functions: dict[str, dict[Any, Any]]
    """The functions, a list of `- NAME: {...}`; `Fkt_main` holds what concerns all of them."""
    FunctionConfigs: dict[str, Any] = {}
    """Options by the name of the function."""
    output_directory: str = Field(default="target", min_length=1)
    """Where run directories are made."""
    GUI_control: Flag = True
    """The operator's screens on a terminal; false: lines."""
    KBD_control: Flag = True
    """Keys in the terminal where there are no screens."""
    hosts: dict[str, dict[Any, Any]] = {}
    """The hosts of a cluster, by name; none: all is on this host."""
    broker: str | None = Field(default=None, min_length=1)
    """Where the broker of the hosts is (`HOST` or `HOST:PORT`), if neither `--broker` nor `MIMODAQ_BROKER` says so."""
    links: dict[str, dict[Any, Any]] = {}
    """How the events of a buffer travel between hosts, by the name of the buffer."""
    disk: dict[Any, Any] = {}
    """What is done before a disk is full."""
    variables: Any = None
    """Names and values for `${name}` anywhere in the file; `--set name=value` changes them."""
    input: Any = None
    """Short for the variable of this name."""


class MainEntry(Limits):
    """`Fkt_main`."""

    config_file: str | None = None
    """A file with options of all functions, by their names, and limits under `general:`."""


class BufferEntry(Entry):
    """A buffer under `RingBuffer`."""

    number_of_slots: Annotated[Whole, Field(ge=1)]
    """Events the buffer can hold."""
    channel_per_slot: Annotated[Whole, Field(ge=1)] = 1
    """Samples of every field."""
    data_type: Any
    """Fields with their numpy types, for example `{1: [chA, float32]}`."""
    host: str | None = None
    """Where the buffer is; default: where it is written."""


class FunctionEntry(Entry):
    """A function under `Functions`."""

    file_name: str | None = None
    """The module of the function in mimoCoRB's form: `modules/my_filter`."""
    fkt_name: str | None = None
    """The function in that module."""
    function: str | None = None
    """`file.py:name`, `package.module:name`, or the name of a built-in function."""
    num_process: Annotated[Whole, Field(ge=1)] = 1
    """Processes that share the work; each event goes to exactly one of them."""
    RB_assign: dict[str, str] = {}
    """What it does with each buffer: `read` (gets every event), `write`, `observe` (copies of recent events)."""
    config_file: str | None = None
    """A file with options of this function."""
    config: Any = None
    """Options, on top of those from files."""
    host: Annotated[list[str], BeforeValidator(_names)] = []
    """Where it runs: one host, or several that share the events; default: where its buffers are."""
    restart: Annotated[Any, AfterValidator(_restart)] = True
    """Whether a process that died is started again: true, false, or how often at most. Default: not for sources."""


class HostEntry(Entry):
    """A host under `hosts`."""

    address: str = Field(min_length=1)
    """Name or number under which the other hosts reach it."""
    data_port: Annotated[Whole, Field(ge=1024), AfterValidator(_port)] = DATA_PORT
    """The first of its TCP ports for data; links use those above it."""
    role: Annotated[str, AfterValidator(partial(_one_of, HOST_ROLES))] = HOST_ROLES[0]
    """`essential`, or `optional`: a run can do without it, if `--optional` names no others."""


class LinkEntry(Entry):
    """How events of a buffer travel, under `links`."""

    codec: Annotated[str, AfterValidator(_codec)] = "none"
    """Compression: none, lz4 or zstd."""


class DiskEntry(Entry):
    """What is done before a disk is full, under `disk`."""

    when_low: Annotated[str, AfterValidator(partial(_one_of, WHEN_LOW))] = DiskSpec().when_low
    """What happens when only the reserve is left: `stop` or `pause` the run, or only `warn`."""
    warn: Seconds = DiskSpec().warn_s
    """Tell the operator when the disk will be full within this time."""
    reserve: Bytes = DiskSpec().reserve_bytes
    """Space that no event may take, so that files can be closed (`100 MB`)."""
    spill: Annotated[list[str], BeforeValidator(_names)] = []
    """Folders on other disks where datasets go on."""


class QueueFile(Limits):
    """A file that lists runs of a setup."""

    setup: str = Field(default="setup.yaml", min_length=1)
    """The setup, relative to the folder of this file."""
    vary: dict[str, Any] = {}
    """Keys of the setup, each with a list of values: every combination is a run."""
    runs: list[dict[Any, Any]] = []
    """Single runs: keys of the setup with one value each, and `name`, `events`, `duration`."""
    not_good: Annotated[str, AfterValidator(partial(_one_of, NOT_GOOD))] = NOT_GOOD[0]
    """What follows a run that has not ended well: `repeat` it, `mark` it and go on, or `stop`."""
    attempts: Annotated[Whole, Field(ge=1)] = 2
    """How often a run is begun before it is marked."""


EntryT = TypeVar("EntryT", bound=Entry)

_EXPECTED = {
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "string_type": "expected text (put a number in quotes)",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of 'key: value' lines",
}


def read_entry(
    model: type[EntryT], table: dict[Any, Any], name: str, document: Document, path: KeyPath, report: Report
) -> EntryT | None:
    """`table`, found at `path` and called `name` in messages, as a `model`; None if anything is wrong.

    A key without a value counts as not given, as when everything below it is commented out.
    """
    given = {key: value for key, value in table.items() if value is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            location = [part for part in detail["loc"] if part != "[key]"]
            where = document.where(*path, *location)
            key, found = location[0], detail["input"]
            label = f"{name}.{key}" if name else str(key)
            match detail["type"]:
                case "extra_forbidden" | "invalid_key":
                    of = f" in {name}" if name else ""
                    report.add(where, f"unknown key {str(key)!r}{of}", _known_key(key, model, given))
                case "missing" if key in table:
                    report.add(where, f"{label} has no value")
                case "missing":
                    report.add(where, f"{name or 'the setup'} needs the key {str(key)!r}")
                case "greater_than_equal":
                    report.add(where, f"{label} must be at least {detail['ctx']['ge']}, found {show(found)}")
                case "value_error":
                    report.add(where, f"{label}: {detail['ctx']['error']}")
                case kind:
                    expected = _EXPECTED.get(kind, detail["msg"])
                    inner = "".join(f".{part}" for part in location[1:])
                    report.add(where, f"{label}{inner}: {expected}, found {show(found)}")
    return None


def _known_key(key: object, model: type[Entry], given: dict[Any, Any]) -> str:
    """The key that was probably meant: rather one that is missing than one that is there already."""
    missing = [known for known in model.model_fields if known not in given]
    return nearest(key, missing) or nearest(key, model.model_fields)
