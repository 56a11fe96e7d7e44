"""How the sockets of a link are made."""

from __future__ import annotations

import zmq

from mimodaq.link._order import LinkOrder
from mimodaq.protocol.link import HEADER_LIMIT, METADATA_COLUMNS

_BETWEEN_TRIES_MS = 50
_MOST_BETWEEN_TRIES_MS = 500
_CONNECT_MS = 1000
_KEEPALIVE_MS = 2000
"""ZeroMQ's own heartbeats only clear away dead connections; the session has its own."""
_SPARE_MESSAGES = 64


def make_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, order: LinkOrder) -> zmq.Socket[bytes]:
    """A socket with limits and keys, neither bound nor connected.

    What may lie in it is bounded by the window of the session on the way out, and on the way in by the number of
    messages an honest sender may have on the way.
    """
    socket = context.socket(kind)
    settings = order.settings
    socket.linger = 0
    socket.sndhwm = 0
    socket.rcvhwm = settings.window_batches + _SPARE_MESSAGES
    socket.heartbeat_ivl = _KEEPALIVE_MS
    socket.heartbeat_timeout = 3 * _KEEPALIVE_MS
    socket.reconnect_ivl = _BETWEEN_TRIES_MS
    socket.reconnect_ivl_max = _MOST_BETWEEN_TRIES_MS
    socket.connect_timeout = _CONNECT_MS
    socket.ipv6 = "[" in order.endpoint
    if order.secret_key:
        socket.curve_publickey = order.public_key.encode()
        socket.curve_secretkey = order.secret_key.encode()
        if kind == zmq.ROUTER:
            socket.curve_server = True
        else:
            socket.curve_serverkey = order.server_key.encode()
    return socket


def has_input(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received without waiting."""
    state = socket.get(zmq.EVENTS)
    return isinstance(state, int) and bool(state & zmq.POLLIN)


def largest_frame(order: LinkOrder, event_bytes: int) -> int:
    """No frame of an honest sender has more bytes; packing may lengthen what cannot be packed a little."""
    events = max(order.settings.batch_bytes, event_bytes)
    count = order.settings.batch_events(event_bytes)
    return max(HEADER_LIMIT, events + events // 64 + 1024, count * 8 * METADATA_COLUMNS)
