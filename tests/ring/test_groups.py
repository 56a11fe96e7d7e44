"""Reader groups: who gets what, who is to blame for waiting, and whether the books balance."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mimodaq.ring import GroupStatus, Ring, RingError, RingFull, Writer
from mimodaq.ring._layout import MAX_GROUPS
from ring.harness import NOW, SMALL, drain, event_of, numbers


def put(writer: Writer, *which: int) -> None:
    for number in which:
        writer.put(event_of(SMALL, 1, number))


def balance(group: GroupStatus) -> int:
    return group.released + group.quarantined + group.pending + group.reading + group.aside


def test_every_group_gets_every_event(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(groups=["f", "g", "h"])
    with ring.writer() as writer:
        put(writer, *range(6))
    assert [numbers(drain(ring, group)) for group in ring.groups] == [list(range(6))] * 3


def test_a_slot_is_free_when_the_last_group_has_released_it(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=3, groups=["f", "g"])
    with ring.writer() as writer:
        put(writer, 0, 1, 2)
        drain(ring, "f")
        with pytest.raises(RingFull):
            writer.slot(NOW)
        with ring.reader("g") as reader:
            reader.get()
            reader.release()
            writer.slot(NOW)
            reader.get()


def test_a_group_that_joins_gets_the_events_from_then_on(ring: Ring) -> None:
    with ring.writer() as writer:
        put(writer, 0, 1)
        ring.add_group("late")
        ring.add_group("late")
        put(writer, 2, 3)
    assert ring.groups == ("g", "late")
    assert numbers(drain(ring, "late")) == [2, 3]
    assert numbers(drain(ring, "g")) == [0, 1, 2, 3]
    status = ring.status()
    assert [group.committed for group in status.groups] == [4, 2]
    assert status.free == ring.slots


def test_events_in_the_middle_of_being_written_belong_to_a_group_that_joins(ring: Ring) -> None:
    with ring.writer() as writer:
        put(writer, 0, 1, 2, 3)
        writer.slot()["number"] = 7
        ring.add_group("late")
        writer.commit()
    with ring.reader("late") as reader:
        batch = reader.take(8, NOW)
        assert batch is not None
        assert batch.events["number"].tolist() == [[7]]
        reader.release()


def test_a_ring_without_groups_never_fills(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(groups=[])
    with ring.writer() as writer:
        put(writer, *range(20))
        ring.add_group("late")
        put(writer, *range(20, 28))
    assert numbers(drain(ring, "late")) == list(range(20, 28))
    assert ring.status().free == ring.slots


def test_there_is_no_reader_without_a_group(ring: Ring) -> None:
    with pytest.raises(RingError, match="no reader group 'h'; it has g"):
        ring.reader("h")


def test_groups_are_limited(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(groups=[f"g{k}" for k in range(MAX_GROUPS)])
    with pytest.raises(RingError, match=f"{MAX_GROUPS} reader groups already"):
        ring.add_group("one more")
    with ring.writer() as writer:
        put(writer, *range(8))
    for group in ring.groups:
        assert len(drain(ring, group)) == 8


def test_a_group_name_too_long_is_refused(ring: Ring) -> None:
    ring.add_group("ä" * 63)
    assert ring.groups == ("g", "ä" * 63)
    with pytest.raises(ValueError, match="name of a reader group"):
        ring.add_group("ä" * 64)


def test_the_group_that_holds_the_oldest_event_is_blamed(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=2, groups=["quick", "slow"])
    with ring.writer() as writer:
        put(writer, 0, 1)
        drain(ring, "quick")
        with pytest.raises(RingFull):
            writer.slot(0.01)
        waited = writer.waited_s
        drain(ring, "slow")
        writer.slot(NOW)
        quick, slow = ring.status().groups
        assert waited >= 0.01
        assert [ring.status().writers[0].waited_s, slow.blamed_s, writer.waited_s] == pytest.approx([waited] * 3)
        assert quick.blamed_s == 0
    assert ring.status().waited_s == pytest.approx(waited)


def test_time_spent_between_two_claims_is_not_waiting(ring: Ring, new_ring: Callable[..., Ring]) -> None:
    with ring.writer() as writer, new_ring().reader("g") as elsewhere:
        put(writer, *range(8))
        with pytest.raises(RingFull):
            writer.slot(NOW)
        waited = writer.waited_s
        with pytest.raises(TimeoutError):
            elsewhere.get(0.05)
        drain(ring, "g")
        put(writer, 8)
        assert writer.waited_s == waited


def test_a_pause_is_not_waiting(ring: Ring) -> None:
    with ring.writer() as writer:
        ring.pause()
        with pytest.raises(RingFull):
            writer.slot(0.01)
        ring.resume()
        put(writer, 0)
        assert writer.waited_s == 0
    status = ring.status()
    assert (status.waited_s, status.groups[0].blamed_s) == (0, 0)
    assert status.paused_s >= 0.01


def test_the_books_balance_at_every_moment(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=16, groups=["f", "g"], buffer="pulses")
    writer, reader = ring.writer("source"), ring.reader("f", "worker")
    put(writer, *range(10))
    reader.take(4)
    reader.release(3)
    status = ring.status()
    f, g = status.groups
    assert (status.name, status.slots, status.event_bytes, status.committed) == ("pulses", 16, 24, 10)
    assert (status.ready, status.free + status.writing) == (10, 6)
    assert (f.name, f.released, f.reading + f.pending, f.readers) == ("f", 3, 7, ("worker",))
    assert (g.name, g.released, g.pending, g.readers) == ("g", 0, 10, ())
    assert balance(f) == balance(g) == f.committed == g.committed == 10
    assert status.fill == (16 - status.free) / 16
    writer.close()
    drain(ring, "g")
    assert ring.status().free == 9
    reader.close()
    drain(ring, "f")
    status = ring.status()
    assert (status.free, status.writers, status.groups[0].readers, status.finished_writers) == (16, (), (), 1)
