"""Somebody between the two ends of a link who passes everything on, and says much of his own in their names."""

from __future__ import annotations

import random
from collections import deque
from types import TracebackType
from typing import Self

import zmq

from mimodaq.protocol import link
from mimodaq.protocol.link import MessageError
from mimodaq.protocol.link_messages import Open

Frames = list[bytes]
Keys = tuple[str, str]


class Relay:
    """A ROUTER for the sender, a DEALER towards the receiver; with the keys of both it can do so in their names."""

    def __init__(self, receiver: str, server: Keys = ("", ""), client: Keys = ("", "")) -> None:
        self._context = zmq.Context()
        self._front = self._context.socket(zmq.ROUTER)
        self._back = self._context.socket(zmq.DEALER)
        self._front.sndhwm = 0  # a ROUTER drops what does not fit
        if server[0]:
            self._front.curve_publickey, self._front.curve_secretkey = (key.encode() for key in server)
            self._front.curve_server = True
            self._back.curve_publickey, self._back.curve_secretkey = (key.encode() for key in client)
            self._back.curve_serverkey = server[0].encode()
        self._front.bind("tcp://127.0.0.1:*")
        self.endpoint = self._front.getsockopt_string(zmq.LAST_ENDPOINT)
        self._receiver = receiver
        self._back.connect(receiver)
        self._dice = random.Random(11)
        self._heard: dict[bool, deque[Frames]] = {True: deque(maxlen=500), False: deque(maxlen=500)}
        """What was said towards the receiver (True) and the sender (False)."""
        self._peer = b""
        self._nonce = -1
        self.injected = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def step(self, lies: int) -> None:
        """Pass on what is there, then say so many things of its own to each side."""
        for _ in range(50):
            if not (self._pass_on(True) | self._pass_on(False)):
                break
        else:
            return
        if not lies:
            zmq.select([self._front, self._back], [], [], 0.01)
        for _ in range(lies):
            for inward in (True, False):
                frames = self._lie(inward)
                if frames:
                    self._say(inward, frames)
                    self.injected += 1

    def _pass_on(self, inward: bool) -> bool:
        try:
            frames: Frames = (self._front if inward else self._back).recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        if inward:
            self._peer, *frames = frames
            self._learn(frames[0])
        self._heard[inward].append(frames)
        self._say(inward, frames)
        return True

    def _learn(self, header: bytes) -> None:
        message = link.decode(header)
        if isinstance(message, Open):
            self._nonce = message.nonce

    def _say(self, inward: bool, frames: Frames) -> None:
        if inward:
            self._back.send_multipart(frames)
        elif self._peer:
            self._front.send_multipart([self._peer, *frames])

    def _lie(self, inward: bool) -> Frames | None:
        """A replay, something damaged, or noise; None if it would be a valid message of this very session.

        Who can say such a thing in the name of an end can do all that the end can; keys are against that.
        """
        dice, heard = self._dice, self._heard[inward]
        if not heard:
            return None
        frames = list(heard[dice.randrange(len(heard))])
        match dice.randrange(8):
            case 0 | 1:
                return frames
            case 2:
                return [dice.randbytes(dice.randrange(80)) for _ in range(dice.randrange(1, 5))]
            case 3:
                at, value = dice.randrange(len(frames[0])), dice.randrange(256)
                frames[0] = frames[0][:at] + bytes([value]) + frames[0][at + 1 :]
            case 4:
                frames[0] = frames[0][: dice.randrange(len(frames[0]))]
            case 5 if len(frames) > 1:
                frames[dice.randrange(1, len(frames))] = dice.randbytes(dice.randrange(100))
                return frames
            case 6 if len(frames) > 1:
                return [*frames, b"more"] if dice.random() < 0.5 else frames[:-1]
            case _:
                frames[0] = dice.randbytes(100_000 if dice.random() < 0.001 else 10)
        try:
            message = link.decode(frames[0])
        except MessageError:
            return frames
        return None if getattr(message, "nonce", self._nonce) == self._nonce else frames
