"""Give sockets their keys, let in who has a valid one, and tell whose message it is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import zmq
from zmq.auth import Authenticator

from mimodaq.keys._authorized import Authorized
from mimodaq.keys._files import Key
from mimodaq.keys._issue import BrokerPair

_DOMAIN: Final = "mimodaq"


def use_key(socket: zmq.Socket[Any], key: Key) -> None:
    """Let a socket that will connect say who it is, and accept nobody but the broker at the other end."""
    socket.curve_publickey = key.public.encode()
    socket.curve_secretkey = key.secret.encode()
    socket.curve_serverkey = key.broker.encode()


def use_pair(socket: zmq.Socket[Any], pair: BrokerPair) -> None:
    """Let a socket that will be bound accept only those whom the doorkeeper lets in."""
    socket.curve_publickey = pair.public.encode()
    socket.curve_secretkey = pair.secret.encode()
    socket.curve_server = True
    socket.zap_domain = _DOMAIN.encode()


def user_of(frame: zmq.Frame) -> str:
    """Public key of the sender of a frame, as the doorkeeper has noted it; empty on a connection without keys."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


class _Provider:
    """Decides by public key, for zmq.auth."""

    def __init__(self, authorized: Authorized) -> None:
        self.authorized = authorized

    def callback(self, domain: str, key: bytes) -> bool:
        return self.authorized.by_public(key.decode("ascii", "replace")) is not None


class Doorkeeper:
    """Answers ZeroMQ's question whether a key is valid (ZAP, RFC 27), one for a context.

    It is asked when a connection is made, and then no more: who is let in is checked again with every message.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], authorized: Authorized) -> None:
        self._provider = _Provider(authorized)
        self._auth = Authenticator(context)
        self._auth.start()
        self._auth.configure_curve_callback(_DOMAIN, credentials_provider=self._provider)
        self.socket: zmq.Socket[bytes] = self._auth.zap_socket
        """Has input when somebody is at the door; then call `step`."""

    def use(self, authorized: Authorized) -> None:
        """From now on these keys are valid."""
        self._provider.authorized = authorized

    def step(self) -> None:
        """Answer everybody who is at the door."""
        with suppress(zmq.Again):
            while True:
                question = self.socket.recv_multipart(zmq.NOBLOCK)
                with suppress(StopIteration):  # the provider answers at once, so that there is nothing to wait for
                    self._auth.handle_zap_message(question).send(None)

    def close(self) -> None:
        """Let nobody in any more."""
        self._auth.stop()
