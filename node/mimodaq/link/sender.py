"""The sending end of a link as a process: `python -m mimodaq.link.sender ORDER`."""

from __future__ import annotations

import sys
import time
from typing import Final, assert_never

import numpy as np
import zmq

from mimodaq.link._drop import drop, was_cut
from mimodaq.link._order import LinkOrder
from mimodaq.link._pack import pack
from mimodaq.link._process import FigureReport, Reports, Signals, fresh, identity_of, keep_memory, milliseconds, run_end
from mimodaq.link._socket import Context, connecting_as, has_input, largest_frame, try_send
from mimodaq.protocol import link_sender as protocol
from mimodaq.protocol.link import (
    Batch,
    Cut,
    Finish,
    Gap,
    Garbled,
    GiveUp,
    MessageError,
    Outcome,
    Place,
    Say,
    Sender,
    Tick,
    Transmit,
    decode,
    encode,
)
from mimodaq.ring import Reader, Ring

_ANSWER_S: Final = 0.001
"""While an acknowledgement is due, the socket is looked at for so long between two looks at the ring."""
_QUIET_S: Final = 0.05
"""While none is due, so long a time is spent asleep at the ring, which wakes this process for every event."""
_AT_ONCE: Final = 16
"""Messages handled before time, events and signals are looked at again."""
_FAREWELL_MS: Final = 500
"""How long the last message may take to leave."""


class LinkSender:
    """A member of a reader group whose events go to another host."""

    def __init__(self, order: LinkOrder, reports: Reports) -> None:
        self._order = order
        self._reports = reports
        self._ring = Ring.attach(order.segment)
        self._reader = self._join()
        self._session = Sender(identity_of(self._ring, order.link), order.settings, self._place(), fresh)
        self._context = Context()
        self._socket = self._new_socket()
        self._finish: Finish | None = None

    def _join(self) -> Reader:
        return self._ring.reader(self._order.group, self._order.link, kept=True)

    def _place(self) -> Place:
        return Place(self._reader.stream, self._reader.released, self._reader.taken)

    def run(self, signals: Signals) -> Finish:
        """Serve the link until it is finished, or until a signal asks for it; RingClosed when the run is aborted."""
        self._reports.send("ready")
        self._do(GiveUp() if self._order.give_up else protocol.Begin())
        while self._finish is None:
            for told in signals.told():
                self._do(told)
            self._receive()
            self._move()
            self._do(Tick())
            self._report(self._reports.figures)
        self._report(self._reports.last_figures)
        self._context.destroy(linger=_FAREWELL_MS)
        return self._finish

    def _move(self) -> None:
        """Take events, or wait for whatever comes first."""
        session = self._session
        deadline = session.deadline(time.monotonic())
        if session.asks_for_end:
            self._look_for_end()
        wanted = session.wanted
        if not wanted:
            self._wait(deadline)
            return
        is_quiet = not session.unacknowledged
        patience_s = min(_QUIET_S, max(0.0, deadline - time.monotonic())) if is_quiet else 0.0
        batch = self._reader.take(wanted, patience_s)
        if batch is None:
            self._look_for_end()
            self._wait(time.monotonic() + _ANSWER_S)
        elif len(batch.events):
            self._do(protocol.Taken(len(batch.events)))
        elif not is_quiet:
            self._wait(time.monotonic() + _ANSWER_S)

    def _look_for_end(self) -> None:
        if self._reader.is_at_end():
            self._do(protocol.SourceEnded())

    def _wait(self, until: float) -> None:
        """Wait for a message. Nothing is waited for once all is finished."""
        if self._finish is None:
            self._socket.poll(milliseconds(until))

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            if self._finish is not None or not has_input(self._socket):
                return
            frames = self._socket.recv_multipart(copy=False)
            try:
                self._do(protocol.Heard(decode(frames[0].bytes)))
            except MessageError as error:
                self._do(Garbled(str(error)))

    def _do(self, event: protocol.Event) -> None:
        for effect in self._session.handle(event, time.monotonic()):
            self._carry_out(effect)

    def _carry_out(self, effect: protocol.Effect) -> None:
        match effect:
            case protocol.Connect():
                self._connect()
            case Transmit(message):
                try_send(self._socket, encode(message))
            case protocol.TransmitBatch(nonce, first, count):
                self._send_batch(nonce, first, count)
            case protocol.Release(count):
                self._reader.release(count)
            case protocol.Resign():
                self._reports.record(effect)
                self._reader.resign()
            case protocol.Join():
                self._reader = self._join()
                self._do(protocol.Joined(self._place()))
            case protocol.Doubled() | Gap() | Cut() | Say():
                self._reports.record(effect)
            case Finish(outcome, _):
                self._finish = effect
                match outcome:
                    case Outcome.DONE | Outcome.UNCONFIRMED:
                        self._reader.close()
                    case Outcome.CUT:
                        self._reader.retire()
                    case Outcome.LEFT | Outcome.FATAL:
                        self._reader.abandon()
                    case _:
                        assert_never(outcome)
            case _:
                assert_never(effect)

    def _connect(self) -> None:
        self._socket.close(linger=0)
        self._socket = self._new_socket()
        self._socket.connect(self._order.endpoint)

    def _new_socket(self) -> zmq.Socket[bytes]:
        socket = connecting_as(self._context, self._order)
        socket.sndhwm = 0  # bounded by the window of the session
        socket.maxmsgsize = largest_frame(self._order, self._ring.dtype.itemsize)
        return socket

    def _send_batch(self, nonce: int, first: int, count: int) -> None:
        """Send events from where they lie: their slots cannot change before they are released."""
        codec = self._order.codec
        batch = self._reader.again(first, count)
        sequence = self._reader.sequence_of(first + count - 1)
        events = batch.events.view(np.uint8).data
        metadata = b"".join((batch.counter.data, batch.timestamp.data, batch.deadtime.data))
        header = encode(Batch(nonce, first, count, sequence, codec))
        try_send(self._socket, header, events if codec == "none" else pack(codec, events), metadata)

    def _report(self, report: FigureReport) -> None:
        session, figures = self._session, self._session.figures
        report(
            time.monotonic(),
            figures.acknowledged,
            self._ring.dtype.itemsize,
            lambda: {
                "connected": session.state is protocol.State.OPEN,
                "lag": self._reader.available() if self._finish is None else 0,
                "unacknowledged": session.unacknowledged,
                "reconnects": figures.reconnects,
                "redelivered": figures.resent,
                "round_trip_s": figures.round_trip_s,
                "garbage": figures.garbage,
                "given_back": figures.given_back,
                "doubled": figures.doubled,
            },
        )


def serve(order: LinkOrder, reports: Reports, signals: Signals) -> Finish:
    """Serve the sending end until it is known how it ends."""
    keep_memory()
    ring = Ring.attach(order.segment)
    place = ring.place(order.link, order.group)
    if place is None or not place.is_finished:
        finish = LinkSender(order, reports).run(signals)
        return finish if finish.outcome is not Outcome.CUT else drop(ring, order, reports, signals)
    reports.send("ready")
    if was_cut(ring, order):
        return drop(ring, order, reports, signals)
    return Finish(Outcome.DONE, "the stream was complete before this start")


if __name__ == "__main__":
    sys.exit(run_end(serve))
