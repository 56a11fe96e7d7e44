"""Every message between client, broker and node, as frozen values; `codec` turns them into bytes and back.

Identity is not in here: who a client is and what it may do comes from the key of its connection. Names of nodes are
checked against the key by the shell.

Numbers and epochs: everything a node sends carries its epoch (one for each start of the daemon) and a number that
grows; every command to a node carries the epoch of the broker, a number that grows, and the epoch of the node it is
meant for. What comes late, twice, or from an earlier life can therefore always be told from what is new.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from mimodaq.protocol.parts import (
    MANY,
    BufferLine,
    ClockLine,
    Count,
    Ending,
    Flag,
    Hash,
    HostLine,
    LinkLine,
    Name,
    Number,
    OnLoss,
    Positive,
    RequestId,
    RunEnd,
    Text,
    Wire,
    WorkerLine,
)
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

CHUNK_BYTES: Final = 256 * 1024
"""Most bytes of a setup in one message."""


INFO_BYTES: Final = 900 * 1024
"""Most bytes of one answer to an inquiry."""
BULK_BYTES: Final = 512 * 1024
Key = Annotated[str, Field(strict=True, pattern=r"^[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$")]
"""Public CURVE key as Z85 text (ZeroMQ RFC 32)."""


class Role(enum.Enum):
    """What the owner of a key may do."""

    HOST = "host"
    OPERATOR = "operator"
    OBSERVER = "observer"


class Topic(enum.Enum):
    """What can be inquired about."""

    STATES = "states"
    """States and commands, see `states.table`."""
    RUNS = "runs"
    RUN = "run"
    """All about one run, with the accounts of its nodes."""
    SETUP = "setup"
    """The setup that is loaded: its plan and its graph."""
    KEYS = "keys"
    ME = "me"
    """Who I am and what I may do."""
    BULK = "bulk"
    """`BULK_BYTES` of nothing, to see how fast they come."""


# -- node to broker ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beat(Wire):
    """The node is there."""

    node: Name
    epoch: Positive
    number: Positive


@dataclass(frozen=True, slots=True)
class Report(Wire):
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
    cut: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()
    """Links of this run that were given up."""
    buffers: Annotated[tuple[BufferLine, ...], Field(max_length=MANY)] = ()
    workers: Annotated[tuple[WorkerLine, ...], Field(max_length=MANY)] = ()
    links: Annotated[tuple[LinkLine, ...], Field(max_length=MANY)] = ()
    clock: ClockLine | None = None
    host: HostLine | None = None


@dataclass(frozen=True, slots=True)
class Done(Wire):
    """The one answer to a `Do`, given when it has been carried out or refused, with the state after it."""

    request: RequestId
    ok: Flag
    text: Text
    report: Report


@dataclass(frozen=True, slots=True)
class ClockAsk(Wire):
    """What time is it?"""

    node: Name
    epoch: Positive
    number: Positive


@dataclass(frozen=True, slots=True)
class LogLine(Wire):
    """One line of a node's log; also from broker to clients."""

    node: Name
    utc_ns: Count
    level: Name
    source: Name
    text: Text
    number: Count = 0
    """Its place in the broker's log: one more for each line, a leap at each start of a broker. 0 if it is in none."""


@dataclass(frozen=True, slots=True)
class PeersAsk(Wire):
    """Who may connect to this node, and whom may it believe?"""

    node: Name
    epoch: Positive
    number: Positive


# -- node to its own next life ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory(Wire):
    """What a node daemon must know after it was killed and started again; written before it becomes true."""

    epoch: Positive
    state: State
    setup_id: Hash | None = None
    run: Positive | None = None
    ending: Ending = Ending.NONE
    failure: Text = ""
    verdict: Verdict = Verdict.GOOD
    """Of the run so far."""
    reasons: Annotated[tuple[Text, ...], Field(max_length=MANY)] = ()
    cut: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()
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
class Do(Wire):
    """A command to one node."""

    request: RequestId
    node_epoch: Positive
    """The life of the node it is meant for."""
    verb: Verb
    run: Positive | None = None
    """The run it is about: all but configure, reset and shutdown."""
    setup_id: Hash | None = None
    link: Name | None = None
    operator: Text = ""
    """With arm: whose run it is, for the record and the data files."""
    comment: Text = ""
    """With arm: what the operator has said of the run."""
    worth: Verdict = Verdict.ABORTED
    """With abort and reset: what that makes of the run, if it was no operator who wanted it first."""


@dataclass(frozen=True, slots=True)
class ClockAnswer(Wire):
    """When the question came and when this was sent, by the broker's wall clock."""

    number: Positive
    received_utc_ns: Count
    sent_utc_ns: Count


@dataclass(frozen=True, slots=True)
class PeerLine(Wire):
    """A key the broker knows."""

    name: Name
    role: Role
    key: Key


@dataclass(frozen=True, slots=True)
class Peers(Wire):
    """All keys that are valid now; asked for by a node, and sent to all nodes when a key is added or revoked."""

    lines: Annotated[tuple[PeerLine, ...], Field(max_length=MANY)]
    is_secure: Flag
    """False if the cluster was told to work without keys."""


# -- client to broker -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask(Wire):
    """A command of an operator, one of `states.RULES`.

    `mark` writes the comment into the log; nobody needs to be in charge for it.
    """

    number: Positive
    """Grows with each request of this client; a repeated one gets the same answer."""
    command: Name
    setup_id: Hash | None = None
    comment: Text = ""
    optional: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()
    """Hosts that a run can do without."""
    on_loss: OnLoss = OnLoss.PAUSE
    force: Flag = False
    """Take charge from whoever has it."""


@dataclass(frozen=True, slots=True)
class Fetch(Wire):
    """Give me a part of a setup (node or client to whoever has it)."""

    setup_id: Hash
    offset: Count


@dataclass(frozen=True, slots=True)
class Chunk(Wire):
    """A part of a setup with all its files, in either direction."""

    setup_id: Hash
    offset: Count
    total: Count
    """Length of the whole."""
    data: Annotated[bytes, Field(strict=True, max_length=CHUNK_BYTES)]


@dataclass(frozen=True, slots=True)
class LogAsk(Wire):
    """Give me the last lines of the log, or what has followed a line."""

    lines: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    after: Count = 0
    """If not 0: the first lines after this number, as many as fit into a message."""


@dataclass(frozen=True, slots=True)
class Inquire(Wire):
    """Tell me something that changes nothing; everybody may ask."""

    number: Positive
    what: Topic
    limit: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 100
    """Most entries of the answer, newest first."""
    run: Positive | None = None
    """For `run`: which one."""


# -- broker to client -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer(Wire):
    """The one answer to an `Ask`, when it is done, has failed, or was refused."""

    number: Positive
    ok: Flag
    text: Text
    """What happened, or why not, in words."""
    run: Positive | None = None


@dataclass(frozen=True, slots=True)
class Info(Wire):
    """The answer to an `Inquire`."""

    number: Positive
    ok: Flag
    data: Annotated[bytes, Field(strict=True, max_length=INFO_BYTES)]
    """JSON; if not ok, why not in words."""


@dataclass(frozen=True, slots=True)
class LogBatch(Wire):
    """Lines of the log, oldest first: the answer to a `LogAsk`."""

    lines: Annotated[tuple[LogLine, ...], Field(max_length=10_000)]
    after: Count = 0
    """As it was asked."""
    is_whole: Flag = True
    """Whether every line between `after` and the first of these is still kept."""


@dataclass(frozen=True, slots=True)
class Refused(Wire):
    """A message of yours was not accepted and has changed nothing; also from broker to node."""

    text: Text
    """Why, and what to do."""


@dataclass(frozen=True, slots=True)
class NodeLine(Wire):
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
class Cluster(Wire):
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
    reasons: Annotated[tuple[Text, ...], Field(max_length=MANY)]
    """What keeps the run from being good."""
    nodes: Annotated[tuple[NodeLine, ...], Field(max_length=MANY)]
    log: Count = 0
    """Number of the newest line of the log; who has not heard that line has missed some."""


FromNode = Beat | Report | Done | ClockAsk | PeersAsk | LogLine | Fetch
ToNode = Do | ClockAnswer | Peers | Chunk | Refused
FromClient = Ask | Fetch | Chunk | LogAsk | Inquire
ToClient = Answer | Cluster | Report | LogLine | LogBatch | Info | Chunk | Refused
Message = FromNode | ToNode | FromClient | ToClient | Memory
