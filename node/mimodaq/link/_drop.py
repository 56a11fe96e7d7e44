"""What becomes of the events of a reader group when its link is given up.

They must not stay in the ring for ever: its writers would wait for them, and everything upstream with these. So they go
to the others of the group; when there are none, they are taken and dropped, and each is counted in a place of the ring.
"""

from __future__ import annotations

import signal
import time
from typing import Any, Final

from mimodaq.link._order import LinkOrder
from mimodaq.link._process import Reports, Signals
from mimodaq.protocol.link import Cut, Finish, Outcome
from mimodaq.ring import Ring, RingError

_MARK: Final = "~"
_LOOK_S: Final = 0.1


def dropped_place(link: str) -> str:
    """Label of the kept place that counts what was dropped for a link."""
    return _MARK + link


def was_cut(ring: Ring, order: LinkOrder) -> bool:
    """Whether a sender whose place is finished has left before the stream of its group had ended."""
    status = ring.status()
    group = next(g for g in status.groups if g.name == order.group)
    return not status.is_ended or bool(group.pending + group.reading)


def drop(ring: Ring, order: LinkOrder, reports: Reports, signals: Signals) -> Finish:
    """See to the events of a group whose link was given up, until its stream has ended; RingClosed after an abort."""
    text = "the link was given up"
    if order.has_local_members:
        return Finish(Outcome.CUT, f"{text}; its events go to the processes of this host")
    label = dropped_place(order.link)
    place = ring.place(label, order.group)
    if place is not None and place.is_finished:
        return Finish(Outcome.CUT, f"{text} before this start; {place.released} events were dropped")
    with ring.reader(order.group, label, kept=True) as reader:
        reader.release()  # what a predecessor had in hand when it was killed

        def figures() -> dict[str, Any]:
            return {"connected": False, "lag": reader.available(), "dropped": reader.released}

        while not signals.take(signal.SIGTERM):
            reports.figures(time.monotonic(), reader.released, ring.dtype.itemsize, figures)
            if not _is_alone(ring, order.group):
                time.sleep(_LOOK_S)
                continue
            batch = reader.take(ring.slots, _LOOK_S)
            if batch is None:
                return Finish(Outcome.CUT, f"{text}; {reader.released} events were dropped")
            reader.release()
        reader.abandon()
        return Finish(Outcome.LEFT, "told to leave; a successor drops the rest")


def _is_alone(ring: Ring, group: str) -> bool:
    """Whether nobody is left in the group but those who drop its events; a dead link keeps its place."""
    return all(
        label.startswith(_MARK) for found in ring.status().groups if found.name == group for label in found.readers
    )


def let_go(order: LinkOrder) -> Cut | None:
    """Give up a link at this end when none of its processes lives: end the mirror, or give the events to the group.

    An order without a group is that of a receiver (not of the source of copies, which holds nothing to let go).
    Returns a record of what is certain, or None if the stream had come to its end. RingError if a living process holds
    the place.
    """
    ring = Ring.attach(order.segment)
    place = ring.place(order.link, order.group or None)
    if place is not None and place.is_finished:
        return None
    if order.group:
        reader = ring.reader(order.group, order.link, kept=True)
        cut = Cut(order.link, reader.stream, reader.released, -1, reader.taken, -1)
        reader.retire()
        return cut
    writer = ring.writer(order.link, kept=True)
    place = ring.place(order.link)
    if place is None:
        raise RingError(f"ring {ring.name}: the place of {order.link} has vanished")
    writer.close()
    return Cut(order.link, place.stream, place.position, -1, place.position, -1)
