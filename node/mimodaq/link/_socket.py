"""How the sockets of links are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import zmq

from mimodaq.link._order import LinkError, LinkOrder
from mimodaq.protocol.link import HEADER_LIMIT, METADATA_COLUMNS
from mimodaq.system import let_go_of_the_dead

if TYPE_CHECKING:  # it loads much that a link without keys does not need
    from mimodaq.keys import Authorized

Context = zmq.Context[zmq.Socket[bytes]]

_BETWEEN_TRIES_MS: Final = 50
_MOST_BETWEEN_TRIES_MS: Final = 500
_MOST_BATCHES: Final = 8
"""Batches of a sender that keeps to no window that may wait in memory; an honest one seldom has more on the way."""
_COPIED_BYTES: Final = 4096
"""To copy so few is cheaper than to keep track of them."""
_MOST_UNREAD: Final = 1000
"""Answers that may wait for a peer that does not read them; what is lost of them, the session makes up for."""


class Bound:
    """A ROUTER where others connect: anybody, or with keys only those whose public keys are given.

    Who has none of these keys is turned away in the handshake, before anything of what he sends is looked at.
    """

    def __init__(
        self,
        what: str,
        endpoint: str,
        *,
        pair: tuple[str, str],
        client_keys: Iterable[str],
        largest_frame: int,
        most_unread: int = _MOST_UNREAD,
        most_unheard: int = _MOST_UNREAD,
    ) -> None:
        self._context = Context()
        self._poller = zmq.Poller()
        self._door = None
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self.socket.sndhwm, self.socket.rcvhwm = most_unread, most_unheard
        self.socket.maxmsgsize = largest_frame
        _prepare(self.socket, endpoint)
        try:
            if pair[1]:
                from mimodaq.keys import BrokerPair, Doorkeeper, use_pair

                self._door = Doorkeeper(self._context, _authorized(client_keys))
                self._poller.register(self._door.socket, zmq.POLLIN)
                use_pair(self.socket, BrokerPair(*pair))
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close(0)
            raise LinkError(f"{what}: binding {endpoint}: {error}") from error
        self._poller.register(self.socket, zmq.POLLIN)
        self.endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)
        """Where it is bound, with the port in numbers."""

    @classmethod
    def of(cls, order: LinkOrder, event_bytes: int) -> Bound:
        """For the receiving end of a link, with room for what an honest sender may have on the way."""
        what = f"link {order.link}"
        if order.secret_key and not order.client_key:
            raise LinkError(f"{what}: the public key of the sender is missing")
        return cls(
            what,
            order.endpoint,
            pair=(order.public_key, order.secret_key),
            client_keys=[order.client_key],
            largest_frame=largest_frame(order, event_bytes),
            most_unheard=_MOST_BATCHES,
        )

    def poll(self, timeout_ms: int) -> bool:
        """Wait for a message, and see to those at the door meanwhile; whether there may be one."""
        found = self._poller.poll(timeout_ms)
        if self._door is not None and found and found[0][0] is self._door.socket:
            self._door.step()
        return bool(found)

    def admit(self, client_keys: Iterable[str]) -> None:
        """From now on these keys are valid; connections that were made with others stay."""
        if self._door is not None:
            self._door.use(_authorized(client_keys))

    def close(self, farewell_ms: int) -> None:
        """Let the last messages leave for so long, then close."""
        if self._door is not None:
            self._door.close()
        self._context.destroy(linger=farewell_ms)


def _authorized(keys: Iterable[str]) -> Authorized:
    from mimodaq.keys import Authorized, Grant
    from mimodaq.protocol.messages import Role

    return Authorized.of(Grant(key, Role.HOST, key) for key in keys)


def connecting(context: Context, endpoint: str, *, pair: tuple[str, str], server_key: str) -> zmq.Socket[bytes]:
    """A DEALER that is not yet connected; with keys it accepts nobody else at the other end."""
    socket = context.socket(zmq.DEALER)
    _prepare(socket, endpoint)
    if pair[1]:
        if not server_key:
            raise LinkError(f"connecting to {endpoint} with keys: the public key of the other end is missing")
        socket.curve_publickey, socket.curve_secretkey = pair[0].encode(), pair[1].encode()
        socket.curve_serverkey = server_key.encode()
    return socket


def connecting_as(context: Context, order: LinkOrder) -> zmq.Socket[bytes]:
    """The same for the sending end of a link."""
    pair = (order.public_key, order.secret_key)
    return connecting(context, order.endpoint, pair=pair, server_key=order.server_key)


def _prepare(socket: zmq.Socket[bytes], endpoint: str) -> None:
    socket.linger = 0
    let_go_of_the_dead(socket)  # only clears away; the session has heartbeats
    socket.reconnect_ivl = _BETWEEN_TRIES_MS
    socket.reconnect_ivl_max = _MOST_BETWEEN_TRIES_MS
    socket.ipv6 = "[" in endpoint


def has_input(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received without waiting."""
    state = socket.get(zmq.EVENTS)
    return isinstance(state, int) and bool(state & zmq.POLLIN)


def try_send(socket: zmq.Socket[bytes], *frames: bytes | memoryview) -> bool:
    """Send without waiting; false if that is not possible: nobody reads, or this end was turned away at the other.

    Large frames are not copied: they must not change until they have left.
    """
    try:
        for frame in frames[:-1]:
            socket.send(frame, zmq.NOBLOCK | zmq.SNDMORE, copy=len(frame) < _COPIED_BYTES)
        socket.send(frames[-1], zmq.NOBLOCK, copy=len(frames[-1]) < _COPIED_BYTES)
    except zmq.Again:
        return False
    return True


def largest_frame(order: LinkOrder, event_bytes: int) -> int:
    """No frame of an honest sender has more bytes; packing may lengthen what cannot be packed a little."""
    events = max(order.settings.most_batch_bytes, event_bytes)
    count = order.settings.most_batch_events(event_bytes)
    return max(HEADER_LIMIT, events + events // 64 + 1024, count * 8 * METADATA_COLUMNS)
