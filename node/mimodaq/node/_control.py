"""The node's line to its broker: messages there and back, the setup in parts. No decisions, no data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import zmq

from mimodaq.keys import Key, use_key
from mimodaq.protocol.codec import MAX_BYTES, ProtocolError, decode, encode
from mimodaq.protocol.messages import Chunk, Fetch, FromNode, Message
from mimodaq.system import let_go_of_the_dead

_QUEUE: Final = 200
"""Messages that may wait for the network; what is newer is left out, as everything is said again."""
_RETRY_MS: Final = 50
_RETRY_MAX_MS: Final = 500
_AT_ONCE: Final = 100


class ControlLine:
    """A DEALER to the broker. It reconnects by itself, and what cannot be sent now is not sent."""

    def __init__(self, endpoint: str, key: Key | None) -> None:
        self._context = zmq.Context[zmq.Socket[bytes]]()
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.linger = 200
        socket.immediate = True
        socket.sndhwm = _QUEUE
        socket.rcvhwm = _QUEUE
        socket.maxmsgsize = MAX_BYTES
        socket.reconnect_ivl, socket.reconnect_ivl_max = _RETRY_MS, _RETRY_MAX_MS
        let_go_of_the_dead(socket)
        socket.ipv6 = "[" in endpoint
        if key is not None:
            use_key(socket, key)
        socket.connect(endpoint)
        self.fd = int(socket.get(zmq.FD))
        self.garbage = 0
        """Messages that could not be understood."""

    def wait(self, timeout_s: float) -> None:
        """Wait until the broker is connected; what is said before is not heard."""
        self._socket.poll(math.ceil(timeout_s * 1000), zmq.POLLOUT)

    def send(self, message: FromNode) -> bool:
        """Send if the broker is connected; whether it was."""
        with suppress(zmq.Again):
            self._socket.send(encode(message), zmq.NOBLOCK)
            return True
        return False

    def received(self) -> Iterator[Message]:
        """What has come. Call it after every `fd` event and every `send`: the descriptor tells of changes only."""
        for _ in range(_AT_ONCE):
            try:
                raw: Any = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                yield decode(raw)
            except ProtocolError:
                self.garbage += 1

    @property
    def has_input(self) -> bool:
        """Whether something can be received now."""
        return bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN)

    def close(self) -> None:
        """Send what is waiting, for a moment, and close."""
        self._context.destroy()


@dataclass(slots=True)
class Fetching:
    """A setup on its way to this node, in parts; each part is asked for when the one before has come."""

    setup_id: str
    retry_s: float = 1.0
    _parts: bytearray = field(default_factory=bytearray)
    _asked: float = float("-inf")

    def ask(self, now: float) -> Fetch | None:
        """What to ask for at monotonic time `now`; None if the answer to the last question may still come."""
        if now - self._asked < self.retry_s:
            return None
        self._asked = now
        return Fetch(self.setup_id, len(self._parts))

    def take(self, chunk: Chunk) -> bytes | None:
        """A part has come; the whole when it is complete."""
        if chunk.setup_id != self.setup_id or chunk.offset != len(self._parts):
            return None
        self._parts += chunk.data
        self._asked = float("-inf")
        return bytes(self._parts) if len(self._parts) >= chunk.total else None
