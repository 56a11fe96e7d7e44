"""The receiving end of a link as a process: `python -m mimodaq.link.receiver ORDER`."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import zmq

from mimodaq.link._order import LinkOrder
from mimodaq.link._pack import unpack
from mimodaq.link._process import FigureReport, Reports, Signals, fresh, identity_of, keep_memory, milliseconds, run_end
from mimodaq.link._socket import Bound, has_input
from mimodaq.protocol import link_receiver as protocol
from mimodaq.protocol.link import (
    METADATA_COLUMNS,
    Batch,
    Cut,
    Finish,
    Gap,
    Garbled,
    GiveUp,
    Kept,
    MessageError,
    Receiver,
    Say,
    Tick,
    check_batch,
    decode,
    encode,
)
from mimodaq.ring import Batch as Slots
from mimodaq.ring import Ring, RingEnding, RingFull, Writer

_FAREWELL_MS: Final = 500
_AT_ONCE: Final = 16
"""Messages handled before time and signals are looked at again."""
_BATCHES_AT_ONCE: Final = 4
"""So many batches that are there are stored in one go: lock, wake-up and acknowledgement cost as much as for one."""


@dataclass(slots=True)
class _Pending:
    """A batch that is accepted and not yet stored, or what is left of it."""

    events: np.ndarray
    """uint8 (count * event_bytes,)."""
    metadata: np.ndarray
    """8-byte words, uint64 (3, count)."""
    sequence: int
    begin: int

    @property
    def left(self) -> int:
        return int(self.metadata.shape[1]) - self.begin


class LinkReceiver:
    """The writer of a mirror: what comes from another host goes into its slots."""

    def __init__(self, order: LinkOrder, reports: Reports) -> None:
        self._order = order
        self._reports = reports
        self._ring = Ring.attach(order.segment)
        self._size = self._ring.dtype.itemsize
        self._writer: Writer | None = None
        place = self._ring.place(order.link)
        if place is None or not place.is_finished:
            self._writer = self._ring.writer(order.link, kept=True)
            place = self._ring.place(order.link)
        assert place is not None
        kept = Kept(place.stream, place.position, place.is_finished, place.previous)
        self._session = Receiver(identity_of(self._ring, order.link), order.settings, kept, fresh, time.monotonic())
        self._backlog: deque[_Pending] = deque()
        self._batch: _Pending | None = None
        self._lag_s = 0.0
        self._finish: Finish | None = None
        self._bound = Bound.of(order, self._size)
        self._socket = self._bound.socket

    def run(self, signals: Signals) -> Finish:
        """Serve the link until it is finished, or until a signal asks for it; RingClosed when the run is aborted."""
        self._reports.send("ready", endpoint=self._bound.endpoint)
        if self._order.give_up:
            self._do(GiveUp())
        while self._finish is None:
            for told in signals.told():
                self._do(told)
            self._store()
            self._look_for_room()
            self._do(Tick())
            self._report(self._reports.figures)
            if self._finish is None and self._bound.poll(milliseconds(self._session.deadline(time.monotonic()))):
                self._receive()
        self._report(self._reports.last_figures)
        self._bound.close(_FAREWELL_MS)
        return self._finish

    def _look_for_room(self) -> None:
        if self._writer is not None and self._session.asks_for_room:
            self._do(protocol.Room(self._writer.room()))

    def _receive(self) -> None:
        waiting = len(self._backlog)
        for _ in range(_AT_ONCE):
            is_enough = len(self._backlog) >= waiting + _BATCHES_AT_ONCE
            if self._finish is not None or is_enough or not has_input(self._socket):
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
        if isinstance(message, Batch):
            self._batch = self._unwrap(message, frames)
        self._do(protocol.Heard(peer, message))
        self._batch = None

    def _unwrap(self, batch: Batch, frames: Sequence[zmq.Frame]) -> _Pending:
        if len(frames) != 3:
            raise MessageError(f"a batch of {len(frames)} frames instead of 3")
        events, metadata = frames[1].buffer, frames[2].buffer
        check_batch(batch, len(events), len(metadata), self._size, self._order.settings.most_batch_bytes)
        if batch.codec != "none":
            events = unpack(batch.codec, events, batch.count * self._size)
        words = np.frombuffer(metadata, "u8").reshape(METADATA_COLUMNS, batch.count)
        return _Pending(np.frombuffer(events, "u1"), words, batch.sequence, 0)

    def _store(self) -> None:
        """Commit what waits, as far as there are slots: as much at once as there are consecutive ones."""
        while self._backlog and self._writer is not None:
            try:
                slots = self._writer.claim(sum([pending.left for pending in self._backlog]), 0.0)
            except RingFull:
                return
            except RingEnding:
                self._do(protocol.MirrorEnding())
                return
            sequence = self._fill(slots)
            self._lag_s = time.time() - float(slots.timestamp[-1])
            self._writer.commit_batch()
            self._do(protocol.Stored(len(slots.events), sequence))

    def _fill(self, slots: Slots) -> int:
        """Copy the oldest events that wait into slots; returns the number, in the source ring, of the last of them."""
        size, count, at, sequence = self._size, len(slots.events), 0, -1
        raw = slots.events.view(np.uint8)
        columns = [column.view("u8") for column in (slots.counter, slots.timestamp, slots.deadtime)]
        while at < count:
            pending = self._backlog[0]
            begin, n = pending.begin, min(pending.left, count - at)
            raw[at * size : (at + n) * size] = pending.events[begin * size : (begin + n) * size]
            for column, words in zip(columns, pending.metadata, strict=True):
                column[at : at + n] = words[begin : begin + n]
            at, pending.begin = at + n, begin + n
            sequence = pending.sequence - pending.left
            if not pending.left:
                self._backlog.popleft()
        return sequence

    def _do(self, event: protocol.Event) -> None:
        for effect in self._session.handle(event, time.monotonic()):
            self._carry_out(effect)

    def _carry_out(self, effect: protocol.Effect) -> None:
        match effect:
            case protocol.Reply(peer, message):
                self._socket.send_multipart((peer, encode(message)))
            case protocol.Store(skip):
                assert self._batch is not None
                self._batch.begin = skip
                self._backlog.append(self._batch)
            case protocol.Discard():
                self._backlog.clear()
            case protocol.BeginStream(stream, position):
                assert self._writer is not None
                self._writer.begin_stream(stream, position)
            case protocol.EndStream():
                assert self._writer is not None
                self._writer.close()
                self._writer = None
            case Gap() | Cut() | Say():
                self._reports.record(effect)
            case Finish():
                self._finish = effect
                if self._writer is not None:
                    self._writer.abandon()
                    self._writer = None
            case _:
                assert_never(effect)

    def _report(self, report: FigureReport) -> None:
        session, figures = self._session, self._session.figures
        report(
            time.monotonic(),
            figures.stored,
            self._size,
            lambda: {
                "connected": session.is_connected,
                "lag_s": self._lag_s,
                "unacknowledged": session.backlog,
                "sessions": figures.sessions,
                "reconnects": max(0, figures.sessions - 1),
                "redelivered": figures.redelivered,
                "garbage": figures.garbage,
            },
        )


def serve(order: LinkOrder, reports: Reports, signals: Signals) -> Finish:
    """Serve the receiving end until it is known how it ends."""
    keep_memory()
    return LinkReceiver(order, reports).run(signals)


if __name__ == "__main__":
    sys.exit(run_end(serve))
