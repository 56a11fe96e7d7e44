"""The sockets of a broker: one for questions and answers, one for what everybody may watch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import zmq

from mimodaq.broker._options import BrokerError, BrokerOptions
from mimodaq.keys import BrokerPair, Endpoints, use_pair
from mimodaq.protocol.codec import MAX_BYTES
from mimodaq.system import let_go_of_the_dead, private_folder

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

_TRIES: Final = 50
_TO_PEER: Final = 16
"""Messages, of 1 MiB at most, kept for one peer that does not read; what is lost is asked for again."""
_FROM_PEER: Final = 64
"""Messages of one peer that may wait to be looked at; more wait where they come from."""
_FEED_MESSAGES: Final = 200
_SUBSCRIPTION_BYTES: Final = 4096
"""Subscriptions are short, but the first messages of a connection with keys count, too."""
_REBIND_S: Final = 5.0
_REBIND_PAUSE_S: Final = 0.001
_LINGER_MS: Final = 1000
"""The last words (a shutdown) are given this time to leave."""
_BACKLOG: Final = 512
"""After a restart of the broker all nodes connect at once."""


def bind(context: Context, options: BrokerOptions, pair: BrokerPair | None) -> tuple[Socket, Socket, Endpoints]:
    """Control and feed socket, bound, and where. Raises BrokerError."""
    for endpoint in (options.endpoints.control, options.endpoints.feed):
        if endpoint.startswith("ipc://"):
            _make_folder(endpoint)
    control = _control(context, options.endpoints, pair)
    feed = feed_socket(context, options.endpoints, pair)
    try:
        return control, feed, _bind_both(control, feed, options.endpoints)
    except zmq.ZMQError as error:
        control.close(0)
        feed.close(0)
        raise BrokerError(
            f"binding the broker to {options.endpoints}: {error.strerror}. If another broker runs here, choose another "
            "--port; if the address is not one of this host, another --bind (0.0.0.0 for all of its networks)"
        ) from error


def _make_folder(endpoint: str) -> None:
    folder = Path(endpoint.removeprefix("ipc://")).parent
    try:
        private_folder(folder)
        if folder.stat().st_mode & 0o077:
            raise BrokerError(
                f"{folder} can be entered by others, so they could command the broker: chmod 700 {folder}"
            )
    except OSError as error:
        raise BrokerError(
            f"making {folder} for the broker's sockets: {error.strerror}. Choose another place"
        ) from error


def _bind_both(control: Socket, feed: Socket, wanted: Endpoints) -> Endpoints:
    if not wanted.control.endswith(":0"):
        control.bind(wanted.control)
        feed.bind(wanted.feed)
        return wanted
    host = wanted.control.removesuffix(":0")
    for attempt in range(_TRIES):
        control.bind(f"{host}:*")
        found = _last_endpoint(control)
        port = int(found.rpartition(":")[2])
        try:
            feed.bind(f"{host}:{port + 1}")
        except zmq.ZMQError:  # taken, or beyond the last port
            if attempt == _TRIES - 1:
                raise
            control.unbind(found)
        else:
            return Endpoints(f"{host}:{port}", f"{host}:{port + 1}")
    raise AssertionError("unreachable")


def _last_endpoint(socket: Socket) -> str:
    found = socket.get(zmq.LAST_ENDPOINT)
    assert isinstance(found, bytes)
    return found.rstrip(b"\0").decode()


def rebind_feed(context: Context, old: Socket, endpoints: Endpoints, pair: BrokerPair | None) -> Socket:
    """A new feed socket in place of the old one: everybody connects again, and only those who still may."""
    old.close(0)
    feed = feed_socket(context, endpoints, pair)
    give_up = time.monotonic() + _REBIND_S
    while True:  # ZeroMQ closes the old one in its own time
        try:
            feed.bind(endpoints.feed)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > give_up:
                feed.close(0)
                raise
            time.sleep(_REBIND_PAUSE_S)
        else:
            return feed


def _control(context: Context, endpoints: Endpoints, pair: BrokerPair | None) -> Socket:
    socket = _socket(context, zmq.ROUTER, endpoints.control, pair)
    socket.maxmsgsize = MAX_BYTES
    socket.sndhwm, socket.rcvhwm = _TO_PEER, _FROM_PEER
    socket.router_handover = True  # a client that comes again goes on where it was
    return socket


def feed_socket(context: Context, endpoints: Endpoints, pair: BrokerPair | None) -> Socket:
    """The feed, not bound."""
    socket = _socket(context, zmq.PUB, endpoints.feed, pair)
    socket.maxmsgsize = _SUBSCRIPTION_BYTES
    socket.sndhwm = _FEED_MESSAGES
    return socket


def _socket(context: Context, kind: int, endpoint: str, pair: BrokerPair | None) -> Socket:
    socket: Socket = context.socket(kind)
    socket.linger = _LINGER_MS
    socket.backlog = _BACKLOG
    let_go_of_the_dead(socket)
    socket.ipv6 = "[" in endpoint
    if pair is not None:
        use_pair(socket, pair)
    return socket


def receive(socket: Socket) -> tuple[bytes, list[zmq.Frame]] | None:
    """Routing id and frames of one message; None if there is none."""
    try:
        head, *frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    return head.bytes, frames


def address_of(frame: zmq.Frame) -> str:
    """From where a frame has come, as far as known."""
    try:
        found: Any = frame.get("Peer-Address")
    except zmq.ZMQError:
        return "this host"
    return str(found) or "this host"
