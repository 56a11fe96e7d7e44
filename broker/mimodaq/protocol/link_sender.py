"""Decide what the sending end of a link does: when to take events, send, send again, release, give back, leave.

Pure code: it sees numbers of events, never their bytes. The shell owns ring and socket, feeds events with the
monotonic time and carries out the effects in order.

Theory of operation
-------------------
The sender holds a *place* in a reader group of the source ring: a membership that outlives its process. Events are
numbered in the order in which the place was handed them (`Outflow`). Nothing is copied: the ring keeps every event from
`taken` until it is released, which happens when the other end has said that it is committed there.

A session: Hello → Welcome (what the other end has) → Open → batches, pings. The Welcome decides where to go on; it and
the place survive every crash, the session does not have to. Whatever is silent for too long is connected again.

A place whose link is down for too long may be given up (`give_back_s`): its events go to the other members of the
group, and those that were on the way are *in doubt*: if the other end comes back, it tells which of them it had
committed, and these are named as doubled. A new place has a new *stream* number and counts from 0.

A link that is given up for good (`GiveUp`) leaves a record (`Cut`) and ends; what the shell does with the events of
its group then depends on who else is in it.
"""

from __future__ import annotations

from collections.abc import Callable
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
    Transmit,
)
from mimodaq.protocol.link_messages import Ack, Bye, Hello, Message, Open, Ping, Refused, Unknown, Welcome
from mimodaq.protocol.link_outflow import Outflow
from mimodaq.protocol.link_sender_events import (
    Begin,
    Connect,
    Doubled,
    Effect,
    Event,
    Figures,
    Heard,
    Join,
    Joined,
    Place,
    Release,
    Resign,
    SourceEnded,
    State,
    Taken,
    TransmitBatch,
)

__all__ = [
    "Begin",
    "Connect",
    "Doubled",
    "Effect",
    "Event",
    "Figures",
    "Heard",
    "Join",
    "Joined",
    "Place",
    "Release",
    "Resign",
    "Sender",
    "SourceEnded",
    "State",
    "Taken",
    "TransmitBatch",
]


_NOBODY: Final = 0
_NO_SESSION: Final = -1


class Sender:
    """The sending end."""

    def __init__(self, identity: Identity, settings: Settings, place: Place, fresh: Callable[[], int]) -> None:
        self._me = identity
        self._settings = settings
        self._fresh = fresh
        self.state = State.PAUSING
        self.figures = Figures()
        self.stream = place.stream
        self.flow = self._flow_of(place)
        """How far the events have come."""
        self._session = self._nonce = _NO_SESSION
        self._is_source_ended = self._is_leaving = self._has_resigned = False
        self._doubt: Place | None = None
        self._due = self._heard = self._leave_due = self._source_ended_at = 0.0
        self._pause = settings.retry_s
        self._ping = 0
        self._pinged = 0.0
        self._answered = True
        self._noise = Seldom("warning")
        self._lost_said = False

    def _flow_of(self, place: Place) -> Outflow:
        return Outflow.of(self._settings, self._me.event_bytes, place.released, place.taken)

    # -- what the shell asks ----------------------------------------------------------------------------------

    @property
    def wanted(self) -> int:
        """How many events the shell may take from the ring now."""
        if self.state is not State.OPEN or self._is_leaving or self._is_source_ended or self._has_resigned:
            return 0
        return self.flow.wanted

    @property
    def asks_for_end(self) -> bool:
        """Whether the shell shall look if the stream has ended, without taking anything: a successor may find it so."""
        return self.state in (State.PAUSING, State.CONNECTING) and not (
            self._is_source_ended or self._has_resigned or self.unacknowledged
        )

    @property
    def unacknowledged(self) -> int:
        """Events handed to this place and not yet acknowledged."""
        return self.flow.unacknowledged

    @property
    def _final(self) -> int:
        """Number of events of the whole stream, -1 while that is not known."""
        return self.flow.taken if self._is_source_ended else -1

    def deadline(self, now: float) -> float:
        """When `Tick` is next needed at the latest."""
        if self.state is State.OPEN:
            dues = [self._pinged + self._settings.heartbeat_s, self._heard + self._settings.silence_s]
        else:
            dues = [self._due]
        if self._settings.give_back_s is not None and not self._has_resigned and self.unacknowledged:
            dues.append(self._heard + self._settings.give_back_s)
        if self._is_leaving:
            dues.append(self._leave_due)
        return max(now, min(dues))

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        if self.state is State.FINISHED:
            return []
        effects: list[Effect] = []
        match event:
            case Begin():
                self._heard = now
                effects = self._hello(now)
            case Heard(message):
                effects = self._hear(message, now)
            case Garbled(reason):
                effects = [*self._noise.say(f"link {self._me.link}: ignored {reason}", now)]
                self.figures.garbage += 1
            case Taken(count):
                self.flow.taken += count
            case SourceEnded():
                self._is_source_ended = True
                self._source_ended_at = now
                self._pinged = -self._settings.heartbeat_s  # tell at once
            case Joined(place):
                effects = self._joined(place, now)
            case Leave():
                self._is_leaving = True
                self._leave_due = now + self._settings.leave_s
            case GiveUp():
                effects = self._cut()
            case Tick():
                pass
            case _:
                assert_never(event)
        return effects + self._go_on(now)

    # -- the session ------------------------------------------------------------------------------------------

    def _hello(self, now: float) -> list[Effect]:
        self.state = State.CONNECTING
        self._session, self._nonce = self._fresh(), _NO_SESSION
        self._due = now + self._settings.silence_s
        me = self._me
        hello = Hello(me.link, me.ring, self._session, me.dtype, me.event_bytes, self._settings.most_batch_bytes)
        return [Connect(), Transmit(hello)]

    def _hear(self, message: Message, now: float) -> list[Effect]:
        match message:
            case Welcome(session=session) if self.state is State.CONNECTING and session == self._session:
                self._heard = now
                return self._welcome(message, now)
            case Refused(session=session, reason=reason):
                if self.state is State.CONNECTING and session == self._session:
                    return self._fail(f"the other end refuses: {reason}")
            case Ack(nonce=nonce) if nonce == self._nonce:
                self._heard = now
                return self._acknowledge(message, now)
            case Unknown(nonce=nonce) if nonce == self._nonce:
                return self._hello(now)
            case Bye(nonce=nonce) if nonce == self._nonce:
                self._pause_now(now)
                return [Say("info", f"link {self._me.link}: the other end leaves; waiting for its successor")]
            case _:
                pass  # of another session, or not for a sender: late, doubled or foreign
        return []

    def _welcome(self, welcome: Welcome, now: float) -> list[Effect]:
        effects, flow = self._settle_doubt(welcome), self.flow
        if self._has_resigned and welcome.is_ended:
            text = f"the mirror was complete before its events were given back: {welcome.position}"
            return [*effects, *self._finish(Outcome.DONE, text), Transmit(Bye(welcome.nonce))]
        if self._has_resigned:
            return [*effects, Join()]
        if welcome.stream == self.stream:
            if not flow.released <= welcome.position <= flow.most_sent:
                return effects + self._fail(
                    f"the other end has events up to {welcome.position}, acknowledged are {flow.released} and sent "
                    f"{flow.most_sent}: two senders serve this link, or its mirror was changed by somebody else"
                )
            effects += self._release_to(welcome.position, now)
            if welcome.is_ended:
                return effects + self._ended_there(welcome.nonce)
        elif welcome.is_ended:
            return effects + self._fail("the mirror has ended already with another stream: its run is over")
        elif welcome.stream == _NOBODY or not flow.released:
            if flow.released or welcome.stream != _NOBODY:
                effects += self._gap(welcome)
        else:
            return effects + self._fail(
                "the mirror goes on with another stream: a newer sender serves this link, this one must end"
            )
        self.state = State.OPEN
        self._nonce, flow.limit = welcome.nonce, welcome.limit
        self._pause, self._lost_said = self._settings.retry_s, False
        flow.begin_again()
        self._pinged, self._answered = -self._settings.heartbeat_s, True
        return [
            *effects,
            Transmit(Open(welcome.nonce, self.stream, flow.released, welcome.stream)),
            Say("info", f"link {self._me.link}: connected, going on with event {flow.released}"),
        ]

    def _gap(self, welcome: Welcome) -> list[Effect]:
        in_doubt, released = self.unacknowledged, self.flow.released
        gap = Gap(welcome.stream, welcome.position, -1, self.stream, released, in_doubt)
        if welcome.stream == _NOBODY:
            gap = Gap(self.stream, released, -1, self.stream, released, in_doubt)
            text = f"its mirror is new; {released} events went to the former one, {in_doubt} are sent again"
        else:
            text = f"this stream is new; the mirror holds {welcome.position} events of the former one"
        return [gap, Say("error", f"link {self._me.link}: {text}")]

    def _acknowledge(self, ack: Ack, now: float) -> list[Effect]:
        flow = self.flow
        if ack.number == self._ping and not self._answered:
            self._answered = True
            self.figures.round_trip_s = now - self._pinged
        if ack.position > flow.most_sent:
            self._pause_now(now)
            text = f"event {ack.position} acknowledged, {flow.most_sent} were sent"
            return [Say("error", f"link {self._me.link}: {text}")]
        flow.limit = max(flow.limit, ack.limit)
        effects = self._release_to(ack.position, now)
        if ack.resend and ack.position == flow.released:  # not one that was overtaken by a newer one
            flow.begin_again()
        if ack.is_ended and self._is_source_ended and not self.unacknowledged:
            effects += self._ended_there(ack.nonce)
        return effects

    def _release_to(self, position: int, now: float) -> list[Effect]:
        count = self.flow.release_to(position, now)
        self.figures.acknowledged += count
        return [Release(count)] if count else []

    def _ended_there(self, nonce: int) -> list[Effect]:
        if self.unacknowledged:
            return self._fail(f"the mirror has ended at event {self.flow.released} of {self.flow.taken}")
        # in this order: once the other end has heard the Bye, nobody could tell a successor that all is done
        return [
            *self._finish(Outcome.DONE, f"all {self.flow.taken} events are on the other side"),
            Transmit(Bye(nonce)),
        ]

    # -- as time goes on --------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> list[Effect]:
        if self.state is State.FINISHED:
            return []
        effects = self._give_back(now)
        has_time = self.state is State.OPEN and self.unacknowledged and now < self._leave_due
        if self._is_leaving and not has_time:
            return effects + self._leave()
        if self.state is State.OPEN:
            if now >= self._heard + self._settings.silence_s:
                return effects + self._lost(now)
            return effects + self._send(now)
        if now >= self._due:
            if self.state is State.PAUSING:
                return effects + self._hello(now)
            return effects + self._lost(now)
        return effects

    def _send(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for first, count, again in self.flow.batches():
            effects.append(TransmitBatch(self._nonce, first, count))
            self.figures.resent += again
        if now >= self._pinged + self._settings.heartbeat_s:
            self._ping += 1
            self._pinged, self._answered = now, False
            effects.append(Transmit(Ping(self._nonce, self._ping, self.flow.sent, self._final)))
        return effects

    def _lost(self, now: float) -> list[Effect]:
        silent_s = now - self._heard
        self._pause_now(now)
        finished = self._is_source_ended and not self.unacknowledged
        if finished and now - max(self._heard, self._source_ended_at) >= self._settings.confirm_s:
            text = f"all {self.flow.taken} events are acknowledged, but nobody confirms that the mirror is closed"
            return [Say("warning", f"link {self._me.link}: {text}"), *self._finish(Outcome.UNCONFIRMED, text)]
        if self._lost_said:
            return []
        self._lost_said = True
        if not self.figures.reconnects and not self.flow.sent:  # at the beginning of a run one end is there first
            return [Say("info", f"link {self._me.link}: waiting for the other end for {silent_s:.1f} s")]
        return [Say("warning", f"link {self._me.link}: nothing heard for {silent_s:.1f} s, connecting again")]

    def _pause_now(self, now: float) -> None:
        self.state = State.PAUSING
        self._nonce = self._session = _NO_SESSION
        self._due = now + self._pause
        self._pause = min(2 * self._pause, self._settings.retry_max_s)
        self.figures.reconnects += 1

    def _leave(self) -> list[Effect]:
        effects: list[Effect] = [Transmit(Bye(self._nonce))] if self.state is State.OPEN else []
        return effects + self._finish(Outcome.LEFT, f"told to leave; {self.unacknowledged} events wait for a successor")

    def _cut(self) -> list[Effect]:
        flow = self.flow
        text = (
            f"given up; {flow.released} events are on the other side, of {flow.unacknowledged} more that is not known"
        )
        effects: list[Effect] = [
            Cut(self._me.link, self.stream, flow.released, -1, flow.taken, self._final),
            Say("error", f"link {self._me.link}: {text}"),
        ]
        if self.state is State.OPEN:
            effects.append(Transmit(Bye(self._nonce)))
        return effects + self._finish(Outcome.CUT, text)

    # -- giving events back -----------------------------------------------------------------------------------

    def _give_back(self, now: float) -> list[Effect]:
        limit = self._settings.give_back_s
        in_doubt = self.unacknowledged
        if limit is None or self._has_resigned or not in_doubt or now < self._heard + limit:
            return []
        self._has_resigned = True
        self._doubt = Place(self.stream, self.flow.released, self.flow.taken)
        self.figures.given_back += in_doubt
        self.flow = self._flow_of(Place(self.stream, 0, 0))
        text = f"no answer for {now - self._heard:.1f} s; {in_doubt} events go to the other members of the group"
        effects: list[Effect] = [Resign(self._doubt), Say("error", f"link {self._me.link}: {text}")]
        if self.state is State.OPEN:
            self._pause_now(now)
        return effects

    def _settle_doubt(self, welcome: Welcome) -> list[Effect]:
        """The other end is back: which of the events given back had it committed?"""
        doubt, self._doubt = self._doubt, None
        if doubt is None or welcome.stream != doubt.stream or welcome.position <= doubt.released:
            return []
        count = min(welcome.position, doubt.taken) - doubt.released
        self.figures.acknowledged += count
        self.figures.doubled += count
        text = f"{count} events given back had been committed on the other side, they are there twice"
        return [Doubled(doubt.stream, doubt.released, count), Say("error", f"link {self._me.link}: {text}")]

    def _joined(self, place: Place, now: float) -> list[Effect]:
        self._has_resigned = self._is_source_ended = False  # what was given back may come again
        self.stream, self.flow = place.stream, self._flow_of(place)
        return self._hello(now)

    # -- the end ----------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> list[Effect]:
        return [Say("error", f"link {self._me.link}: {reason}"), *self._finish(Outcome.FATAL, reason)]

    def _finish(self, outcome: Outcome, reason: str) -> list[Effect]:
        self.state = State.FINISHED
        return [Finish(outcome, reason)]
