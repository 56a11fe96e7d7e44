"""Writers, readers and observers as users of a ring: joining, leaving, forking, interrupting."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mimodaq.ring import LockStalled, Ring, RingClosed, RingError, TooManyClients, VerifyError, Writer, _mutex
from mimodaq.ring._core import locked
from mimodaq.ring._layout import MAX_CLIENTS
from mimodaq.ring._process import Identity
from ring.harness import NOW, SMALL, Bell, Child, declare_dead, drain, event_of, numbers


def put(writer: Writer, *which: int) -> None:
    for number in which:
        writer.put(event_of(SMALL, 1, number))


def test_the_number_of_clients_is_limited(ring: Ring) -> None:
    clients = [ring.reader("g") for _ in range(MAX_CLIENTS)]
    with pytest.raises(TooManyClients, match=f"{MAX_CLIENTS} users already"):
        ring.writer()
    clients.pop(7).close()
    with ring.writer() as writer:
        put(writer, 0)
    for client in clients:
        client.close()
    assert numbers(drain(ring, "g")) == [0]


def test_the_places_of_the_dead_are_given_away(ring: Ring, dead: Identity) -> None:
    clients = [ring.reader("g", f"r{k}") for k in range(MAX_CLIENTS)]
    declare_dead(clients.pop(7), dead)
    with ring.writer("new"):
        assert "r7" not in ring.status().groups[0].readers
    for client in clients:
        client.close()


def test_labels_are_cut_to_fit(ring: Ring) -> None:
    with ring.reader("g", "ä" * 50):
        (label,) = ring.status().groups[0].readers
        assert label.startswith("ä" * 31)


Use = Callable[[Any], object]
USES: dict[str, list[Use]] = {
    "writer": [
        lambda writer: writer.put(event_of(SMALL, 1, 9)),
        lambda writer: writer.slot(),
        lambda writer: writer.claim(3),
    ],
    "reader": [
        lambda reader: reader.get(),
        lambda reader: reader.take(3),
        lambda reader: reader.release(),
        lambda reader: reader.release(1),
        lambda reader: reader.available(),
    ],
    "observer": [lambda observer: observer.get()],
}


def clients_at_work(ring: Ring) -> dict[str, Any]:
    """A client of each kind, with slots in hand as far as they can have any."""
    writer, reader, observer = ring.writer(), ring.reader("g"), ring.observer()
    put(writer, *range(7))
    for _ in range(6):
        reader.get()
    observer.get()
    return {"writer": writer, "reader": reader, "observer": observer}


@pytest.mark.parametrize("kind", USES)
@pytest.mark.parametrize("leave", ["close", "abandon"])
def test_nobody_can_be_used_after_leaving(new_ring: Callable[..., Ring], kind: str, leave: str) -> None:
    ring = new_ring(slots=64)
    client = clients_at_work(ring)[kind]
    getattr(client, leave)()
    successors = [ring.writer(), ring.reader("g"), ring.observer()]
    for use in USES[kind]:
        with pytest.raises(RingClosed, match="has left already"):
            use(client)
    for _ in range(2):
        client.close()
        client.abandon()
    if kind == "writer":
        client.commit()
        client.commit_batch()
    ring.verify()
    for successor in successors:
        successor.close()


@pytest.mark.parametrize("kind", USES)
def test_nobody_can_be_used_in_a_forked_child(new_ring: Callable[..., Ring], kind: str) -> None:
    ring = new_ring(slots=64)
    client = clients_at_work(ring)[kind]

    def misuse() -> None:
        for use in USES[kind]:
            with pytest.raises(RingError, match=f"opened by process {os.getppid()} and is used by its child"):
                use(client)
        client.close()

    with Child(misuse):
        pass
    before = ring.status()
    assert (len(before.writers), len(before.groups[0].readers), before.observers) == (1, 1, 1)
    client.close()


def test_a_child_may_open_its_own_on_an_inherited_ring(ring: Ring) -> None:
    def read() -> None:
        with ring.reader("g", "child") as reader:
            reader.get()
            reader.release()

    with ring.writer() as writer:
        put(writer, 0, 1)
    with Child(read):
        pass
    assert numbers(drain(ring, "g")) == [1]


def test_a_context_that_ends_well_closes(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(expected_writers=1)
    with ring.writer() as writer, ring.reader("g") as reader, ring.observer() as observer:
        put(writer, 0)
        assert reader.get() is not None
        assert observer.get() is not None
        reader.release()
    status = ring.status()
    assert (status.writers, status.groups[0].readers, status.observers) == ((), (), 0)
    assert (status.finished_writers, status.groups[0].released) == (1, 1)


@pytest.fixture
def on_signal() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Set what SIGUSR2 does in this process."""
    before = signal.getsignal(signal.SIGUSR2)
    yield lambda act: signal.signal(signal.SIGUSR2, lambda *_: act())  # type: ignore[func-returns-value]
    signal.signal(signal.SIGUSR2, before)


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGUSR2)


def test_a_signal_handler_cannot_use_a_ring_in_the_middle_of_a_change(
    ring: Ring, on_signal: Callable[[Callable[[], None]], None]
) -> None:
    on_signal(ring.end)
    with pytest.raises(RingError, match="let it set a flag only"):
        locked(ring._core, interrupted)
    ring.verify()
    assert not ring.is_ending
    interrupted()
    assert ring.is_ending


def test_a_signal_handler_may_use_another_ring(
    new_ring: Callable[..., Ring], on_signal: Callable[[Callable[[], None]], None]
) -> None:
    one, two = new_ring(), new_ring()
    on_signal(two.end)
    locked(one._core, interrupted)
    assert two.is_ending


def test_a_lock_left_by_a_second_exception_is_taken_up_again(ring: Ring) -> None:
    assert not ring._core.mutex.acquire()
    ring.verify()
    assert not ring._core.mutex.is_mine()
    with Child(ring.verify):
        pass


def test_a_lock_inherited_from_the_dead_survives_an_exception_at_once(ring: Ring) -> None:
    with Child(lambda: ring._core.mutex.acquire()):  # noqa: PLW0108
        pass
    assert _mutex._trylock(ring._core.mutex_address) == _mutex._EOWNERDEAD
    ring._core.recover()
    with Child(ring.verify):
        pass


def test_a_holder_that_does_not_run_is_named(
    ring: Ring, new_bell: Callable[[], Bell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mutex, "_STALL_S", 0.02)
    monkeypatch.setattr(_mutex, "_PATIENCE_S", 0.01)
    held, stop = new_bell(), new_bell()

    def hold() -> None:
        held.ring()
        stop.wait()

    with Child(locked, ring._core, hold) as holder:
        held.wait()
        with pytest.raises(LockStalled, match=f"by thread {holder.pid}, .*kill -CONT {holder.pid}"):
            ring.status()
        stop.ring()
    ring.status()


def test_the_self_check_names_every_contradiction(ring: Ring) -> None:
    with ring.writer() as writer:
        put(writer, 0, 1, 2)
    core = ring._core
    core.state[0], core.state[7], core.sequence[1] = 0, 1, 5
    with pytest.raises(VerifyError) as caught:
        ring.verify()
    for part in (
        "not unique and below 3",
        "being written by nobody",
        "2 events not yet handed out",
        "3 events committed",
    ):
        assert part in str(caught.value)
    core.state[0], core.state[7], core.sequence[1] = 2, 0, 1


@pytest.mark.parametrize("way", ["get", "take", "slot", "observe"])
def test_waiting_leaves_no_trace(ring: Ring, way: str) -> None:
    writer, reader, observer = ring.writer(), ring.reader("g"), ring.observer()
    if way == "slot":
        put(writer, *range(8))
    waits: dict[str, Use] = {
        "get": lambda _: reader.get(NOW),
        "take": lambda _: reader.take(1, NOW),
        "slot": lambda _: writer.slot(NOW),
        "observe": lambda _: observer.get(NOW),
    }
    before = ring.status()
    for _ in range(3):
        try:
            waits[way](None)
        except (TimeoutError, RingError):
            continue
    after = ring.status()
    assert (before.committed, before.free, before.ready) == (after.committed, after.free, after.ready)
    for client in (writer, reader, observer):
        client.close()
