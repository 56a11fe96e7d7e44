"""What `Writer`, `Reader` and `Observer` have in common: attaching to a ring by a setup dictionary."""

from __future__ import annotations

import contextlib
import os
import select
import weakref
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from mimodaq.mimocorb._later import catch_up, soon
from mimodaq.mimocorb._slots import Layout, SlotDtype
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.ring import Observer as RingObserver
from mimodaq.ring import Reader as RingReader
from mimodaq.ring import Ring, SegmentError
from mimodaq.ring import Writer as RingWriter

SetupDict = dict[str, Any]
"""What a process needs to use a buffer. Keys: `number_of_slots`, `values_per_slot`, `dtype`, `mshare_name` and
`metadata_share_name` (the ring's segment), `active` and `paused` (objects with `is_set()`), `debug`; for a reader
`group`; `owner` (process id) if the buffer shall end when that process dies; `label`."""

PERIOD_S: Final = 1.0
"""How often a process looks whether the owner of its buffer lives."""


class Flag:
    """Something that is or is not, asked like a `multiprocessing.Event`."""

    def __init__(self, is_set: Callable[[], bool]) -> None:
        self.is_set = is_set


class RingFlag:
    """A flag of a ring by its name, for setup dictionaries: `active` until the ring has ended, or `paused`."""

    def __init__(self, segment: str, question: str) -> None:
        self.segment = segment
        self.question = question

    def is_set(self) -> bool:
        """The answer now; a ring that is gone is neither active nor paused."""
        try:
            status = Ring.attach(self.segment).status()
        except SegmentError:
            return False
        return status.is_paused if self.question == "paused" else not (status.is_ended or status.is_closed)


class _Owner:
    """The process that made a buffer."""

    def __init__(self, pid: int) -> None:
        self._poll = select.poll()
        try:
            self._fd = os.pidfd_open(pid)  # stays the same process even when its number is given again
        except ProcessLookupError:
            self._fd = -1
        else:
            self._poll.register(self._fd, select.POLLIN)

    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._fd < 0 or bool(self._poll.poll(0))


_owner = cache(_Owner)


class Ends:
    """The ends of buffers that one function has made, and how the run ended for them."""

    def __init__(self) -> None:
        self.is_cut_off = False
        """An event was refused because writers have to stop: the event it was made from is not done."""
        self.is_aborted = False
        """A buffer was closed while there was work to do."""
        self._all: weakref.WeakSet[Endpoint] = weakref.WeakSet()

    def add(self, end: Endpoint) -> None:
        """Add one; it is forgotten when the function drops it."""
        self._all.add(end)

    def leave(self, *, is_done: bool) -> None:
        """Let all of them leave their rings."""
        for end in list(self._all):
            end.leave(is_done=is_done)


_collected: Ends | None = None


class Endpoint:
    """One end of a buffer in this process. Raises SystemExit if the buffer is shut down already."""

    def __init__(self, setup_dict: SetupDict, role: str) -> None:
        self.number_of_slots: int = setup_dict["number_of_slots"]
        self.values_per_slot: int = setup_dict["values_per_slot"]
        self.dtype: SlotDtype = setup_dict["dtype"]
        catch_up()
        try:
            self._ring = Ring.attach(setup_dict["mshare_name"])
        except SegmentError:
            if "owner" not in setup_dict:
                raise
            Gen_logger("mimo_buffer").warning("%s started after its buffer was shut down", label_of(role))
            raise SystemExit from None  # it was there when the dictionary was made, so the run is over
        self._layout = Layout(self._ring.dtype, plain=np.dtype(self.dtype).names is None)
        pid = setup_dict.get("owner", os.getpid())
        self._owner = None if pid == os.getpid() else _owner(pid)
        self.label: str = setup_dict.get("label", label_of(role))
        """Name of this end in the ring: function and process, for example ``Fkt_2[0]``."""
        self._client: RingWriter | RingReader | RingObserver | None = None
        self._pid = os.getpid()
        self._ended = False
        self._ends = _collected or Ends()
        self._ends.add(self)

    @property
    def buffer(self) -> str:
        """Name of the buffer in the run."""
        return self._ring.name

    @property
    def run_folder(self) -> Path | None:
        """The folder in memory of the run that the buffer belongs to; None outside of a run."""
        folder = self._ring.description.get("folder")
        return Path(folder) if folder else None

    # mimoCoRB programs look at the following two, in spite of their names. Made when asked for: an end that referred to
    # itself would not leave its ring as soon as it is dropped.
    @property
    def _active(self) -> Flag:
        return Flag(self.is_active)

    @property
    def _paused(self) -> Flag:
        return Flag(self.is_paused)

    def is_active(self) -> bool:
        """Whether the run goes on for this end."""
        return not self._ended

    def is_paused(self) -> bool:
        """Whether the buffer is paused."""
        return self._ring.status().is_paused

    def leave(self, *, is_done: bool) -> None:
        """Stop using the buffer. With `is_done` the event in hand counts as worked on; else its group gets it back.

        A writer leaves without ending the stream: only `NewBuffer.shutdown`, or `call_function`, ends it.
        """
        self._ended = True
        client, self._client = self._client, None
        if client is not None:
            soon(partial(_leave, client, self._pid, is_done=is_done and not self._ends.is_cut_off))

    def _check_owner(self) -> None:
        """End the stream when nobody else will: its owner has died."""
        catch_up()
        if self._owner is not None and self._owner.is_gone():
            self._ring.declare_ended()
            self._ring.unlink()

    def __del__(self) -> None:
        if getattr(self, "_client", None) is not None:
            self.leave(is_done=True)


def _leave(client: RingWriter | RingReader | RingObserver, pid: int, *, is_done: bool) -> None:
    if os.getpid() != pid:
        return  # in a forked child it still belongs to the parent
    if is_done and isinstance(client, RingReader):
        client.release()
    client.abandon()


def label_of(role: str) -> str:
    """How a member made from a dictionary without a label is called in the ring."""
    return f"{role} of process {os.getpid()}"


@contextlib.contextmanager
def collect() -> Iterator[Ends]:
    """Collect the ends that are made within the block."""
    global _collected  # noqa: PLW0603 - a user's function makes them through constructors that know nothing of us
    _collected, outer = Ends(), _collected
    try:
        yield _collected
    finally:
        _collected = outer
