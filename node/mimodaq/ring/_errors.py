"""What can go wrong with a ring buffer, one class for each thing a caller can act on."""

from __future__ import annotations


class RingError(Exception):
    """Base of every error of a ring buffer."""


class RingEnding(RingError):
    """The run is ending: writers must stop now. What they have committed is kept."""


class RingClosed(RingError):
    """The ring was closed (run aborted, or its creator has removed it)."""


class RingFull(RingError):
    """No free slot turned up within the time allowed."""


class SegmentError(RingError):
    """A shared-memory segment cannot be created, or is not what its name promises."""


class SegmentInUse(SegmentError):
    """A segment of this name exists and a living process uses it."""


class NoSpace(SegmentError):
    """/dev/shm has no room for the ring."""


class TooManyClients(RingError):
    """The client table of the ring is full."""


class LockStalled(RingError):
    """Somebody has held the ring's lock for much longer than any operation takes."""


class VerifyError(RingError):
    """The slot table and the counters of a ring contradict each other."""
