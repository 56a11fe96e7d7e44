"""Looking through the window of a node: recent events of its rings, for displays and notebooks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import zmq

from mimodaq.link._copies import Columns, check_frames, columns_of, dtype_of
from mimodaq.link._order import LinkError
from mimodaq.link._socket import Context, connecting, has_input, try_send
from mimodaq.protocol.counts import Counts, CountsError, Wanted, unpack, write_wanted
from mimodaq.protocol.link import MessageError
from mimodaq.protocol.link_window import ANSWER_BYTES
from mimodaq.protocol.link_window_messages import (
    Ask,
    AskCounts,
    AskSample,
    Copies,
    Counted,
    Denied,
    Later,
    Message,
    Question,
    decode,
    encode,
)

_EVENT_BYTES_MAX: Final = 1 << 30
"""An event that is larger than this was never meant."""


@dataclass(frozen=True, slots=True)
class View(Columns):
    """What a window has shown of a ring."""

    newest: int
    """Number of the newest event of the ring, -1 = none yet."""
    skipped: int
    """Events between the one named by `after` and the newest that were not shown."""
    is_ended: bool
    """No event will come any more."""


class Window:
    """A connection to the window of a node. Not to be shared by threads; use it as a context manager.

    The node shows a limited number of events and bytes per second; `get` waits when it must.
    """

    def __init__(self, endpoint: str, *, public_key: str = "", secret_key: str = "", server_key: str = "") -> None:
        self._endpoint = endpoint
        self._keys = (public_key, secret_key), server_key
        self._context = Context()
        self._number = 0
        self._beginning = secrets.randbits(31)
        self._dtypes: dict[str, np.dtype[np.void]] = {}
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        pair, server_key = self._keys
        socket = connecting(self._context, self._endpoint, pair=pair, server_key=server_key)
        socket.maxmsgsize = max(_EVENT_BYTES_MAX, ANSWER_BYTES)
        socket.connect(self._endpoint)
        return socket

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Closing twice does nothing."""
        self._context.destroy(linger=0)

    def get(self, ring: str, most: int = 1, after: int = -1, timeout: float = 5.0) -> View:
        """The newest events of a ring of the node, at most `most`, with numbers larger than `after`; perhaps none.

        Raises LinkError when the node refuses, TimeoutError when it does not answer for `timeout` seconds.
        """
        answer, frames = self._get(lambda number: Ask(number, ring, most, after), f"looking at {ring}", timeout)
        assert isinstance(answer, Copies)
        return self._view(answer, frames, after)

    def counts(self, function: str = "", timeout: float = 5.0) -> list[Counts]:
        """What the functions of the node count in this run, or one of them. Raises as `get` does."""
        return self._counted(lambda number: AskCounts(number, function), "looking at counts", timeout)

    def sample(self, ring: str, wanted: Sequence[Wanted] = (), timeout: float = 5.0) -> Counts:
        """Histograms of a sample of the events of a ring, by default of all fields; they fill as long as one asks.

        They begin with the first call and are forgotten 10 s after the last one. Raises as `get` does.
        """
        text = write_wanted(wanted)
        doing = f"histograms of {ring}"
        (found,) = self._counted(lambda number: AskSample(number, ring, text, self._beginning), doing, timeout)
        return found

    def begin_anew(self) -> None:
        """Let `sample` give empty histograms at its next call."""
        self._beginning = secrets.randbits(31)

    def _counted(self, question: Callable[[int], Question], doing: str, timeout: float) -> list[Counts]:
        answer, frames = self._get(question, doing, timeout)
        assert isinstance(answer, Counted)
        try:
            return [unpack(frame.bytes) for frame in frames[1:]]
        except CountsError as error:
            raise LinkError(f"{doing} at {self._endpoint}: {error}") from error

    def _get(self, question: Callable[[int], Question], doing: str, timeout: float) -> tuple[Message, list[zmq.Frame]]:
        """Ask until there is more than "later" for an answer."""
        until = time.monotonic() + timeout
        doing = f"{doing} at {self._endpoint}"
        while True:
            self._number += 1
            asked = question(self._number)
            answer, frames = self._ask(asked, doing, until)
            match asked, answer:
                case (Ask(), Copies()) | (AskCounts() | AskSample(), Counted()):
                    return answer, frames
                case _, Later(_, wait_ms) if time.monotonic() + wait_ms / 1000 < until:
                    time.sleep(wait_ms / 1000)
                case _, Denied(_, reason):
                    raise LinkError(f"{doing}: {reason}")
                case _:
                    raise TimeoutError(f"{doing}: it shows no more for {timeout} s")

    def _ask(self, question: Question, doing: str, until: float) -> tuple[Message, list[zmq.Frame]]:
        try_send(self._socket, encode(question))
        while self._socket.poll(self._left_ms(until)):
            while has_input(self._socket):
                frames = self._socket.recv_multipart(copy=False)
                try:
                    answer = decode(frames[0].bytes)
                    if isinstance(answer, Copies):
                        check_frames(answer, frames)
                    if isinstance(answer, Counted) and answer.count != len(frames) - 1:
                        raise MessageError(f"{len(frames) - 1} counts instead of {answer.count}")
                except MessageError as error:
                    raise LinkError(f"{doing}: {error}") from error
                if not isinstance(answer, Question) and getattr(answer, "number", None) == question.number:
                    return answer, frames
        # with the question, which nobody wants to have answered any more; and who was turned away must connect anew
        self._socket.close(linger=0)
        self._socket = self._connect()
        raise TimeoutError(f"{doing}: no answer. Is the node running there, and is this key known to it?")

    @staticmethod
    def _left_ms(until: float) -> int:
        return max(0, int((until - time.monotonic()) * 1000))

    def _dtype(self, copies: Copies) -> np.dtype[np.void]:
        """The record dtype of an answer, remembered: there are only a few."""
        if copies.dtype not in self._dtypes:
            try:
                self._dtypes[copies.dtype] = dtype_of(copies)
            except MessageError as error:
                raise LinkError(f"looking at {self._endpoint}: {error}") from error
        return self._dtypes[copies.dtype]

    def _view(self, copies: Copies, frames: list[zmq.Frame], after: int) -> View:
        columns = columns_of(copies, frames, self._dtype(copies))
        skipped = max(0, copies.newest - after - copies.count) if after >= 0 else 0
        return View(
            columns.events,
            columns.sequence,
            columns.counter,
            columns.timestamp,
            columns.deadtime,
            copies.newest,
            skipped,
            copies.is_ended,
        )
