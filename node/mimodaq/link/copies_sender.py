"""The source's end of copies for observers as a process: `python -m mimodaq.link.copies_sender ORDER`."""

from __future__ import annotations

import sys
import time
from typing import Final, assert_never

import zmq

from mimodaq.link._copies import Lookout, frames_of
from mimodaq.link._order import LinkOrder
from mimodaq.link._process import FigureReport, Reports, Signals, identity_of, milliseconds, run_end
from mimodaq.link._socket import Context, connecting_as, has_input, try_send
from mimodaq.protocol import link_copies as protocol
from mimodaq.protocol.link import HEADER_LIMIT, Finish, Garbled, MessageError, Say
from mimodaq.protocol.link_window_messages import decode, encode
from mimodaq.ring import Ring

_FAREWELL_MS: Final = 500
_AT_ONCE: Final = 16
"""Messages handled before time and signals are looked at again."""


class CopiesSender:
    """An observer of a ring that shows it to another host when asked."""

    def __init__(self, order: LinkOrder, reports: Reports) -> None:
        self._reports = reports
        self._ring = Ring.attach(order.segment)
        self._lookout = Lookout(self._ring, order.link)
        self._session = protocol.Source(identity_of(self._ring, order.link), order.settings)
        self._finish: Finish | None = None
        self._context = Context()
        self._order = order
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        socket = connecting_as(self._context, self._order)
        socket.maxmsgsize = HEADER_LIMIT
        socket.sndhwm = 10  # nothing is worth waiting for: the next question comes after the answer
        socket.connect(self._order.endpoint)
        return socket

    def run(self, signals: Signals) -> Finish:
        """Answer until the ring has ended, or until a signal asks for it; RingClosed when the run is aborted."""
        self._reports.send("ready")
        while self._finish is None:
            for told in signals.told():
                self._do(told)
            now = time.monotonic()
            if now >= self._session.deadline(now):
                self._lookout.rest(now)
                status = self._ring.status()
                self._do(protocol.Newest(status.committed - 1, status.is_ended))
            self._report(self._reports.figures)
            if self._finish is None and self._socket.poll(milliseconds(self._session.deadline(now))):
                self._receive()
        self._report(self._reports.last_figures)
        self._lookout.close()
        self._context.destroy(linger=_FAREWELL_MS)
        return self._finish

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            if self._finish is not None or not has_input(self._socket):
                return
            frames = self._socket.recv_multipart(copy=False)
            try:
                self._do(protocol.Heard(b"", decode(frames[0].bytes)))
            except MessageError as error:
                self._do(Garbled(str(error)))

    def _do(self, event: protocol.SourceEvent) -> None:
        for effect in self._session.handle(event, time.monotonic()):
            match effect:
                case protocol.Tell(_, message):
                    self._send([encode(message)])
                case protocol.Show(ask, most):
                    recent = self._lookout.look(most, ask.after, time.monotonic())
                    self._session.figures.copies += len(recent.events)
                    self._send(frames_of(recent, ask.number, self._lookout.dtype))
                case Say():
                    self._reports.record(effect)
                case Finish():
                    self._finish = effect
                case _:
                    assert_never(effect)

    def _send(self, frames: list[bytes | memoryview]) -> None:
        """Send, or leave it and connect anew: nobody has read for long, or this end was turned away."""
        if not try_send(self._socket, *frames):
            self._socket.close(linger=0)
            self._socket = self._connect()

    def _report(self, report: FigureReport) -> None:
        now, figures = time.monotonic(), self._session.figures
        report(
            now,
            figures.copies,
            self._ring.dtype.itemsize,
            lambda: {"connected": self._session.is_connected(now), "garbage": figures.garbage, "skipped": 0},
        )


def serve(order: LinkOrder, reports: Reports, signals: Signals) -> Finish:
    """Serve the source's end until it is known how it ends."""
    return CopiesSender(order, reports).run(signals)


if __name__ == "__main__":
    sys.exit(run_end(serve))
