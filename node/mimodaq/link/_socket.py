"""How the sockets of a link are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import zmq

from mimodaq.link._order import LinkError, LinkOrder
from mimodaq.protocol.link import HEADER_LIMIT, METADATA_COLUMNS

if TYPE_CHECKING:  # it loads much that a link without keys does not need
    from mimodaq.keys import Authorized, Doorkeeper

_BETWEEN_TRIES_MS = 50
_MOST_BETWEEN_TRIES_MS = 500
_CONNECT_MS = 1000
_KEEPALIVE_MS = 2000
"""ZeroMQ's own heartbeats only clear away dead connections; the session has its own."""
_SPARE_MESSAGES = 64


_MOST_UNREAD = 1000
"""Answers that may wait for a peer that does not read them; what is lost of them, the session makes up for."""


def make_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, order: LinkOrder) -> zmq.Socket[bytes]:
    """A socket with limits and keys, neither bound nor connected.

    What may lie in it is bounded by the window of the session on the way out, and on the way in by the number of
    messages an honest sender may have on the way.
    """
    socket = context.socket(kind)
    settings = order.settings
    socket.linger = 0
    socket.sndhwm = _MOST_UNREAD if kind == zmq.ROUTER else 0
    socket.rcvhwm = settings.window_batches + _SPARE_MESSAGES
    socket.heartbeat_ivl = _KEEPALIVE_MS
    socket.heartbeat_timeout = 3 * _KEEPALIVE_MS
    socket.reconnect_ivl = _BETWEEN_TRIES_MS
    socket.reconnect_ivl_max = _MOST_BETWEEN_TRIES_MS
    socket.connect_timeout = _CONNECT_MS
    socket.ipv6 = "[" in order.endpoint
    if order.secret_key and kind == zmq.ROUTER:
        be_server(socket, order.public_key, order.secret_key)
    elif order.secret_key:
        if not order.server_key:
            raise LinkError(f"link {order.link}: the public key of the receiver is missing")
        be_client(socket, order.public_key, order.secret_key, order.server_key)
    return socket


def be_client(socket: zmq.Socket[bytes], public_key: str, secret_key: str, server_key: str) -> None:
    """Let a socket that will connect say who it is, and accept nobody else at the other end."""
    socket.curve_publickey = public_key.encode()
    socket.curve_secretkey = secret_key.encode()
    socket.curve_serverkey = server_key.encode()


def be_server(socket: zmq.Socket[bytes], public_key: str, secret_key: str) -> None:
    """Let a socket that will be bound accept only those whom a doorkeeper lets in."""
    from mimodaq.keys import BrokerPair, use_pair

    use_pair(socket, BrokerPair(public_key, secret_key))


def doorkeeper(context: zmq.Context[zmq.Socket[bytes]], keys: Iterable[str]) -> Doorkeeper:
    """Somebody who lets in the owners of these public keys and turns away all others; asked for before `bind`."""
    from mimodaq.keys import Doorkeeper

    return Doorkeeper(context, authorized(keys))


def authorized(keys: Iterable[str]) -> Authorized:
    """These public keys and no others."""
    from mimodaq.keys import Authorized, Grant
    from mimodaq.protocol.messages import Role

    return Authorized.of(Grant(key, Role.HOST, key) for key in keys)


def has_input(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received without waiting."""
    state = socket.get(zmq.EVENTS)
    return isinstance(state, int) and bool(state & zmq.POLLIN)


def largest_frame(order: LinkOrder, event_bytes: int) -> int:
    """No frame of an honest sender has more bytes; packing may lengthen what cannot be packed a little."""
    events = max(order.settings.batch_bytes, event_bytes)
    count = order.settings.batch_events(event_bytes)
    return max(HEADER_LIMIT, events + events // 64 + 1024, count * 8 * METADATA_COLUMNS)
