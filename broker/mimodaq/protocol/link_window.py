"""Decide how much of a node's rings each client gets to see.

Pure code. Looking costs the host memory bandwidth and network that the run needs, so every client has a budget, and all
together have one. A budget fills up at its rate, to one second's worth at most; who asks while it is positive gets what
is in it, at least one event, which may leave it in debt; who asks otherwise is told when to come again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, assert_never

from mimodaq.protocol.link_common import Garbled, Say, Seldom
from mimodaq.protocol.link_window_messages import Ask, AskCounts, AskSample, Denied, Later, Message, Question

ANSWER_BYTES: Final = 4_000_000
"""An answer with more than one event has at most so many bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be looked at."""

    events_per_s: float = 2000.0
    """By one client."""
    bytes_per_s: float = 20e6
    """By one client."""
    total_bytes_per_s: float = 60e6
    """By all together."""
    clients: int = 256
    """So many are told apart; the one that was silent longest is forgotten."""


@dataclass(slots=True)
class Budget:
    """What may be spent: fills up at `rate` per second, to one second's worth at most."""

    rate: float
    left: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self.left = self.rate

    def refill(self, now: float) -> float:
        """What is left now."""
        if self._at is not None:
            self.left = min(self.rate, self.left + (now - self._at) * self.rate)
        self._at = now
        return self.left

    def wait_s(self) -> float:
        """Time until something is left."""
        return max(0.0, -self.left / self.rate)


# -- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of a client."""

    peer: bytes
    """Whom to answer."""
    user: str
    """Whose budget it is: the public key, or the connection where there are no keys."""
    message: Message


@dataclass(frozen=True, slots=True)
class Shown:
    """A look asked for has given so much."""

    user: str
    events: int
    size_bytes: int


Event = Heard | Shown | Garbled


# -- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Answer this question with at most so much, but at least one event if there is one; then tell what it was."""

    peer: bytes
    user: str
    ask: Ask
    events: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Count:
    """Answer this question with counts; then tell what it was."""

    peer: bytes
    user: str
    ask: AskCounts | AskSample


@dataclass(frozen=True, slots=True)
class Answer:
    """Send a message to a client."""

    peer: bytes
    message: Message


Effect = Look | Count | Answer | Say


@dataclass(slots=True)
class Figures:
    """What a window has done so far."""

    answers: int = 0
    events: int = 0
    size_bytes: int = 0
    postponed: int = 0
    garbage: int = 0


class Budgets:
    """The window of one node. Invariant: at most `limits.clients` clients are remembered."""

    def __init__(self, node: str, limits: Limits) -> None:
        self._node = node
        self.figures = Figures()
        self._noise = Seldom("warning")
        self.use(limits)

    def use(self, limits: Limits) -> None:
        """Begin anew with other limits."""
        self._limits = limits
        self._total = Budget(limits.total_bytes_per_s)
        self._users: OrderedDict[str, tuple[Budget, Budget]] = OrderedDict()

    @property
    def clients(self) -> int:
        """How many have asked lately."""
        return len(self._users)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply one event at monotonic time `now`; return what the shell must do, in order."""
        match event:
            case Heard(peer, user, Ask() | AskCounts() | AskSample() as ask):
                return [self._ask(peer, user, ask, now)]
            case Heard():
                return self._ignore("a message that is no question", now)
            case Garbled(reason):
                return self._ignore(reason, now)
            case Shown(user, events, size_bytes):
                self._pay(user, events, size_bytes, now)
                return []
            case _:
                assert_never(event)

    def _ignore(self, reason: str, now: float) -> list[Effect]:
        self.figures.garbage += 1
        return [*self._noise.say(f"window of {self._node}: ignored {reason}", now)]

    def _of(self, user: str) -> tuple[Budget, Budget]:
        if user not in self._users:
            self._users[user] = (Budget(self._limits.events_per_s), Budget(self._limits.bytes_per_s))
            while len(self._users) > self._limits.clients:
                self._users.popitem(last=False)
        self._users.move_to_end(user)
        return self._users[user]

    def _ask(self, peer: bytes, user: str, ask: Question, now: float) -> Look | Count | Answer:
        if isinstance(ask, Ask) and not ask.most:
            return Answer(peer, Denied(ask.number, "no event was asked for"))
        events, size = self._of(user)
        budgets = (events, size, self._total)
        if min(budget.refill(now) for budget in budgets) <= 0.0:
            self.figures.postponed += 1
            wait_s = max(budget.wait_s() for budget in budgets)
            return Answer(peer, Later(ask.number, int(wait_s * 1000) + 1))
        if not isinstance(ask, Ask):
            return Count(peer, user, ask)
        most = min(ask.most, max(1, int(events.left)))
        return Look(peer, user, ask, most, int(min(size.left, self._total.left, ANSWER_BYTES)))

    def _pay(self, user: str, events: int, size_bytes: int, now: float) -> None:
        self.figures.answers += 1
        self.figures.events += events
        self.figures.size_bytes += size_bytes
        for budget, spent in zip((*self._of(user), self._total), (events, size_bytes, size_bytes), strict=True):
            budget.refill(now)
            budget.left -= spent
