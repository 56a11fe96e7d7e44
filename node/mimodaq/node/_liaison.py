"""What a node has to do with its broker beside commands: the clocks, the keys of the others, setups, the log.

It keeps asking until it is answered, and decides nothing about runs. Without a broker it does nothing, at no cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mimodaq.keys import Key
from mimodaq.node._control import ControlLine, Fetching
from mimodaq.node._links import LinkKeys
from mimodaq.node._log_queue import LogQueue
from mimodaq.protocol.clock import Clock, ClockWatch, Moment
from mimodaq.protocol.messages import (
    Chunk,
    ClockAnswer,
    ClockAsk,
    Do,
    FromNode,
    LogLine,
    Message,
    Peers,
    PeersAsk,
    Refused,
    Role,
)
from mimodaq.protocol.parts import ClockLine
from mimodaq.system import wall_ns

_PEERS_S: Final = 2.0
"""Keys are asked for so often until they have come."""
_LOG_KEPT: Final = 1000
"""Lines kept for the broker while it is not there."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A setup has come as a whole."""

    ticket: int
    setup_id: str
    raw: bytes


class Liaison:
    """The line to the broker, and what is asked and told over it all the time."""

    def __init__(
        self,
        name: str,
        epoch: int,
        endpoint: str,
        key: Key | None,
        *,
        is_insecure: bool,
        say: Callable[[str, str, str], None],
    ) -> None:
        self._name, self._epoch = name, epoch
        self._key, self._is_insecure = key, is_insecure
        self._say = say
        self._line = ControlLine(endpoint, key)
        self.fd = self._line.fd
        self._clock = ClockWatch()
        self._is_clock_off = False
        self._peers: Peers | None = None
        self._peers_at = 0.0
        self._number = 0
        self._fetching: tuple[int, Fetching] | None = None
        self._unsent = LogQueue(_LOG_KEPT)

    def wait(self, timeout_s: float) -> None:
        """Wait until the broker is connected; what is said before is not heard."""
        self._line.wait(timeout_s)

    @property
    def has_input(self) -> bool:
        """Whether the broker has said something."""
        return self._line.has_input

    def deadline(self) -> float:
        """When `keep_up` is next needed at the latest."""
        return self._clock.deadline()

    def keep_up(self, now: float) -> None:
        """Ask for what is due, and send what could not be sent before."""
        if now >= self._clock.deadline():
            step = self._clock.look(_moment())
            if step is not None:
                self._say("warning", f"the clock of this host was set by {step:+.3f} s", "clock")
            number = self._clock.ask(_moment())
            self._line.send(ClockAsk(self._name, self._epoch, number))
        if self._peers is None and now >= self._peers_at:
            self._peers_at = now + _PEERS_S
            self._number += 1
            self._line.send(PeersAsk(self._name, self._epoch, self._number))
        if self._fetching is not None:
            question = self._fetching[1].ask(now)
            if question is not None:
                self._line.send(question)
        self._send_log()

    def received(self) -> Iterator[Do | Peers | Fetched]:
        """What has come and is the node's to act on."""
        for message in self._line.received():
            told = self._hear(message)
            if told is not None:
                yield told

    def _hear(self, message: Message) -> Do | Peers | Fetched | None:
        match message:
            case Do():
                return message
            case Peers():
                self._peers = message
                return message
            case ClockAnswer(number, received, sent):
                step = self._clock.answer(number, received, sent, _moment())
                if step is not None:
                    text = f"the clock of this host against the broker's has jumped by {step:+.3f} s"
                    self._say("warning", text, "clock")
            case Refused(text):
                self._say("error", f"the broker does not accept what this node sends: {text}", "control")
            case Chunk() if self._fetching is not None:
                return self._take(*self._fetching, message)
            case _:
                pass  # nothing that a node waits for
        return None

    def _take(self, ticket: int, fetching: Fetching, chunk: Chunk) -> Fetched | None:
        raw = fetching.take(chunk)
        if raw is None:
            return None
        self._fetching = None
        return Fetched(ticket, fetching.setup_id, raw)

    def fetch(self, ticket: int, setup_id: str) -> None:
        """Ask for a setup until it is here."""
        self._fetching = (ticket, Fetching(setup_id))

    def fetch_no_more(self) -> None:
        """No setup is wanted any more."""
        self._fetching = None

    def send(self, message: FromNode) -> None:
        """Send if the broker is there; what cannot be sent now is said again by itself."""
        self._line.send(message)

    def log(self, line: LogLine) -> None:
        """Send a line of the log, later if the broker is not there."""
        self._unsent.add(line)

    def keys(self) -> LinkKeys:
        """The keys for the links of this node, as far as they are known."""
        key, peers = self._key, self._peers.lines if self._peers is not None else ()
        if key is None:
            return LinkKeys(is_insecure=self._is_insecure)
        hosts = {line.name: line.key for line in peers if line.role is Role.HOST}
        return LinkKeys(key.public, key.secret, hosts, tuple(line.key for line in peers if line.role is not Role.HOST))

    @property
    def clock(self) -> Clock | None:
        """How far the clock of this host is off, if that is known."""
        return self._clock.clock()

    @property
    def clock_line(self) -> ClockLine | None:
        """The same, as it is reported."""
        clock = self.clock
        return ClockLine(clock.offset_s, clock.jitter_s, clock.jumps) if clock is not None else None

    def look_at_clock(self) -> None:
        """Say when the clock of this host is wrong, and when it is right again."""
        clock = self.clock
        is_off = clock is not None and clock.is_off()
        if is_off == self._is_clock_off:
            return
        self._is_clock_off = is_off
        if is_off and clock is not None:
            self._say("warning", f"the clock of this host is {clock.offset_s:+.3f} s off the broker's", "clock")
        else:
            self._say("info", "the clock agrees again", "clock")

    def close(self) -> None:
        """Send what is waiting, for a moment, and close."""
        self._send_log()
        self._line.close()

    def _send_log(self) -> None:
        """Send what is waiting, as far as the line takes it; what is missing before that is told first."""
        loss = self._unsent.loss
        if loss:
            if not self._line.send(LogLine(self._name, wall_ns(), "warning", "log", loss)):
                return
            self._unsent.loss_told()
        while (line := self._unsent.first) is not None and self._line.send(line):
            self._unsent.pop()


def _moment() -> Moment:
    return Moment(time.monotonic(), wall_ns())
