"""Ring buffers in shared memory: many writers, groups of readers, observers, safe against the death of any process."""

from mimodaq.ring._client import Batch
from mimodaq.ring._errors import (
    LockStalled,
    NoSpace,
    RingClosed,
    RingEnding,
    RingError,
    RingFull,
    SegmentError,
    SegmentInUse,
    TooManyClients,
    VerifyError,
)
from mimodaq.ring._observer import Observed, Observer, Recent
from mimodaq.ring._reader import Reader
from mimodaq.ring._ring import Ring, attached_rings
from mimodaq.ring._segment import left_overs, remove_left_overs, segment_name, segments_of
from mimodaq.ring._status import GroupStatus, Place, RingStatus, WriterStatus
from mimodaq.ring._writer import Writer

__all__ = [
    "Batch",
    "GroupStatus",
    "LockStalled",
    "NoSpace",
    "Observed",
    "Observer",
    "Place",
    "Reader",
    "Recent",
    "Ring",
    "RingClosed",
    "RingEnding",
    "RingError",
    "RingFull",
    "RingStatus",
    "SegmentError",
    "SegmentInUse",
    "TooManyClients",
    "VerifyError",
    "Writer",
    "WriterStatus",
    "attached_rings",
    "left_overs",
    "remove_left_overs",
    "segment_name",
    "segments_of",
]
