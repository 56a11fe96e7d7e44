"""The mirror's end of copies for observers as a process: `python -m mimodaq.link.copies_receiver ORDER`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Final, assert_never

import numpy as np
import zmq

from mimodaq.link._copies import check_frames, columns_of
from mimodaq.link._order import LinkOrder
from mimodaq.link._process import FigureReport, Reports, Signals, identity_of, milliseconds, run_end
from mimodaq.link._socket import Bound, has_input
from mimodaq.protocol import link_copies as protocol
from mimodaq.protocol.link import Finish, Garbled, Leave, MessageError, Say, Tick
from mimodaq.protocol.link_window_messages import Copies, decode, encode
from mimodaq.ring import Ring, RingEnding, RingFull

_FAREWELL_MS: Final = 500
_AT_ONCE: Final = 16


class CopiesReceiver:
    """The writer of a mirror that holds a sample of recent events while somebody observes it."""

    def __init__(self, order: LinkOrder, reports: Reports) -> None:
        self._reports = reports
        self._ring = Ring.attach(order.segment)
        self._writer = self._ring.writer(order.link)
        self._session = protocol.Mirror(identity_of(self._ring, order.link), order.settings)
        self._finish: Finish | None = None
        self._copies: tuple[Copies, Sequence[zmq.Frame]] | None = None
        self._bound = Bound.of(order, self._ring.dtype.itemsize)
        self._socket = self._bound.socket

    def run(self, signals: Signals) -> Finish:
        """Ask until the source has ended, or until a signal asks for it; RingClosed when the run is aborted."""
        self._reports.send("ready", endpoint=self._bound.endpoint)
        looked = 0.0
        while self._finish is None:
            for told in signals.told():
                self._do(told)
            now = time.monotonic()
            if now - looked >= protocol.LOOK_S:
                looked = now
                self._ring.reap()
                self._do(protocol.Watched(self._ring.status().observers > 0))
            self._do(Tick())
            self._report(self._reports.figures)
            if self._finish is None and self._bound.poll(milliseconds(self._session.deadline(now))):
                self._receive()
        self._report(self._reports.last_figures)
        self._bound.close(_FAREWELL_MS)
        return self._finish

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            if self._finish is not None or not has_input(self._socket):
                return
            peer, *frames = self._socket.recv_multipart(copy=False)
            try:
                self._hear(peer.bytes, frames)
            except MessageError as error:
                self._do(Garbled(str(error)))

    def _hear(self, peer: bytes, frames: Sequence[zmq.Frame]) -> None:
        if not frames:
            raise MessageError("a message without header")
        message = decode(frames[0].bytes)
        if isinstance(message, Copies):
            check_frames(message, frames)
            if message.event_bytes != self._ring.dtype.itemsize:
                raise MessageError(f"copies of events of {message.event_bytes} bytes")
            self._copies = message, frames
        self._do(protocol.Heard(peer, message))
        self._copies = None

    def _keep(self) -> None:
        assert self._copies is not None
        copies = columns_of(*self._copies, self._ring.dtype)
        raw, begin, count = copies.events.view("u1").reshape(len(copies.events), -1), 0, len(copies.events)
        try:
            while begin < count:
                slots = self._writer.claim(count - begin, 0.0)
                end = begin + len(slots.events)
                slots.events.view(np.uint8)[:] = raw[begin:end].reshape(-1)
                slots.counter[:] = copies.counter[begin:end]
                slots.timestamp[:] = copies.timestamp[begin:end]
                slots.deadtime[:] = copies.deadtime[begin:end]
                self._writer.commit_batch()
                begin = end
            self._writer.flush()
        except RingFull:
            pass  # somebody reads this mirror and is slow: what has no room is skipped
        except RingEnding:
            self._do(Leave())
            return
        sequence = copies.sequence
        self._do(protocol.Kept(begin, int(sequence[0]), int(sequence[-1])))

    def _do(self, event: protocol.MirrorEvent) -> None:
        for effect in self._session.handle(event, time.monotonic()):
            match effect:
                case protocol.Tell(peer, message):
                    self._socket.send_multipart((peer, encode(message)))
                case protocol.Keep():
                    self._keep()
                case protocol.EndMirror():
                    self._writer.close()
                case Say():
                    self._reports.record(effect)
                case Finish():
                    self._finish = effect
                case _:
                    assert_never(effect)

    def _report(self, report: FigureReport) -> None:
        now, figures = time.monotonic(), self._session.figures
        report(
            now,
            figures.copies,
            self._ring.dtype.itemsize,
            lambda: {
                "connected": self._session.is_connected(now),
                "reconnects": max(0, figures.sessions - 1),
                "garbage": figures.garbage,
                "skipped": figures.skipped,
            },
        )


def serve(order: LinkOrder, reports: Reports, signals: Signals) -> Finish:
    """Serve the mirror's end until it is known how it ends."""
    return CopiesReceiver(order, reports).run(signals)


if __name__ == "__main__":
    sys.exit(run_end(serve))
