"""Every message between client, broker and node, and the only way from bytes to a message and back.

On the wire a message is one msgpack array `[version, kind, fields]`, at most `MAX_BYTES` long. `decode` checks all of
it before anything is acted on: version, kind, that every field is known, of its type and within its bounds. It
raises `ProtocolError` and nothing else, whatever the bytes are. No pickle, no extension types, no code.

Identity is not in here: who a client is and what it may do comes from the key of its connection. Names of nodes are
checked against the key by the shell.

Numbers and epochs: everything a node sends carries its epoch (one for each start of the daemon) and a number that
grows; every command to a node carries the epoch of the broker, a number that grows, and the epoch of the node it is
meant for. What comes late, twice, or from an earlier life can therefore always be told from what is new.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final

import msgpack
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

VERSION: Final = 1
MAX_BYTES: Final = 1 << 20
"""Longest message; a node with 400 buffers stays below a tenth of it."""
CHUNK_BYTES: Final = 256 * 1024
"""Most bytes of a setup in one message."""
TEXT_MAX: Final = 4000
_MANY: Final = 1024

Name = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Text = Annotated[str, Field(strict=True, max_length=TEXT_MAX)]
Hash = Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{8,64}$")]
"""Names a setup by its content."""
Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
Positive = Annotated[int, Field(strict=True, ge=1, lt=1 << 63)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class ProtocolError(Exception):
    """Bytes that are no message, or a message that is too long to be sent."""


class Ending(enum.Enum):
    """Why a node's part of a run is over, or about to be."""

    NONE = "none"
    EXHAUSTED = "exhausted"
    """Its sources, or the hosts that feed it, had no more events."""
    COMMANDED = "commanded"
    FAILED = "failed"
    """By itself, because something did not work."""


class OnLoss(enum.Enum):
    """What the loss of an essential host does to a run."""

    PAUSE = "pause"
    """Hold the sources until it is back, or the operator decides otherwise."""
    STOP = "stop"


class _Wire:
    """What all parts of messages have in common: a field that is not known is an error."""

    __slots__: tuple[str, ...] = ()
    __pydantic_config__ = ConfigDict(extra="forbid")


# -- parts of messages ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class RequestId(_Wire):
    """One command of one broker to one node."""

    epoch: Positive
    """Of the broker."""
    number: Positive


@dataclass(frozen=True, slots=True)
class BufferLine(_Wire):
    """Figures of one ring on one node; counts since the start of the run."""

    name: Name
    committed: Count
    rate_hz: Number
    bytes_per_s: Number
    fill: Number
    """Fraction of the slots in use."""
    dead_fraction: Number
    blamed: Annotated[tuple[Name, ...], Field(max_length=_MANY)] = ()
    redelivered: Count = 0
    quarantined: Count = 0


@dataclass(frozen=True, slots=True)
class WorkerLine(_Wire):
    """One worker or link process."""

    name: Name
    state: Name
    restarts: Count


@dataclass(frozen=True, slots=True)
class LinkLine(_Wire):
    """Figures of one end of a link."""

    name: Name
    connected: Flag
    rate_hz: Number
    bytes_per_s: Number
    lag: Count
    """Events of the sending ring that have not been sent."""
    unacknowledged: Count
    reconnects: Count
    redelivered: Count
    round_trip_s: Number


@dataclass(frozen=True, slots=True)
class ClockLine(_Wire):
    """The node's wall clock against the broker's."""

    offset_s: Number
    jitter_s: Number
    jumps: Count


@dataclass(frozen=True, slots=True)
class GroupLedger(_Wire):
    """Where the events went that one reader group was to get."""

    name: Name
    committed: Count
    released: Count
    quarantined: Count
    left: Count


@dataclass(frozen=True, slots=True)
class RingLedger(_Wire):
    """All groups of one ring."""

    ring: Name
    groups: Annotated[tuple[GroupLedger, ...], Field(max_length=_MANY)]


@dataclass(frozen=True, slots=True)
class LinkLedger(_Wire):
    """What one end of a link has handed over: acknowledged at the sender, committed at the receiver."""

    link: Name
    is_sender: Flag
    events: Count


@dataclass(frozen=True, slots=True)
class RunEnd(_Wire):
    """A node's account of its part of a run; it is kept until the next run."""

    run: Positive
    verdict: Verdict
    reasons: Annotated[tuple[Text, ...], Field(max_length=_MANY)]
    ending: Ending
    rings: Annotated[tuple[RingLedger, ...], Field(max_length=_MANY)] = ()
    links: Annotated[tuple[LinkLedger, ...], Field(max_length=_MANY)] = ()
    is_ledger_known: Flag = True
    """False if the rings were lost before they could be read (the host was restarted)."""


# -- node to broker ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beat(_Wire):
    """The node is there."""

    node: Name
    epoch: Positive
    number: Positive


@dataclass(frozen=True, slots=True)
class Report(_Wire):
    """All about a node: once a second, and at once when its state changes."""

    node: Name
    epoch: Positive
    number: Positive
    state: State
    setup_id: Hash | None = None
    run: Positive | None = None
    """The run the node is in."""
    ending: Ending = Ending.NONE
    """Why it is leaving the run."""
    failure: Text = ""
    """Why it is in error, why the last command failed, or why the run is ending."""
    running_s: Number = 0.0
    """Time the run has been running here, pauses not counted."""
    events: Count = 0
    """Events of the counted buffer, if it lives here."""
    ended: RunEnd | None = None
    """The last run."""
    cut: Annotated[tuple[Name, ...], Field(max_length=_MANY)] = ()
    """Links of this run that were given up."""
    buffers: Annotated[tuple[BufferLine, ...], Field(max_length=_MANY)] = ()
    workers: Annotated[tuple[WorkerLine, ...], Field(max_length=_MANY)] = ()
    links: Annotated[tuple[LinkLine, ...], Field(max_length=_MANY)] = ()
    clock: ClockLine | None = None


@dataclass(frozen=True, slots=True)
class Done(_Wire):
    """The one answer to a `Do`, given when it has been carried out or refused, with the state after it."""

    request: RequestId
    ok: Flag
    text: Text
    report: Report


@dataclass(frozen=True, slots=True)
class ClockAsk(_Wire):
    """What time is it?"""

    node: Name
    epoch: Positive
    number: Positive


@dataclass(frozen=True, slots=True)
class LogLine(_Wire):
    """One line of a node's log; also from broker to clients."""

    node: Name
    utc_ns: Count
    level: Name
    source: Name
    text: Text


# -- node to its own next life ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory(_Wire):
    """What a node daemon must know after it was killed and started again; written before it becomes true."""

    epoch: Positive
    state: State
    setup_id: Hash | None = None
    run: Positive | None = None
    ending: Ending = Ending.NONE
    failure: Text = ""
    verdict: Verdict = Verdict.GOOD
    """Of the run so far."""
    reasons: Annotated[tuple[Text, ...], Field(max_length=_MANY)] = ()
    cut: Annotated[tuple[Name, ...], Field(max_length=_MANY)] = ()
    running_s: Number = 0.0
    """When this was written."""
    ended: RunEnd | None = None


# -- broker to node ---------------------------------------------------------------------------------------------


class Verb(enum.Enum):
    """What a broker can tell a node to do."""

    CONFIGURE = "configure"
    ARM = "arm"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"
    RESET = "reset"
    SHUTDOWN = "shutdown"
    CUT = "cut"
    """Give up a link whose other end will not come back: the receiver's stream ends, the sender's group is let go."""


@dataclass(frozen=True, slots=True)
class Do(_Wire):
    """A command to one node."""

    request: RequestId
    node_epoch: Positive
    """The life of the node it is meant for."""
    verb: Verb
    run: Positive | None = None
    """The run it is about: all but configure, reset and shutdown."""
    setup_id: Hash | None = None
    link: Name | None = None


@dataclass(frozen=True, slots=True)
class ClockAnswer(_Wire):
    """When the question came and when this was sent, by the broker's wall clock."""

    number: Positive
    received_utc_ns: Count
    sent_utc_ns: Count


# -- client to broker -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask(_Wire):
    """A command of an operator: one of `states.RULES`, or take or surrender (being in charge)."""

    number: Positive
    """Grows with each request of this client; a repeated one gets the same answer."""
    command: Name
    setup_id: Hash | None = None
    comment: Text = ""
    optional: Annotated[tuple[Name, ...], Field(max_length=_MANY)] = ()
    """Hosts that a run can do without."""
    on_loss: OnLoss = OnLoss.PAUSE
    force: Flag = False
    """Take charge from whoever has it."""


@dataclass(frozen=True, slots=True)
class Fetch(_Wire):
    """Give me a part of a setup (node or client to whoever has it)."""

    setup_id: Hash
    offset: Count


@dataclass(frozen=True, slots=True)
class Chunk(_Wire):
    """A part of a setup with all its files, in either direction."""

    setup_id: Hash
    offset: Count
    total: Count
    """Length of the whole."""
    data: Annotated[bytes, Field(strict=True, max_length=CHUNK_BYTES)]


@dataclass(frozen=True, slots=True)
class LogAsk(_Wire):
    """Give me the last lines of the log."""

    lines: Annotated[int, Field(strict=True, ge=1, le=10_000)]


# -- broker to client -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer(_Wire):
    """The one answer to an `Ask`, when it is done, has failed, or was refused."""

    number: Positive
    ok: Flag
    text: Text
    """What happened, or why not, in words."""
    run: Positive | None = None


@dataclass(frozen=True, slots=True)
class NodeLine(_Wire):
    """One node in the cluster's snapshot; its details are in its own `Report`, which the broker passes on."""

    node: Name
    state: State
    presence: Name
    silent_s: Number
    is_in_setup: Flag
    is_optional: Flag
    rate_hz: Number
    """Events a second into all its rings."""
    fill: Number
    """Of its fullest ring."""
    dead_fraction: Number
    """Of its worst ring."""
    text: Text = ""


@dataclass(frozen=True, slots=True)
class Cluster(_Wire):
    """The whole cluster, once a second and at once when something changes."""

    epoch: Positive
    number: Positive
    state: State
    aim: State
    """The state the broker is keeping the nodes in or leading them to."""
    for_s: Number
    """Time in this state."""
    run: Positive | None
    running_s: Number
    events: Count
    in_charge: Text
    text: Text
    """What is being waited for, or what is wrong."""
    setup_id: Hash | None
    reasons: Annotated[tuple[Text, ...], Field(max_length=_MANY)]
    """What keeps the run from being good."""
    nodes: Annotated[tuple[NodeLine, ...], Field(max_length=_MANY)]


FromNode = Beat | Report | Done | ClockAsk | LogLine | Fetch
ToNode = Do | ClockAnswer | Chunk
FromClient = Ask | Fetch | Chunk | LogAsk
ToClient = Answer | Cluster | Report | LogLine | Chunk
Message = FromNode | ToNode | FromClient | ToClient | Memory

_ALL: Final = (
    Beat,
    Report,
    Done,
    ClockAsk,
    LogLine,
    Do,
    ClockAnswer,
    Ask,
    Fetch,
    Chunk,
    LogAsk,
    Answer,
    Cluster,
    Memory,
)
_KINDS: Final[dict[str, type[_Wire]]] = {cls.__name__.lower(): cls for cls in _ALL}
_NAMES: Final = {cls: kind for kind, cls in _KINDS.items()}


def short(text: str) -> str:
    """`text`, cut to what a message may carry."""
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 2] + " …"


def encode(message: Message) -> bytes:
    """The bytes of a message.

    Raises ProtocolError if it would be longer than `MAX_BYTES` or holds what no message can hold.
    """
    kind = _NAMES[type(message)]
    try:
        raw: bytes = msgpack.packb([VERSION, kind, _table(message)], default=_plain)
    except (ValueError, TypeError, OverflowError) as error:
        raise ProtocolError(f"sending {kind}: cannot be written as msgpack: {error}") from error
    if len(raw) > MAX_BYTES:
        raise ProtocolError(f"sending {kind}: {len(raw)} bytes, at most {MAX_BYTES} can be sent")
    return raw


def decode(raw: bytes | bytearray | memoryview) -> Message:
    """The message in `raw`. Raises ProtocolError, and nothing else, if it is not exactly one valid message."""
    size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
    if size > MAX_BYTES:
        raise ProtocolError(f"receiving a message: {size} bytes, at most {MAX_BYTES} are accepted")
    try:
        outer = msgpack.unpackb(raw, use_list=False, strict_map_key=True, ext_hook=_no_extension)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError(f"receiving a message: no msgpack ({type(error).__name__})") from error
    if not isinstance(outer, tuple) or len(outer) != 3:
        raise ProtocolError("receiving a message: expected [version, kind, fields]")
    version, kind, table = outer
    if type(version) is not int or version != VERSION:
        raise ProtocolError(
            f"receiving a message of protocol version {str(version)[:20]}: this is version {VERSION}; "
            "install the same release of mimodaq on all hosts"
        )
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProtocolError(f"receiving a message: unknown kind {str(kind)[:40]!r}")
    if not isinstance(table, dict):
        raise ProtocolError(f"receiving {kind}: its fields are no table")
    try:
        message: Message = _validator(kind)(table)
    except (ValidationError, RecursionError) as error:
        raise ProtocolError(f"receiving {kind}: {_first(error)}") from error
    return message


@cache
def _validator(kind: str) -> Callable[[Any], Any]:
    """Checks the fields of a message; made when the first of its kind comes, so that importing stays cheap."""
    return TypeAdapter(_KINDS[kind]).validate_python


def _table(value: _Wire) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, _Wire):
        return _table(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code} is not used here")


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in detail["loc"])
    return f"{where}: {detail['msg']}"[:300]
