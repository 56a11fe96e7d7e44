"""Decide what the readout does next: which call of the driver, how many captures, what when the scope is gone.

Pure: no driver, no ring, no clock. The shell carries out one action and tells how it went; times are monotonic ns.

Theory of operation
-------------------
A batch is armed with n captures (RunBlock). While the scope captures, slots of the buffer are claimed and registered
as its memory. When the batch is complete, or its time is over and it is stopped, its captures are transferred into
the slots and the scope is armed again *before* anything else is done with them. If fewer slots could be had than
there are captures, the rest is transferred in further pieces, and the scope is armed after the last one.

n follows the rate: it doubles when a batch was complete in less than half of the time allowed, and falls to what was
there when a batch had to be stopped. A batch of one capture is never stopped but for a pause or the end: at the rate
of cosmic rays each event is read out by itself, and no dead time is spent on stopping empty batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, assert_never

from mimodaq.picoscope import _books
from mimodaq.picoscope._books import Books
from mimodaq.picoscope._steps import (
    Action,
    Arm,
    Armed,
    Begun,
    Event,
    Fetch,
    Fetched,
    Halt,
    Halted,
    Leave,
    Look,
    Looked,
    Lost,
    NotReopened,
    Prepare,
    Prepared,
    Publish,
    Published,
    Reopen,
    Reopened,
    Wait,
    Waited,
    Wish,
)

WAIT_PART: Final = 64
"""Between two looks passes at most this part of the time since arming ..."""
LONGEST_WAIT_S: Final = 2e-3
"""... and at most this time."""
SHORTEST_WAIT_S: Final = 30e-6
"""What is shorter is not worth sleeping."""
IDLE_S: Final = 0.02
FIRST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 10.0


_PUBLISH: Final = Publish()
_HALT: Final = Halt()
_LEAVE: Final = Leave()


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a scope."""

    reason: str
    begin_ns: int
    end_ns: int
    captures_lost: int
    """Captures that were complete and not yet transferred; at most what was armed."""


@dataclass(slots=True)
class Batch:
    """The batch whose captures are being fetched or published."""

    number: int
    captures: int
    is_complete: bool
    """All captures that were asked for; otherwise it was stopped."""
    armed_ns: int
    ended_ns: int
    live_ns: int = 0
    dead_ns: int = 0
    """Since the batch before."""


@dataclass(slots=True)
class Readout:
    """The state of one readout.

    Invariant: at most one batch is armed, and at most one piece is fetched and not published.
    """

    captures: int
    """Most captures of a batch."""
    max_latency_ns: int
    """A batch that is not full after this time is stopped."""
    window_ns: float
    """Length of a capture."""
    rearm_ns: float = 0.0
    """Dead time between two captures of a batch, if it is known."""
    begin_ns: int = 0
    """Monotonic time at which the readout began; all other times are of this clock, too."""
    gaps: list[Gap] = field(default_factory=list)
    discarded: int = 0
    """Captures the run had no place for any more when it ended."""
    batches: int = 0
    stopped_batches: int = 0
    batch: Batch | None = None
    """What Fetch and Publish are about."""
    books: Books = field(init=False)
    _next: int = 0
    """Captures of the next batch."""
    _armed: int = 0
    """Captures of the batch that is armed; 0: none."""
    _armed_ns: int = 0
    _busy_ns: int = 0
    """When the scope was last seen capturing."""
    _slots: int = 0
    _in_scope: int = 0
    """Captures in the scope that are not fetched."""
    _done: int = 0
    """Captures of the batch that are fetched."""
    _is_fetched: bool = False
    _lost: str | None = None
    _lost_ns: int = 0
    _lost_captures: int = 0
    _back_off_s: float = FIRST_BACK_OFF_S
    _due_ns: int = 0
    _before: tuple[int, int] = (0, 0)
    """Live and dead time when the batch before ended."""

    def __post_init__(self) -> None:
        self._next = self.captures
        self.books = Books(self.begin_ns)

    @property
    def is_lost(self) -> bool:
        """Whether the scope is gone."""
        return self._lost is not None

    @property
    def lost_reason(self) -> str:
        """Why the scope is gone; empty if it is not."""
        return self._lost or ""

    def handle(self, event: Event, now: int, wish: Wish) -> Action:
        """Apply one event at monotonic time `now` (ns); the next thing to do."""
        match event:
            case Looked(is_ready):
                return self._looked(is_ready, now, wish)
            case Armed():
                self.books.book(_books.HOST, now)
                self._armed_ns = self._busy_ns = now
                return _PUBLISH if self._is_fetched else Prepare(0, self._armed)
            case Prepared(slots):
                return self._prepared(slots, now, wish)
            case Fetched():
                return self._fetched(now, wish)
            case Published():
                return self._published(now, wish)
            case Halted(captures):
                return self._halted(captures, now, wish)
            case Begun():
                self.books.book(_books.HOST, now)
                return self._go_on(wish)
            case Waited():
                return self._waited(now, wish)
            case Lost(reason):
                return self._gone(reason, now, wish)
            case Reopened():
                return self._back(now, wish)
            case NotReopened():
                self._due_ns = now + int(self._back_off_s * 1e9)
                self._back_off_s = min(2 * self._back_off_s, LONGEST_BACK_OFF_S)
                return _LEAVE if wish is Wish.END else Wait(IDLE_S)
            case _:
                assert_never(event)

    # -- a batch ------------------------------------------------------------------------------------------------

    def _go_on(self, wish: Wish) -> Action:
        """Nothing is armed and nothing waits."""
        match wish:
            case Wish.GO:
                self._armed = self._next
                return Arm(self._armed)
            case Wish.PAUSE:
                return Wait(IDLE_S)
            case Wish.END:
                return _LEAVE

    def _prepared(self, slots: int, now: int, wish: Wish) -> Action:
        self._slots = slots
        if self._armed:
            return Look(0.0)
        self.books.book(_books.PAUSED if wish is Wish.PAUSE else _books.BUFFER, now)
        if slots:
            return Fetch(self._done, min(slots, self._in_scope))
        if wish is Wish.END:
            return self._discard(wish)
        return Prepare(self._done, self._in_scope)

    def _discard(self, wish: Wish) -> Action:
        """The run takes no more: what is left in the scope does not count as seen."""
        assert self.batch is not None
        self.discarded += self._in_scope
        part = self._in_scope / self.batch.captures
        self.books.move(int(part * self.batch.live_ns), _books.LIVE, _books.HOST)
        self._in_scope = 0
        return self._go_on(wish)

    def _looked(self, is_ready: bool, now: int, wish: Wish) -> Action:
        if is_ready:
            return self._ended(self._armed, now, is_complete=True)
        self._busy_ns = now
        if wish is not Wish.GO:
            return _HALT
        since = now - self._armed_ns
        left = self.max_latency_ns - since
        if not self._slots:
            return Prepare(0, self._armed)
        if self._armed == 1:
            return Look(_pause(since / 1e9))
        if left <= 0:
            return _HALT
        return Look(min(_pause(since / 1e9), left / 1e9))

    def _halted(self, captures: int, now: int, wish: Wish) -> Action:
        self._busy_ns = now
        self.stopped_batches += 1
        if wish is Wish.GO:
            self._next = max(1, min(captures, self.captures))
        if captures:
            return self._ended(captures, now, is_complete=False)
        self.books.book(_books.LIVE, now)
        self._armed = 0
        return self._go_on(wish)

    def _ended(self, captures: int, now: int, *, is_complete: bool) -> Action:
        """The scope has stopped capturing: half-way between the last look that found it busy and this one.

        Without such a look triggers come faster than looks: then nothing is live but the captures.
        """
        ended = now
        if is_complete:
            ended = self._armed_ns + int(captures * (self.window_ns + self.rearm_ns) - self.rearm_ns)
            if self._busy_ns > self._armed_ns:
                ended = max(ended, (self._busy_ns + now) // 2)
            ended = min(ended, now)
            if 2 * (ended - self._armed_ns) < self.max_latency_ns:
                self._next = min(2 * self._armed, self.captures)
        live = self.books.live_ns
        self.books.book(_books.LIVE, ended)
        self.books.move(min(int((captures - 1) * self.rearm_ns), self.books.live_ns - live), _books.LIVE, _books.REARM)
        live_before, dead_before = self._before
        self._before = (self.books.live_ns, self.books.dead_ns)
        self.batch = Batch(
            self.batches,
            captures,
            is_complete,
            self._armed_ns,
            ended,
            live_ns=self._before[0] - live_before,
            dead_ns=self._before[1] - dead_before,
        )
        self.batches += 1
        self._armed, self._done, self._in_scope = 0, 0, captures
        self.books.book(_books.BUFFER if not self._slots else _books.HOST, now)
        if not self._slots:
            return Prepare(0, captures)
        return Fetch(0, min(self._slots, captures))

    def _fetched(self, now: int, wish: Wish) -> Action:
        self.books.book(_books.TRANSFER, now)
        count = min(self._slots, self._in_scope)
        self._is_fetched = True
        self._slots = 0
        self._done += count
        self._in_scope -= count
        if self._in_scope or wish is not Wish.GO:
            return _PUBLISH
        return self._go_on(wish)

    def _published(self, now: int, wish: Wish) -> Action:
        self._is_fetched = False
        if self._armed:
            return Prepare(0, self._armed)
        if self._lost is not None:
            self.books.book(_books.GAP, now)
            return _LEAVE if wish is Wish.END else Reopen()
        self.books.book(_books.HOST, now)
        if self._in_scope:
            return Prepare(self._done, self._in_scope)
        return self._go_on(wish)

    def _waited(self, now: int, wish: Wish) -> Action:
        if self._lost is None:
            self.books.book(_books.PAUSED, now)
            return self._go_on(wish)
        self.books.book(_books.GAP, now)
        if wish is Wish.END:
            return _LEAVE
        return Reopen() if now >= self._due_ns else Wait(IDLE_S)

    # -- without a scope ----------------------------------------------------------------------------------------

    def _gone(self, reason: str, now: int, wish: Wish) -> Action:
        """What was armed is lost, and was not live; what is fetched is not lost."""
        if self._lost is None:
            self._lost, self._lost_ns = reason, self.books.booked_ns
            self._lost_captures = self._in_scope
            if self._in_scope and self.batch is not None:
                part = self._in_scope / self.batch.captures
                self.books.move(int(part * self.batch.live_ns), _books.LIVE, _books.GAP)
        self.books.book(_books.GAP, now)
        self._armed = self._in_scope = 0
        self._due_ns = now
        if self._is_fetched:
            return _PUBLISH
        return _LEAVE if wish is Wish.END else Reopen()

    def _back(self, now: int, wish: Wish) -> Action:
        self.books.book(_books.GAP, now)
        self.close_gap(now)
        self._back_off_s = FIRST_BACK_OFF_S
        self._slots = 0
        return self._go_on(wish)

    def close_gap(self, now: int) -> None:
        """Write the gap down; also at the end of the run, if the scope has not come back."""
        if self._lost is not None:
            self.gaps.append(Gap(self._lost, self._lost_ns, now, self._lost_captures))
            self._lost = None


def _pause(since_s: float) -> float:
    """How long to sleep before the next look: a part of the time since arming, so that little is seen too late."""
    wait = min(since_s / WAIT_PART, LONGEST_WAIT_S)
    return wait if wait >= SHORTEST_WAIT_S else 0.0
