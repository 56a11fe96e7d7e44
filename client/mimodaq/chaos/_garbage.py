"""Senseless bytes, frames and messages for whoever listens; nothing of it may have an effect."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import Final

import zmq

from mimodaq.protocol.codec import encode
from mimodaq.protocol.link import encode as encode_link
from mimodaq.protocol.link_messages import Hello, Ping
from mimodaq.protocol.messages import Beat, Inquire, LogAsk, Topic

_CONNECT_S: Final = 1.0
_MESSAGES: Final = 50
_LONGEST: Final = 4096
_FAREWELL_MS: Final = 200

_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
"""Of ZMTP 3.0 (ZeroMQ RFC 23): signature, version, mechanism, not a server."""
_PROPERTIES: Final = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
_READY: Final = b"\x04" + bytes([len(_PROPERTIES)]) + _PROPERTIES
_HUGE: Final = b"\x02" + (1 << 62).to_bytes(8, "big")
"""Begin of a frame of 2^62 bytes."""


def send_garbage(host: str, port: int, dice: random.Random) -> None:
    """Three strangers: one who does not speak ZeroMQ, one who announces too much, one who sends nonsense in good form.

    Whoever is not let in, or thrown out in the middle, has got what he deserves.
    """
    for begin in (b"", _GREETING, _GREETING + _READY + _HUGE):
        with suppress(OSError), socket.create_connection((host, port), _CONNECT_S) as stranger:
            stranger.sendall(begin + dice.randbytes(dice.randint(1, _LONGEST)))
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, _FAREWELL_MS)
        stranger.connect(f"tcp://{host}:{port}")
        for _ in range(_MESSAGES):
            with suppress(zmq.Again):
                stranger.send_multipart(nonsense(dice), zmq.NOBLOCK)


def nonsense(dice: random.Random) -> list[bytes]:
    """A message that means nothing: chance, or the beginning of one that means something."""
    frames = []
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        if dice.random() < 0.5:
            frames.append(dice.randbytes(dice.randint(0, _LONGEST)))
        else:
            whole = dice.choice(_WHOLE)
            frames.append(whole[: dice.randrange(len(whole))])
    return frames


_WHOLE: Final = (
    encode(Beat("nobody", 1, 1)),
    encode(Inquire(1, Topic.ME)),
    encode(LogAsk(5)),
    encode_link(Hello("link", "a ring", 1, "[]", 24, 1000)),
    encode_link(Ping(1, 1, 1, -1)),
)
