"""Decide what the receiving end of a link does: which batches to store, what to acknowledge, when to close the mirror.

Pure code: it sees numbers of events, never their bytes. The shell owns ring and socket, feeds events with the
monotonic time and carries out the effects in order.

Theory of operation
-------------------
What counts is what the mirror's ring remembers: the stream, how many of its events are committed (`position`), whether
it was complete. The ring changes the position in the same step as it publishes the events, so a receiver that is killed
anywhere finds the truth there. `received` runs ahead of `position` while accepted batches wait for slots.

A session exists from the sender's Open, which must carry the nonce of the last Welcome; everything of an older session
carries an older nonce. So a Hello that is late or doubled disturbs nobody. A batch is stored only when it goes on
exactly where the last one ended; what overlaps is skipped, a hole is reported (`resend`).

An acknowledgement costs both ends more than anything else per batch, so while more messages wait it is put off, for
at most a few batches; `Tick` comes when none waits, and sends what is due.

Credits: `limit` is the number up to which the sender may send: what is committed plus the free slots, bounded by the
window. It never goes down within a session. The mirror may have other writers; then slots promised may be taken by
them, and batches wait in the shell, bounded by the window.

A link that is given up (`GiveUp`) hears nothing any more; what it has accepted is stored as far as there are slots,
the record is written (`Cut`) and the mirror ends, so that everything behind it works off what there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from mimodaq.protocol.link_common import (
    Cut,
    Finish,
    Gap,
    Garbled,
    GiveUp,
    Identity,
    Leave,
    Outcome,
    Say,
    Seldom,
    Settings,
    Tick,
)
from mimodaq.protocol.link_messages import Ack, Batch, Bye, Hello, Message, Open, Ping, Refused, Unknown, Welcome
from mimodaq.protocol.link_receiver_events import (
    BeginStream,
    Discard,
    Effect,
    EndStream,
    Event,
    Figures,
    Heard,
    Kept,
    MirrorEnding,
    Reply,
    Room,
    Store,
    Stored,
)

__all__ = [
    "STARVED_S",
    "BeginStream",
    "Discard",
    "Effect",
    "EndStream",
    "Event",
    "Figures",
    "Heard",
    "Kept",
    "MirrorEnding",
    "Receiver",
    "Reply",
    "Room",
    "Store",
    "Stored",
]

STARVED_S: Final = 0.002
"""How often a receiver looks for free slots when the sender has used up its credits."""
_ACK_BATCHES: Final = 4
"""An acknowledgement is put off for at most so many batches."""
_RESEND_S: Final = 0.2
"""A hole in the numbers is reported at most so often."""


@dataclass(slots=True)
class _Session:
    peer: bytes
    nonce: int
    ping: int = 0
    sent: int = 0
    final: int = -1


class Receiver:
    """The receiving end. Invariant: position <= received <= limit + one batch, unless other writers take slots."""

    def __init__(
        self, identity: Identity, settings: Settings, kept: Kept, fresh: Callable[[], int], now: float
    ) -> None:
        self._me = identity
        self._settings = settings
        self._fresh = fresh
        self._batch_events = settings.batch_events(identity.event_bytes)
        self._window = settings.window_events(identity.event_bytes)
        self.figures = Figures()
        self.stream, self.previous, self.is_ended = kept.stream, kept.previous, kept.is_ended
        self.position = self.received = kept.position
        self.limit = kept.position
        self._room = 0
        self._unsaid = 0
        """Events committed of which the sender has not been told."""
        self._sequence = -1
        self._offered: _Session | None = None
        self._session: _Session | None = None
        self._heard = now
        self._resend_at = now
        self._is_silent = True
        self._is_finished = False
        self._cut_due: float | None = None
        self._noise = Seldom("warning")
        self._refusals = Seldom("error")

    # -- what the shell asks ----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether a sender has been heard lately."""
        return not self._is_silent

    @property
    def is_starved(self) -> bool:
        """Whether the sender has used up its credits for want of slots, so that a free one is news."""
        is_waiting = self._session is not None and not self.is_ended and self.received >= self.limit
        return is_waiting and self.limit < self.position + self._window

    @property
    def asks_for_room(self) -> bool:
        """Whether the shell shall tell how many slots are free: the sender may soon use up its credits."""
        return self._session is None or self.limit - self.received < self._window // 2

    @property
    def backlog(self) -> int:
        """Events accepted and not yet committed."""
        return self.received - self.position

    def deadline(self, now: float) -> float:
        """When `Room` (or `Tick`) is next needed at the latest."""
        if self.is_starved or self.backlog:
            return now + STARVED_S
        if self.is_ended:
            return max(now, min(now + self._settings.heartbeat_s, self._heard + self._settings.linger_s))
        return now + self._settings.heartbeat_s

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        if self._is_finished:
            return []
        effects: list[Effect] = []
        match event:
            case Heard(peer, message):
                effects = self._hear(peer, message, now)
            case Garbled(reason):
                effects = [*self._noise.say(f"link {self._me.link}: ignored {reason}", now)]
                self.figures.garbage += 1
            case Stored(count, sequence):
                effects = self._stored(count, sequence, now)
            case Room(slots):
                self._room = slots
                effects = self._grant(now)
            case MirrorEnding():
                effects = self._depart("the mirror is told to end", Outcome.FATAL, now)
            case Leave():
                effects = self._depart("told to leave", Outcome.LEFT, now)
            case GiveUp():
                self._cut_due = self._cut_due or now + self._settings.leave_s
            case Tick():
                effects = self._tell(now)
            case _:
                assert_never(event)
        return effects + self._watch(now)

    # -- messages ---------------------------------------------------------------------------------------------

    def _hear(self, peer: bytes, message: Message, now: float) -> list[Effect]:
        if self._cut_due is not None:
            return []
        match message:
            case Hello():
                return self._hello(peer, message, now)
            case Open():
                return self._open(peer, message, now)
            case Batch() | Ping():
                session = self._session
                if session is None or session.nonce != message.nonce:
                    return [Reply(peer, Unknown(message.nonce))]
                self._alive(now)
                if isinstance(message, Batch):
                    return self._batch(message, now)
                return self._ping(session, message, now)
            case Bye(nonce):
                return self._bye(nonce)
            case _:
                return []  # nothing a sender says

    def _alive(self, now: float) -> None:
        self._heard = now
        self._is_silent = False

    def _hello(self, peer: bytes, hello: Hello, now: float) -> list[Effect]:
        refusal = self._refusal(hello)
        if refusal:
            text = f"link {self._me.link}: refused the sender of {hello.ring[:100]}: {refusal}"
            return [Reply(peer, Refused(hello.session, refusal)), *self._refusals.say(text, now)]
        self._offered = _Session(peer, self._fresh())
        limit = self.position + min(self._room, self._window)
        welcome = Welcome(hello.session, self._offered.nonce, self.stream, self.position, limit, self.is_ended)
        return [Reply(peer, welcome)]

    def _refusal(self, hello: Hello) -> str:
        me = self._me
        if hello.link != me.link:
            return f"this is the receiver of link {me.link!r}, not of {hello.link[:100]!r}"
        if hello.dtype != me.dtype or hello.event_bytes != me.event_bytes:
            return (
                f"events differ: {hello.event_bytes} bytes {hello.dtype[:400]} are sent, "
                f"the mirror has {me.event_bytes} bytes {me.dtype[:400]}. Make both rings from the same setup"
            )
        if hello.batch_bytes > self._settings.most_batch_bytes:
            return (
                f"batches of {hello.batch_bytes} bytes are announced, at most {self._settings.most_batch_bytes} are "
                "accepted: give both ends the same settings"
            )
        return ""

    def _open(self, peer: bytes, message: Open, now: float) -> list[Effect]:
        offered = self._offered
        if self._session is not None and self._session.nonce == message.nonce:
            return []  # doubled by the network
        if offered is None or offered.nonce != message.nonce:
            return [Reply(peer, Unknown(message.nonce))]
        effects: list[Effect] = []
        if message.stream != self.stream:
            refusal = self._cannot_replace(message)
            if refusal:
                return [Reply(peer, Unknown(message.nonce)), Say("error", f"link {self._me.link}: {refusal}")]
            effects = self._replace(message)
        elif not self.position >= message.position:
            text = f"the sender wants to go on at event {message.position}, the mirror has {self.position}"
            return [Reply(peer, Unknown(message.nonce)), Say("error", f"link {self._me.link}: {text}")]
        if self.backlog:
            effects.append(Discard())
        self.received = self.position
        self.limit = self.position + min(self._room, self._window)
        self._unsaid = 0
        self._session, self._offered = offered, None
        self.figures.sessions += 1
        self._alive(now)
        return effects

    def _cannot_replace(self, message: Open) -> str:
        if self.is_ended:
            return "a new stream came after the mirror has ended"
        if message.replaces != self.stream:
            return f"a stream that replaces {message.replaces:x} came, the mirror goes on with {self.stream:x}"
        if not message.stream or message.stream == self.previous:
            return f"stream {message.stream:x} came back after it was replaced: an old sender lives on, end it"
        return ""

    def _replace(self, message: Open) -> list[Effect]:
        effects: list[Effect] = []
        if self.stream or message.position:
            effects.append(Gap(self.stream, self.position, self._sequence, message.stream, message.position, 0))
        self.previous, self.stream = self.stream, message.stream
        effects.append(Discard())
        effects.append(BeginStream(message.stream, message.position))
        self.position = self.received = message.position
        self._sequence = -1
        return effects

    def _batch(self, batch: Batch, now: float) -> list[Effect]:
        session = self._session
        assert session is not None
        if batch.first > self.received:
            return self._report_hole(session, now)
        skip = self.received - batch.first
        self.figures.redelivered += min(skip, batch.count)
        if skip >= batch.count:
            return [self._ack(session, now)]
        self.received = batch.first + batch.count
        return [Store(skip)]

    def _report_hole(self, session: _Session, now: float) -> list[Effect]:
        if now < self._resend_at or self.backlog:  # what waits for slots must not be sent again
            return []
        self._resend_at = now + _RESEND_S
        return [self._ack(session, now, resend=True)]

    def _ping(self, session: _Session, ping: Ping, now: float) -> list[Effect]:
        session.ping = max(session.ping, ping.number)
        session.sent = max(session.sent, ping.sent)
        session.final = max(session.final, ping.final)
        effects = self._end_if_complete(session)
        if ping.sent > self.received:
            hole = self._report_hole(session, now)
            if hole:
                return effects + hole
        return [*effects, self._ack(session, now)]

    def _bye(self, nonce: int) -> list[Effect]:
        known = [s for s in (self._session, self._offered) if s is not None and s.nonce == nonce]
        if not known:
            return []
        if self.is_ended:
            return self._finish(Outcome.DONE, f"all {self.position} events are in the mirror")
        self._session, self._is_silent = None, True
        return [Say("info", f"link {self._me.link}: the sender leaves; waiting for its successor")]

    # -- storing and granting ---------------------------------------------------------------------------------

    def _stored(self, count: int, sequence: int, now: float) -> list[Effect]:
        self.position += count
        self._room = max(0, self._room - count)
        self._sequence = sequence
        self.figures.stored += count
        session = self._session
        if session is None:
            return []
        self._unsaid += count
        is_waited_for = self.received >= self.limit or self._unsaid >= _ACK_BATCHES * self._batch_events
        return [*self._end_if_complete(session), *(self._tell(now) if self.is_ended or is_waited_for else [])]

    def _tell(self, now: float) -> list[Effect]:
        """Acknowledge what has been committed since the last acknowledgement."""
        return [self._ack(self._session, now)] if self._session is not None and self._unsaid else []

    def _end_if_complete(self, session: _Session) -> list[Effect]:
        if self.is_ended or session.final != self.position:
            return []
        self.is_ended = True
        return [EndStream(), Say("info", f"link {self._me.link}: complete, {self.position} events")]

    def _grant(self, now: float) -> list[Effect]:
        """Tell of new credits when they are worth a message."""
        session = self._session
        if session is None or self.is_ended:
            return []
        gain = self.position + min(self._room, self._window) - self.limit
        is_worth_it = gain >= self._batch_events or (gain > 0 and self.received >= self.limit)
        return [self._ack(session, now)] if is_worth_it else []

    def _ack(self, session: _Session, now: float, *, resend: bool = False) -> Reply:
        self.limit = max(self.limit, self.position + min(self._room, self._window))
        self._unsaid = 0
        ack = Ack(session.nonce, session.ping, self.position, self.limit, resend, self.is_ended)
        return Reply(session.peer, ack)

    # -- time and the end -------------------------------------------------------------------------------------

    def _watch(self, now: float) -> list[Effect]:
        if self._is_finished:
            return []
        if self._cut_due is not None and (not self.backlog or self.is_ended or now >= self._cut_due):
            return self._cut(now)
        if self.is_ended and now - self._heard >= self._settings.linger_s:
            return self._finish(Outcome.DONE, f"all {self.position} events are in the mirror; the sender is silent")
        if not self._is_silent and now - self._heard >= self._settings.silence_s:
            self._is_silent = True
            silent_s = now - self._heard
            return [Say("warning", f"link {self._me.link}: nothing heard of the sender for {silent_s:.1f} s")]
        return []

    def _cut(self, now: float) -> list[Effect]:
        if self.is_ended:
            return self._depart("", Outcome.DONE, now)
        session = self._session or self._offered
        sent, final = (max(session.sent, self.received), session.final) if session else (self.received, -1)
        self.is_ended = True
        text = f"given up after {self.position} events" + (f" of {final}" if final >= 0 else "")
        effects: list[Effect] = [
            Cut(self._me.link, self.stream, self.position, self._sequence, sent, final),
            Say("error", f"link {self._me.link}: {text}"),
            Discard(),
            EndStream(),
            *self._tell(now),
        ]
        if self._session is not None:
            effects.append(Reply(self._session.peer, Bye(self._session.nonce)))
        return effects + self._finish(Outcome.CUT, text)

    def _depart(self, reason: str, outcome: Outcome, now: float) -> list[Effect]:
        effects = self._tell(now)
        if self._session is not None:
            effects.append(Reply(self._session.peer, Bye(self._session.nonce)))
        if self.is_ended:
            outcome, reason = Outcome.DONE, f"all {self.position} events are in the mirror"
        return effects + self._finish(outcome, reason)

    def _finish(self, outcome: Outcome, reason: str) -> list[Effect]:
        self._is_finished = True
        return [Finish(outcome, reason)]
