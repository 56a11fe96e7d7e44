"""What writers, readers and observers have in common: registration, the lock, waiting."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar
from weakref import WeakSet

import numpy as np

from mimodaq.ring import _layout as lay
from mimodaq.ring._core import Core, locked
from mimodaq.ring._errors import RingClosed, RingEnding, RingError, TooManyClients
from mimodaq.ring._mutex import futex_wait
from mimodaq.ring._process import is_alive, myself

T = TypeVar("T")

LINGER_S: Final = 1e-3
"""How long a committed event may stay unseen while its writer is in the middle of a batch; how far batches reach."""
SLICE_S: Final = 0.25
"""Longest sleep without looking whether the processes that hold slots still live."""
_PATIENCE: Final = 2
"""Looks without news, one linger apart, after which the other side is called to the lock."""


class Batch(NamedTuple):
    """Consecutive slots, as views into the ring."""

    events: np.ndarray
    """The ring's record dtype, shape (n,)."""
    counter: np.ndarray
    """int64 (n,); a writer finds -1 = to be filled in with the sequence number."""
    timestamp: np.ndarray
    """float64 (n,), seconds UTC; a writer finds nan = to be filled in with the time of commit."""
    deadtime: np.ndarray
    """float64 (n,), fraction; -1 = unknown."""


class Wait(NamedTuple):
    """Nothing to be had now: sleep until the futex word changes."""

    value: int
    is_nap: bool
    """The other side is in the middle of a batch and may make progress without telling: look again after a linger."""


_here: Final[WeakSet[Client]] = WeakSet()
"""The users of rings that this process has opened."""


class Client:
    """A registered user of a ring in this process. Not to be shared by threads, nor carried over a fork."""

    _role: int
    _peer: int
    _waits_for_data: bool
    _mask: int

    def __init__(self, core: Core, name: str, label: str, group: int = -1, *, kept: bool = False) -> None:
        self._core = core
        self.name = name
        """The buffer's name."""
        self.label = label
        self.dtype: np.dtype[np.void] = core.events.dtype
        """The record dtype of an event, planar."""
        self.slots = core.slots
        """How many the ring has."""
        self._pid = os.getpid()
        self._words = core.words
        self._last_reap = time.monotonic()
        self._looks = 0
        self.is_kept = kept
        """Whether the place outlives this process; it takes and claims no more than asked for."""
        self._index = -1
        try:
            locked(core, self._adopt if kept else self._register, label, group)
        except BaseException:  # Ctrl-C, too: nobody could take it out again
            if self._index >= 0:
                locked(core, core.remove, self._index, closed=False)
            raise
        self._row = core.client(self._index)
        self._attention = self._row + lay.ATTENTION
        self._open = self._registered = True
        _here.add(self)

    def _forget(self) -> None:
        """Hold no slot in hand any more, so that the next use goes through the checks."""

    def leave_to_parent(self) -> None:
        """Called in the child after a fork: this user belongs to the parent."""
        self._open = self._registered = False
        self._forget()

    def _adopt(self, label: str, group: int) -> None:
        """Go on in the kept place of this label, or make it."""
        core, w = self._core, self._words
        if not 0 < len(label.encode()) < lay.LABEL_BYTES:
            raise ValueError(f"the label of a kept place has 1 to {lay.LABEL_BYTES - 1} bytes of UTF-8, not {label!r}")
        index = core.kept_place(group, label)
        if index is None:
            self._register(label, group)
            return
        row = core.client(index)
        if w[row + lay.ROLE] == lay.FINISHED:
            raise RingError(f"ring {self.name}: the stream of {label} is complete, its place cannot be used again")
        if w[row + lay.PID] and is_alive(core.identity(index)):
            raise RingError(f"ring {self.name}: the place of {label} is held by process {w[row + lay.PID]}")
        if w[row + lay.PID]:
            core.remove(index, closed=False)
        w[row + lay.ATTENTION] = 0
        self._index = index  # an exception from here on gives the place back
        who = myself()
        w[row + lay.START], w[row + lay.NAMESPACE] = who.start, who.namespace
        w[row + lay.PID] = who.pid  # from here on the place is held

    def _register(self, label: str, group: int) -> None:
        self._core.reap()  # who takes the place of a dead one finds it tidied up
        w = self._core.words
        high = w[self._core.control + lay.HIGH]
        index = next((i for i in range(high) if w[self._core.client(i) + lay.ROLE] == lay.NOBODY), high)
        if index == lay.MAX_CLIENTS:
            raise TooManyClients(f"ring {self.name} has {lay.MAX_CLIENTS} users already, no more can join")
        row = self._core.client(index)
        for word in range(lay.CLIENT_WORDS):
            w[row + word] = 0
        who = myself()
        w[row + lay.PID], w[row + lay.START], w[row + lay.NAMESPACE] = who
        w[row + lay.KEPT] = self.is_kept
        if self.is_kept and self._role == lay.READER:
            w[row + lay.STREAM] = secrets.randbits(62) | 1
        w[row + lay.GROUP] = group
        self._core.set_text(row + lay.LABEL, lay.LABEL_BYTES, label)
        self._index = index
        w[self._core.control + lay.HIGH] = max(high, index + 1)
        w[row + lay.ROLE] = self._role  # from here on the client exists

    def close(self) -> None:
        """Leave the ring; what was committed or released stays so, the rest goes back. Closing twice does nothing."""
        self._leave(closed=True)

    def abandon(self) -> None:
        """Leave the ring as if this process had died: a writer's stream does not count as finished."""
        self._leave(closed=False)

    def _leave(self, *, closed: bool) -> None:
        self._give_up(self._core.remove, closed=closed)

    def _give_up(self, change: Callable[..., None], **options: bool) -> None:
        """Carry out the change that takes this user out; no other use is possible from its begin on."""
        if self._registered:
            self._open = False
            self._forget()
            try:
                locked(self._core, change, self._index, **options)
            finally:  # after an interrupt the ring knows whether it was done, or has to be done again
                self._registered = self._words[self._row + lay.PID] == self._pid

    def __enter__(self):  # type: ignore[no-untyped-def]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leave(closed=kind is None or issubclass(kind, RingEnding))

    def _check(self) -> None:
        """Refuse use after close, after the end of the ring, and in a forked child."""
        if not self._open:
            if os.getpid() != self._pid:
                raise RingError(
                    f"ring {self.name}: {self.label} was opened by process {self._pid} and is used by its child "
                    f"{os.getpid()}: open one of its own in each process"
                )
            raise RingClosed(f"ring {self.name}: {self.label} has left already")
        flags = self._words[self._core.control + lay.FLAGS]
        if flags & lay.CLOSED:
            raise RingClosed(f"ring {self.name} was closed: the run was aborted")

    def _wait(self, attempt: Callable[[], T | Wait], timeout: float | None) -> T | None:
        """Try `attempt` under the lock until it gives something; None when `timeout` (seconds) has passed."""
        core = self._core
        give_up = None if timeout is None else time.monotonic() + timeout
        self._looks = 0
        while True:
            outcome = locked(core, attempt)
            if not isinstance(outcome, Wait):
                return outcome
            pause = SLICE_S
            if outcome.is_nap:
                pause = LINGER_S
                if self._looks == _PATIENCE:
                    locked(core, self._call_peers)
                self._looks += 1
            now = time.monotonic()
            if give_up is not None:
                if now >= give_up:
                    self._words[self._row + lay.WAITING] = 0
                    return None
                pause = min(pause, give_up - now)
            address = core.data_futex if self._waits_for_data else core.space_futex
            futex_wait(address, outcome.value, pause, self._mask)
            if now - self._last_reap > SLICE_S:
                self._last_reap = now
                if core.dead():
                    locked(core, core.reap)

    def _sleep(self) -> Wait:
        """Say that this client waits; called with the lock held."""
        is_nap = self._looks <= _PATIENCE and self._is_batch_open()
        self._words[self._row + lay.WAITING] = lay.NAPPING if is_nap else lay.ASLEEP
        return Wait(self._core.futex_value(self._waits_for_data), is_nap)

    def _is_batch_open(self) -> bool:
        """Whether those this client waits for may go on without the lock."""
        return self._core.is_batch_open(self._peer)

    def _call_peers(self) -> None:
        """Ask those this client waits for to come to the lock."""
        self._core.call_to_lock(self._peer)


def _leave_all_to_parent() -> None:
    for client in _here:
        client.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
