"""The sockets of a session, and what to say when nobody answers."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zmq

from mimodaq.client._embedded_place import meant_by
from mimodaq.client._session_values import KeyRefusedError, SessionError, UnreachableError
from mimodaq.keys import AddressError, Endpoints, Key, KeysError, default_key, endpoints_of, read_key, use_key
from mimodaq.protocol.codec import MAX_BYTES
from mimodaq.protocol.messages import Role
from mimodaq.system import let_go_of_the_dead

CONNECT_S: Final = 5.0
"""Time a broker has to answer."""
SILENT_S: Final = 10.0
"""A broker that is not heard for so long has gone, or the network to it."""
_BETWEEN_TRIES_MS: Final = 100
_MOST_BETWEEN_TRIES_MS: Final = 1000
_WATCHED: Final = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and with which key."""

    endpoints: Endpoints
    key: Key | None

    @property
    def is_plain(self) -> bool:
        """Whether what is said goes to another host without keys."""
        return self.key is None and not self.endpoints.is_local


def targets(address: str, key: Path | Key | None, is_insecure: bool) -> list[Target]:
    """What is meant by what was typed, to be tried one after the other. Raises SessionError."""
    try:
        endpoints = endpoints_of(meant_by(address))
        if isinstance(key, Path):
            key = read_key(key)
        found = _default() if key is None and not is_insecure else None
    except (AddressError, KeysError) as error:
        raise SessionError(str(error)) from error
    if key is not None and key.role is Role.HOST:
        raise SessionError(f"the key {key.name} is that of a host; for commands use an operator's or an observer's")
    if key is not None or is_insecure:
        return [Target(endpoints, key)]
    if endpoints.is_local:  # may be a broker for this host only, or one for others, too
        return [Target(endpoints, None), *([Target(endpoints, found)] if found else [])]
    if found is None:
        raise SessionError(
            f"{endpoints} is another host, so a key is needed: get one from whoever runs the broker "
            "(mimodaq keys create NAME --role operator) and name it, --key FILE"
        )
    return [Target(endpoints, found)]


def _default() -> Key | None:
    path = default_key()
    return read_key(path) if path is not None else None


@dataclass(frozen=True, slots=True)
class Sockets:
    """Question and answer, feed, and what ZeroMQ says about the connection."""

    control: Any
    feed: Any
    monitor: Any

    def close(self) -> None:
        """Let go of all, at once."""
        self.control.disable_monitor()
        for socket in (self.monitor, self.control, self.feed):
            socket.close(0)


def connect(context: Any, endpoints: Endpoints, key: Key | None) -> Sockets:
    """Sockets of a context, blocking or asynchronous, that are connecting."""
    control, feed = context.socket(zmq.DEALER), context.socket(zmq.SUB)
    control.routing_id = b"c" + secrets.token_bytes(15)  # the same after a break, so that a request is known again
    feed.subscribe(b"")
    for socket in (control, feed):
        socket.linger = 0
        socket.maxmsgsize = MAX_BYTES
        let_go_of_the_dead(socket)
        socket.reconnect_ivl = _BETWEEN_TRIES_MS
        socket.reconnect_ivl_max = _MOST_BETWEEN_TRIES_MS
        socket.ipv6 = "[" in endpoints.control
        if key is not None:
            use_key(socket, key)
    monitor = control.get_monitor_socket(_WATCHED)
    control.connect(endpoints.control)
    feed.connect(endpoints.feed)
    return Sockets(control, feed, monitor)


@dataclass(slots=True)
class Diagnosis:
    """What ZeroMQ has told about the connection; pure."""

    endpoints: Endpoints
    key: Key | None
    is_connected: bool = False
    is_agreed: bool = False
    is_up: bool = False
    """There is a connection now. Without one nothing may be sent: it would be kept for whoever comes next."""
    is_key_refused: bool = False
    is_mismatch: bool = False

    def note(self, frames: list[bytes]) -> bool:
        """An event of the monitor; whether the connection was lost."""
        match int.from_bytes(frames[0][:2], sys.byteorder):  # zmq_socket_monitor(3); pyzmq's reader imports asyncio
            case zmq.EVENT_CONNECTED:
                self.is_connected = True
            case zmq.EVENT_DISCONNECTED:
                self.is_up = False
                return True
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_agreed = self.is_up = True
                self.is_key_refused = self.is_mismatch = False
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.is_key_refused = True
            case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.is_mismatch = True
        return False

    def is_hopeless(self) -> bool:
        """Whether waiting longer will not help."""
        return self.is_key_refused or self.is_mismatch

    def error(self) -> SessionError:
        """Why nobody answers, as far as it is known."""
        where = f"the broker at {self.endpoints}"
        if self.is_key_refused:
            name = self.key.name if self.key else "none"
            return KeyRefusedError(
                f"{where} does not accept this key ({name}): it was revoked, or belongs to another broker. "
                "Get a new one from whoever runs the broker (mimodaq keys create)"
            )
        if self.is_mismatch and self.key is None:
            return KeyRefusedError(f"{where} wants a key: get one from whoever runs it, and name it, --key FILE")
        if self.is_mismatch:
            return KeyRefusedError(
                f"{where} works without keys, so it cannot prove who it is: leave out --key if that is meant"
            )
        if self.is_agreed:
            return UnreachableError(f"{where} is there, but does not answer: see its log; it may be overloaded")
        if self.is_connected and self.key is not None:
            return KeyRefusedError(
                f"{where} does not prove to be the one that the key {self.key.name} was made for: its keys were made "
                "anew, or it is another broker. Get a new key from whoever runs it"
            )
        if self.is_connected:
            return UnreachableError(f"what listens at {self.endpoints} is no broker of mimodaq: see --broker")
        return UnreachableError(
            f"no broker answers at {self.endpoints}: start one there (mimodaq broker), or name another, "
            "--broker ADDRESS[:PORT]"
        )
