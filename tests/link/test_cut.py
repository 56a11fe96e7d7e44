"""A link is given up: what is downstream ends, nobody upstream is blocked, what is missing is known exactly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from link.ends import GROUP, End, Pair, check_in_order, collect, produce, produce_until_told
from mimodaq.link import LinkOrder, dropped_place, let_go
from mimodaq.protocol.link import Settings
from mimodaq.ring import Ring, RingError
from ring.harness import PATIENCE_S, SMALL, Child, drain

NOBODY = "tcp://127.0.0.1:1"
TOTAL = 5000


def move(pair: Pair, events: int) -> None:
    """Until that many more events have come through."""
    until = pair.mirror.status().committed + events
    with pair.mirror.observer() as observer:
        while pair.mirror.status().committed < until:
            assert observer.get(30.0) is not None


def test_a_receiver_that_is_given_up_ends_its_mirror_and_says_what_is_missing(
    new_pair: Callable[..., Pair], pipe: tuple[int, int]
) -> None:
    pair = new_pair(SMALL, 2000)
    with Child(produce_until_told, pair.source), Child(check_in_order, pair.mirror, pipe[1]):
        move(pair, 5000)
        pair.sender.kill()
        pair.receiver.send(signal.SIGUSR1)
        assert pair.receiver.end() == 0
        pair.source.end()
    cut = pair.receiver.expect("cut")
    assert pair.receiver.expect("finish")["outcome"] == "cut"
    place = pair.mirror.place("link")
    assert place is not None
    assert place.is_finished
    assert int(os.read(pipe[0], 100)) == cut["position"] == place.position
    assert cut["sequence"] == cut["position"] - 1
    assert cut["sent"] >= cut["position"]
    assert cut["final"] == -1


def new_sender(ring: Ring, **options: object) -> End:
    order = LinkOrder("link", ring.segment, NOBODY, GROUP, **options)  # type: ignore[arg-type]
    sender = End("sender", order).start()
    sender.expect("ready")
    return sender


@pytest.fixture
def source(new_ring: Callable[..., Ring]) -> Ring:
    return new_ring(slots=100, dtype=SMALL, groups=[GROUP], expected_writers=1)


def dropped(ring: Ring) -> int:
    place = ring.place(dropped_place("link"), GROUP)
    return 0 if place is None else place.released


def test_events_of_a_link_that_is_given_up_block_nobody_and_are_counted(source: Ring) -> None:
    sender = new_sender(source)
    with Child(produce, source, TOTAL) as producer:
        sender.send(signal.SIGUSR1)
        assert producer.has_ended(PATIENCE_S)
    assert sender.end() == 0
    assert sender.expect("finish")["outcome"] == "cut"
    place = source.place("link", GROUP)
    assert place is not None
    assert (place.is_finished, place.released) == (True, 0)
    assert dropped(source) == TOTAL
    source.verify()


def test_a_process_that_drops_may_be_killed_and_goes_on(source: Ring) -> None:
    sender = new_sender(source, give_up=True)
    with Child(produce_until_told, source):
        for _ in range(3):
            before = dropped(source)
            with source.observer() as observer:
                while dropped(source) < before + 500:
                    assert observer.get(30.0) is not None
            sender.kill()
            sender.order = replace(sender.order, give_up=False)  # the ring knows
            sender.reports.clear()
            sender.start().expect("ready")
        assert sender.terminate() == 0
        assert sender.expect("finish")["outcome"] == "left"
        sender.start()
        source.end()
        assert sender.end() == 0
    assert dropped(source) == source.status().committed
    source.verify()
    assert sender.start().end() == 0
    assert sender.expect("finish", outcome="cut")


def test_events_of_a_link_that_is_given_up_go_to_those_of_this_host(source: Ring) -> None:
    with source.reader(GROUP, "link", kept=True) as reader, source.writer() as writer:
        writer.claim(9)
        writer.commit_batch()
        reader.take(5)  # a sender that has sent five
        reader.release(2)
        reader.abandon()
        sender = new_sender(source, give_up=True, has_local_members=True)
        assert sender.end() == 0
    assert sender.expect("cut").items() >= {"position": 2, "sent": 5, "final": -1}.items()
    assert len(drain(source, GROUP)) == 7
    assert source.status().groups[0].redelivered == 0
    source.verify()


def test_what_one_link_lets_go_another_of_the_group_takes(new_pair: Callable[..., Pair], pipe: tuple[int, int]) -> None:
    pair = new_pair(SMALL, 100)
    other = End("sender", LinkOrder("other", pair.source.segment, NOBODY, GROUP)).start()
    other.expect("ready")
    with Child(collect, pair.mirror, pipe[1]), Child(produce, pair.source, 1000) as producer:
        other.send(signal.SIGUSR1)
        assert producer.has_ended(PATIENCE_S)
        assert [end.end() for end in (*pair.ends, other)] == [0, 0, 0]
    assert np.frombuffer(os.read(pipe[0], 1 << 16), "<i8").tolist() == list(range(1000))
    place = pair.source.place(dropped_place("other"), GROUP)
    assert place is not None
    assert place.released == 0


def test_ends_without_processes_are_given_up_by_a_call(new_ring: Callable[..., Ring]) -> None:
    source, mirror = (new_ring(slots=8, dtype=SMALL, groups=[GROUP], expected_writers=1) for _ in range(2))
    sender = LinkOrder("link", source.segment, NOBODY, GROUP)
    receiver = LinkOrder("link", mirror.segment, NOBODY)
    with source.writer() as writer, mirror.writer("link", kept=True) as link:
        writer.claim(3)
        writer.commit_batch()
        link.begin_stream(5, 10)
        link.claim(2)
        link.commit_batch()
        with pytest.raises(RingError, match="held by process"):
            let_go(receiver)
        link.abandon()
    cut = let_go(receiver)
    assert cut is not None
    assert (cut.stream, cut.position) == (5, 12)
    assert mirror.status().is_ended
    cut = let_go(sender)
    assert cut is not None
    assert cut.position == 0
    assert [let_go(order) for order in (sender, receiver)] == [None, None]
    assert source.status().groups[0].pending == 3


def test_a_receiver_that_is_given_up_stores_what_it_has_accepted(new_pair: Callable[..., Pair]) -> None:
    pair = new_pair(SMALL, 50, settings=Settings(leave_s=0.1))
    with Child(produce_until_told, pair.source) as producer:
        with pair.mirror.observer() as observer:
            while pair.mirror.status().free:
                assert observer.get(30.0) is not None
        for end in pair.ends:
            end.send(signal.SIGUSR1)
            pair.source.end()
        assert producer.has_ended(PATIENCE_S)
        assert [end.end() for end in pair.ends] == [0, 0]
    assert pair.receiver.expect("cut")["position"] == 50 == pair.mirror.status().committed
    sent = pair.source.place("link", GROUP)
    assert sent is not None
    assert sent.released <= 50
    assert sent.released + dropped(pair.source) == pair.source.status().committed
