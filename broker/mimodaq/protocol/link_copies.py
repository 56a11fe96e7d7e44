"""Decide when copies for observers go from a ring to its mirror on another host.

Pure code, both ends. The mirror's end asks (`Ask`) when somebody observes the mirror, at most at the rates of the
settings, and asks again when it has the answer: so at most one batch is on the way, and nothing when nobody looks. The
source's end tells at every heartbeat that it is there and how far its ring is (`Here`), answers, and never blocks
anybody: it is an observer of its ring. What was not asked for in time is skipped, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from mimodaq.protocol.link_common import Finish, Garbled, GiveUp, Identity, Leave, Outcome, Say, Seldom, Settings, Tick
from mimodaq.protocol.link_window_messages import Ask, Copies, Denied, Here, Message, Over

LOOK_S: Final = 0.1
"""How often a mirror is looked at, and a source asked that has nothing new."""


# -- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A message; the frames of copies have been checked."""

    peer: bytes
    """Whom to answer; empty at the source's end, which has one connection."""
    message: Message


@dataclass(frozen=True, slots=True)
class Watched:
    """Whether anybody observes the mirror."""

    is_watched: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The copies last heard are in the mirror."""

    count: int
    first: int
    """Number, in the source ring, of the first of them."""
    last: int


@dataclass(frozen=True, slots=True)
class Newest:
    """How far the source ring is."""

    number: int
    """Of its newest event, -1 = none yet."""
    is_ended: bool


MirrorEvent = Heard | Garbled | Watched | Kept | Leave | GiveUp | Tick
SourceEvent = Heard | Garbled | Newest | Leave | GiveUp | Tick


# -- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to a peer."""

    peer: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Keep:
    """Put the copies just heard into the mirror, and answer with `Kept`."""


@dataclass(frozen=True, slots=True)
class Show:
    """Answer this question with copies of at most so many events."""

    ask: Ask
    most: int


@dataclass(frozen=True, slots=True)
class EndMirror:
    """No copies will come any more: close the writer."""


MirrorEffect = Tell | Keep | EndMirror | Say | Finish
SourceEffect = Tell | Show | Say | Finish


@dataclass(slots=True)
class Figures:
    """What an end has done so far."""

    copies: int = 0
    skipped: int = 0
    sessions: int = 0
    garbage: int = 0


def most_at_once(settings: Settings, event_bytes: int) -> int:
    """How many events one answer may have: what is allowed between two looks, and fits into a batch."""
    return max(1, min(int(settings.copies_hz * LOOK_S), settings.batch_bytes // event_bytes))


class Mirror:
    """The mirror's end."""

    def __init__(self, identity: Identity, settings: Settings) -> None:
        self._me = identity
        self._settings = settings
        self._most = most_at_once(settings, identity.event_bytes)
        self.figures = Figures()
        self._peer: bytes | None = None
        self._source = ""
        self._newest = self._last = -1
        self._is_source_ended = self._is_watched = self._is_finished = False
        self._number = 0
        self._asked: float | None = None
        """When the question was asked whose answer is awaited."""
        self._due = self._heard = 0.0
        self._noise = Seldom("warning")
        self._refusals = Seldom("error")

    def is_connected(self, now: float) -> bool:
        """Whether the source has been heard lately."""
        return self._peer is not None and now - self._heard < self._settings.silence_s

    def deadline(self, now: float) -> float:
        """When `Watched` is next needed at the latest."""
        return now + LOOK_S if self._due <= now else min(self._due, now + LOOK_S)

    def handle(self, event: MirrorEvent, now: float) -> list[MirrorEffect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        if self._is_finished:
            return []
        match event:
            case Heard(peer, message):
                return [*self._hear(peer, message, now), *self._go_on(now)]
            case Garbled(reason):
                self.figures.garbage += 1
                return [*self._noise.say(f"link {self._me.link}: ignored {reason}", now)]
            case Watched(is_watched):
                self._is_watched = is_watched
                return self._go_on(now)
            case Kept(count, first, last):
                self._keep(count, first, last, now)
                return self._go_on(now)
            case Leave() | GiveUp():
                return self._end(Outcome.LEFT if isinstance(event, Leave) else Outcome.CUT, "told to leave")
            case Tick():
                return self._go_on(now)
            case _:
                assert_never(event)

    def _hear(self, peer: bytes, message: Message, now: float) -> list[MirrorEffect]:
        match message:
            case Here():
                return self._here(peer, message, now)
            case Copies(number=number) if number == self._number and self._asked is not None and peer == self._peer:
                if message.count > self._most:
                    return []  # more than was asked for
                self._asked = None
                self._newest = message.newest
                self._due = now + LOOK_S
                return [Keep()] if message.count else []
            case _:
                return []  # late, doubled or foreign

    def _here(self, peer: bytes, here: Here, now: float) -> list[MirrorEffect]:
        me = self._me
        if here.link != me.link or here.dtype != me.dtype or here.event_bytes != me.event_bytes:
            what = "another link" if here.link != me.link else "a ring with other events"
            text = f"link {me.link}: refused copies of {here.ring[:100]}: it is the source of {what}"
            return [Tell(peer, Denied(0, text)), *self._refusals.say(text, now)]
        if peer != self._peer:
            self._peer, self._asked = peer, None
            self.figures.sessions += 1
        if here.ring != self._source:
            self._source, self._last = here.ring, -1
        self._heard = now
        self._newest, self._is_source_ended = here.newest, here.is_ended
        return []

    def _keep(self, count: int, first: int, last: int, now: float) -> None:
        settings = self._settings
        if self._last >= 0:
            self.figures.skipped += max(0, first - self._last - 1)
        self.figures.skipped += last - first + 1 - count
        self.figures.copies += count
        self._last = max(self._last, last)
        spent_s = max(count / settings.copies_hz, count * self._me.event_bytes / settings.copies_bytes_per_s)
        self._due = now + spent_s

    def _go_on(self, now: float) -> list[MirrorEffect]:
        peer = self._peer
        if peer is None:
            return []
        has_all = not self._is_watched or self._last >= self._newest
        if self._is_source_ended and has_all:
            return [*self._end(Outcome.DONE, "the source has ended"), Tell(peer, Over(0))]
        is_answer_lost = self._asked is not None and now - self._asked >= self._settings.silence_s
        if not self._is_watched or now < self._due or not (self._asked is None or is_answer_lost):
            return []
        self._number += 1
        self._asked = now
        return [Tell(peer, Ask(self._number, self._me.link, self._most, self._last))]

    def _end(self, outcome: Outcome, reason: str) -> list[MirrorEffect]:
        self._is_finished = True
        copies, skipped = self.figures.copies, self.figures.skipped
        return [EndMirror(), Finish(outcome, f"{reason}; {copies} copies were made, {skipped} events skipped")]


class Source:
    """The source's end."""

    def __init__(self, identity: Identity, settings: Settings) -> None:
        self._me = identity
        self._settings = settings
        self._most = most_at_once(settings, identity.event_bytes)
        self.figures = Figures()
        self.asked = -float("inf")
        """When copies were last asked for."""
        self._told = -float("inf")
        self._ended: float | None = None
        self._is_finished = False
        self._noise = Seldom("warning")

    def is_connected(self, now: float) -> bool:
        """Whether somebody has asked lately; nobody asks while nobody looks."""
        return now - self.asked < self._settings.silence_s

    def deadline(self, now: float) -> float:
        """When `Newest` is next needed at the latest."""
        return max(now, self._told + self._settings.heartbeat_s)

    def handle(self, event: SourceEvent, now: float) -> list[SourceEffect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        if self._is_finished:
            return []
        match event:
            case Heard(_, Ask() as ask):
                self.asked = now
                return [Show(ask, min(self._most, ask.most))]
            case Heard(_, Over()):
                return self._end(Outcome.DONE, "the mirror has ended")
            case Heard(_, Denied(reason=reason)):
                return self._end(Outcome.FATAL, f"the other end refuses: {reason}")
            case Heard():
                return []
            case Garbled(reason):
                self.figures.garbage += 1
                return [*self._noise.say(f"link {self._me.link}: ignored {reason}", now)]
            case Newest():
                return self._tell(event, now)
            case Leave() | GiveUp():
                return self._end(Outcome.LEFT if isinstance(event, Leave) else Outcome.CUT, "told to leave")
            case Tick():
                return []
            case _:
                assert_never(event)

    def _tell(self, newest: Newest, now: float) -> list[SourceEffect]:
        settings, me = self._settings, self._me
        if newest.is_ended and self._ended is None:
            self._ended = now
            self._told = -float("inf")
        if self._ended is not None and now - max(self._ended, self.asked) >= settings.linger_s:
            return self._end(Outcome.DONE, "the ring has ended, and the other end is silent")
        if now < self._told + settings.heartbeat_s:
            return []
        self._told = now
        return [Tell(b"", Here(me.link, me.ring, me.dtype, me.event_bytes, newest.number, newest.is_ended))]

    def _end(self, outcome: Outcome, reason: str) -> list[SourceEffect]:
        self._is_finished = True
        return [Finish(outcome, reason)]
