"""Which keys a setup may have and of which type, as pydantic models, and what to say when they do not fit.

Imported only when a setup is read, so that importing `mimodaq.config` stays cheap.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ._model import CODECS, DATA_PORT
from ._problems import Report, nearest, show
from ._quantities import parse_quantity
from ._yaml import Document, KeyPath

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


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _restart(value: Any) -> bool | int:
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return value
    raise ValueError(f"expected true, false or how often at most, found {show(value)}")


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


class Entry(BaseModel):
    """A mapping of the setup whose keys are all known."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Limits(Entry):
    """When a run ends; each limit under mimoCoRB's name or its plain one, 0 = no limit."""

    runevents: Annotated[Whole, Field(ge=0)] | None = None
    events: Annotated[Whole, Field(ge=0)] | None = None
    runtime: Seconds | None = None
    duration: Seconds | None = None


def _port(value: int) -> int:
    if value > _LAST_PORT:
        raise ValueError(f"at most {_LAST_PORT}, because links use the ports above it, found {value}")
    return value


def _codec(value: str) -> str:
    if value not in CODECS:
        raise ValueError(f"one of {', '.join(CODECS)}, found {value!r}")
    return value


class TopLevel(Limits):
    """The whole file."""

    RingBuffer: dict[str, dict[Any, Any]]
    Functions: dict[str, dict[Any, Any]]
    FunctionConfigs: dict[str, Any] = {}
    output_directory: str = Field(default="target", min_length=1)
    GUI_control: Flag = True
    KBD_control: Flag = True
    hosts: dict[str, dict[Any, Any]] = {}
    links: dict[str, dict[Any, Any]] = {}
    variables: Any = None
    input: Any = None


class MainEntry(Limits):
    """`Fkt_main`."""

    config_file: str | None = None


class BufferEntry(Entry):
    """A buffer under `RingBuffer`."""

    number_of_slots: Annotated[Whole, Field(ge=1)]
    channel_per_slot: Annotated[Whole, Field(ge=1)] = 1
    data_type: Any
    host: str | None = None


class FunctionEntry(Entry):
    """A function under `Functions`."""

    file_name: str | None = None
    fkt_name: str | None = None
    function: str | None = None
    num_process: Annotated[Whole, Field(ge=1)] = 1
    RB_assign: dict[str, str] = {}
    config_file: str | None = None
    config: Any = None
    host: Annotated[list[str], BeforeValidator(_names)] = []
    restart: Annotated[Any, AfterValidator(_restart)] = True


class HostEntry(Entry):
    """A host under `hosts`."""

    address: str = Field(min_length=1)
    data_port: Annotated[Whole, Field(ge=1024), AfterValidator(_port)] = DATA_PORT


class LinkEntry(Entry):
    """How events of a buffer travel, under `links`."""

    codec: Annotated[str, AfterValidator(_codec)] = "none"


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
