"""The window of a node as a process: `python -m mimodaq.link.window ORDER` shows recent events to clients."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final, assert_never

import zmq

from mimodaq.link._copies import Lookout, frames_of
from mimodaq.link._order import LinkError, WindowOrder
from mimodaq.link._process import Reports, Signals, run_process
from mimodaq.link._sampling import Samples
from mimodaq.link._socket import Bound, has_input
from mimodaq.protocol import link_window as protocol
from mimodaq.protocol.counts import LIVE, CountsError, files_of, pack
from mimodaq.protocol.link import HEADER_LIMIT, Finish, Garbled, MessageError, Outcome, Say
from mimodaq.protocol.link_window_messages import AskSample, Counted, Denied, Question, decode, encode
from mimodaq.ring import Recent, Ring, RingError

_LOOK_S: Final = 1.0
_WAKE_MS: Final = 200
"""Longest sleep without looking whether a signal has come."""
_AT_ONCE: Final = 16
_MOST_UNREAD: Final = 8
"""Answers that may wait for one client."""
_FAREWELL_MS: Final = 100


class NodeWindow:
    """Answers questions about the rings of a node, with copies."""

    def __init__(self, order: WindowOrder, path: Path | None, reports: Reports) -> None:
        self._path = path
        self._reports = reports
        self._lookouts: dict[str, Lookout] = {}
        self._samples = Samples(self._lookout)
        self._budgets = protocol.Budgets(order.node, order.limits)
        self._bound = Bound(
            f"window of {order.node}",
            order.endpoint,
            pair=(order.public_key, order.secret_key),
            client_keys=order.client_keys,
            largest_frame=HEADER_LIMIT,
            most_unread=_MOST_UNREAD,
        )
        self._socket = self._bound.socket
        self._order = order
        self._mark = self._look_at_file()

    def run(self, signals: Signals) -> Finish:
        """Answer until a signal asks for the end."""
        self._reports.send("ready", endpoint=self._bound.endpoint)
        looked = time.monotonic()
        while not (signals.take(signal.SIGTERM) or self._is_abandoned()):
            now = time.monotonic()
            if signals.take(signal.SIGHUP) or now - looked >= _LOOK_S:
                looked = now
                self._refresh(now)
            figures = self._budgets.figures
            self._reports.figures(now, figures.answers, 0, self._figures)
            self._samples.turn(now)
            if self._bound.poll(min(_WAKE_MS, int(1000 * min(1.0, self._samples.wait_s(now))))):
                self._receive()
        for lookout in self._lookouts.values():
            lookout.close()
        self._bound.close(_FAREWELL_MS)
        return Finish(Outcome.LEFT, "told to leave, or the run it belongs to has been cleared away")

    def _is_abandoned(self) -> bool:
        """Whether the folder of the order is gone: that of a run whose node daemon has not come back."""
        return self._path is not None and not self._path.parent.is_dir()

    def _figures(self) -> dict[str, Any]:
        figures = self._budgets.figures
        return {
            "clients": self._budgets.clients,
            "copies": figures.events,
            "size_bytes": figures.size_bytes,
            "postponed": figures.postponed,
            "garbage": figures.garbage,
        }

    # -- the order --------------------------------------------------------------------------------------------

    def _look_at_file(self) -> tuple[int, int]:
        """Changes when the file of the order does; a file that cannot be read is as it was."""
        if self._path is None:
            return (0, 0)
        try:
            found = os.stat(self._path)
        except OSError:
            return self._mark
        return found.st_mtime_ns, found.st_ino

    def _refresh(self, now: float) -> None:
        mark = self._look_at_file()
        if mark != self._mark and self._path is not None:
            self._mark = mark
            try:
                self._use(WindowOrder.decode(self._path.read_text(encoding="utf-8")))
            except (LinkError, OSError, ValueError) as error:
                text = f"window of {self._order.node}: its order was changed and cannot be used: {error}"
                self._reports.record(Say("error", text))
        for lookout in self._lookouts.values():
            lookout.rest(now)

    def _use(self, order: WindowOrder) -> None:
        if order.limits != self._order.limits:
            self._budgets.use(order.limits)
        self._order = order
        self._bound.admit(order.client_keys)
        for name in [name for name, old in self._lookouts.items() if old.ring.segment != order.rings.get(name)]:
            self._lookouts.pop(name).close()
            self._samples.forget_ring(name)

    # -- questions --------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            if not has_input(self._socket):
                return
            peer, *frames = self._socket.recv_multipart(copy=False)
            try:
                if len(frames) != 1:
                    raise MessageError(f"a question of {len(frames)} frames")
                message = decode(frames[0].bytes)
            except MessageError as error:
                self._do(Garbled(str(error)))
                continue
            user = self._user_of(frames[0])
            if user is None and isinstance(message, Question):
                self._answer(peer.bytes, [encode(Denied(message.number, "this key is not valid any more"))])
            elif user is not None:
                self._do(protocol.Heard(peer.bytes, user or peer.bytes.hex(), message))

    def _user_of(self, frame: zmq.Frame) -> str | None:
        """Whose question it is; empty where there are no keys, None for a key that is not valid any more."""
        if not self._order.secret_key:
            return ""
        from mimodaq.keys import user_of

        user = user_of(frame)
        return user if user in self._order.client_keys else None

    def _do(self, event: protocol.Event) -> None:
        for effect in self._budgets.handle(event, time.monotonic()):
            match effect:
                case protocol.Look():
                    self._show(effect)
                case protocol.Count():
                    self._show_counts(effect)
                case protocol.Answer(peer, message):
                    self._answer(peer, [encode(message)])
                case Say():
                    self._reports.record(effect)
                case _:
                    assert_never(effect)

    def _show(self, look: protocol.Look) -> None:
        try:
            lookout = self._lookout(look.ask.ring)
            most = min(look.events, max(1, look.size_bytes // lookout.ring.dtype.itemsize))
            recent: Recent = lookout.look(most, look.ask.after, time.monotonic())
        except RingError as error:
            self._lookouts.pop(look.ask.ring, None)
            self._answer(look.peer, [encode(Denied(look.ask.number, str(error)[:1000]))])
            self._do(protocol.Shown(look.user, 0, 0))
            return
        self._answer(look.peer, frames_of(recent, look.ask.number, lookout.dtype))
        self._do(protocol.Shown(look.user, len(recent.events), recent.events.nbytes))

    def _show_counts(self, count: protocol.Count) -> None:
        ask = count.ask
        try:
            if isinstance(ask, AskSample):
                parts = [pack(self._samples.counts(ask.ring, ask.wanted, ask.beginning, time.monotonic()))]
            else:
                parts = self._counts_of(ask.function)
            size = sum(map(len, parts))
            if size > protocol.ANSWER_BYTES:
                raise CountsError(
                    f"all counts together have {size} bytes, too many for one answer: ask for one function"
                )
        except (RingError, CountsError, OSError) as error:
            self._answer(count.peer, [encode(Denied(ask.number, str(error)[:1000]))])
            size = 0
        else:
            self._answer(count.peer, [encode(Counted(ask.number, len(parts))), *parts])
        self._do(protocol.Shown(count.user, 0, size))

    def _counts_of(self, function: str) -> list[bytes]:
        """What the functions of the node have counted, as they have written it. Raises OSError."""
        if self._path is None:
            return []
        return [path.read_bytes() for path in sorted((self._path.parent / LIVE).glob(files_of(function)))]

    def _lookout(self, name: str) -> Lookout:
        found = self._lookouts.get(name)
        if found is None:
            segment = self._order.rings.get(name)
            if segment is None:
                known = ", ".join(self._order.rings) or "none now"
                raise RingError(f"{self._order.node} has no ring {name[:100]!r}; it has {known}"[:1000])
            found = self._lookouts[name] = Lookout(Ring.attach(segment), "window")
        return found

    def _answer(self, peer: bytes, frames: list[bytes | memoryview]) -> None:
        self._socket.send_multipart([peer, *frames])


def start(text: str, path: Path | None, reports: Reports, signals: Signals) -> Finish:
    """Show the rings of a node until told to leave."""
    return NodeWindow(WindowOrder.decode(text), path, reports).run(signals)


if __name__ == "__main__":
    sys.exit(run_process(start))
