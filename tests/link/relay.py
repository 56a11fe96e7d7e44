"""Somebody between the two ends of a link who passes everything on, and says much of his own in their names."""

from __future__ import annotations

import random
from collections import deque
from types import TracebackType
from typing import Self

import zmq

from mimodaq.protocol import link
from mimodaq.protocol import link_window_messages as copies
from mimodaq.protocol.link import HEADER_LIMIT, MessageError
from mimodaq.protocol.link_messages import Ack, Bye, Open, Refused, Unknown, Welcome
from mimodaq.protocol.link_window_messages import Ask, Copies, Later

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
        self.acknowledged = 0
        """Up to this event the receiver has acknowledged all."""

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
        if isinstance(message, Ack | Welcome):
            self.acknowledged = max(self.acknowledged, message.position)

    def _say(self, inward: bool, frames: Frames) -> None:
        if inward:
            self._back.send_multipart(frames)
        elif self._peer:
            self._front.send_multipart([self._peer, *frames])

    def _lie(self, inward: bool) -> Frames | None:
        """A replay, something damaged, or noise; None if it would have weight."""
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
        return None if self._has_weight(frames[0]) else frames

    def _has_weight(self, header: bytes) -> bool:
        """Whether this is a valid message of this very session.

        Who can say such a thing in the name of an end can do all that the end can; keys are against that.
        """
        try:
            message = link.decode(header)
        except MessageError:
            return False
        return getattr(message, "nonce", self._nonce) == self._nonce


class FalseReceiver(Relay):
    """Says much in the name of the receiver, to the sender alone; also what an honest one never says."""

    def _lie(self, inward: bool) -> Frames | None:
        if inward or not self._heard[False]:
            return None
        dice = self._dice
        any_number = dice.getrandbits(62) if dice.random() < 0.5 else dice.randrange(5000)
        match dice.randrange(5000):
            case 0:  # all at once is acknowledged, whatever was sent
                return [link.encode(Ack(self._nonce, 1, 1 << 40, 1 << 41, False, True))]
            case 1:  # ZeroMQ ends the connection
                return [bytes(2 * HEADER_LIMIT)]
            case 2 | 3:
                return [link.encode(dice.choice((Bye, Unknown))(self._nonce))]
            case n if n < 1500:
                return [link.encode(Ack(any_number, any_number, any_number, any_number, n % 2 > 0, n % 3 > 0))]
            case n if n < 2000:
                return [link.encode(Welcome(any_number, any_number, 1, any_number, any_number, n % 2 > 0))]
            case n if n < 2500:
                kinds = (Unknown(any_number), Bye(any_number), Refused(any_number, "no"))
                return [link.encode(dice.choice(kinds)), *[dice.randbytes(20)] * dice.randrange(50)]
            case _:
                return super()._lie(False)


class CopiesRelay(Relay):
    """Between the two ends of copies for observers."""

    def _learn(self, header: bytes) -> None:
        pass  # these have no sessions

    def _lie(self, inward: bool) -> Frames | None:
        if not self._heard[inward]:
            return None
        dice = self._dice
        number = dice.choice((0, dice.randrange(5000), dice.getrandbits(62), (1 << 63) - 1))
        match dice.randrange(8):
            case 0 if inward:
                count = dice.randrange(5)
                header = copies.encode(Copies(dice.getrandbits(62), "[]", 24, count, number, False))
                return [header, dice.randbytes(24 * count), dice.randbytes(copies.metadata_bytes(count))]
            case 0:
                return [copies.encode(Ask(dice.getrandbits(62), "ring", number, dice.choice((-1, number))))]
            case 1:
                return [copies.encode(Later(number, number))]
            case _:
                return super()._lie(inward)

    def _has_weight(self, header: bytes) -> bool:
        """Whether this is a valid message; a replay has none."""
        try:
            copies.decode(header)
        except MessageError:
            return False
        return True
