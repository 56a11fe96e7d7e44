"""Both ends as real processes over loopback: events out = events in, none twice, in order, whatever is killed."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import zmq

from link.ends import GROUP, End, Pair, check_in_order, check_ledger, collect, produce, produce_until_told
from mimodaq.link import LinkError, LinkOrder
from mimodaq.protocol.link import Settings
from mimodaq.ring import Ring
from ring.harness import SMALL, WAVE, Child


@pytest.mark.parametrize(
    ("dtype", "slots", "total", "options"),
    [
        (SMALL, 5000, 100_000, {}),
        (SMALL, 3, 500, {}),
        (WAVE, 64, 600, {}),
        (WAVE, 64, 200, {"codec": "lz4"}),
        (SMALL, 5000, 20_000, {"codec": "zstd"}),
        (SMALL, 100, 0, {}),
        (SMALL, 100, 1000, {"settings": Settings(batch_bytes=1, largest_batch_bytes=1, window_batches=2)}),
    ],
    ids=["small", "three slots", "waves", "lz4", "zstd", "nothing", "one by one"],
)
def test_everything_arrives_once_and_in_order(
    new_pair: Callable[..., Pair],
    pipe: tuple[int, int],
    dtype: np.dtype[np.void],
    slots: int,
    total: int,
    options: dict[str, object],
) -> None:
    pair = new_pair(dtype, slots, **options)
    with Child(produce, pair.source, total), Child(check_in_order, pair.mirror, pipe[1]):
        assert [end.end() for end in pair.ends] == [0, 0]
    assert int(os.read(pipe[0], 100)) == total
    assert check_ledger(pair.source, pair.mirror, pair.link) == total
    assert pair.sender.expect("finish")["outcome"] == "done"


def test_curve_keys_protect_a_link(new_pair: Callable[..., Pair], pipe: tuple[int, int]) -> None:
    (server, server_secret), (client, client_secret) = (
        [key.decode() for key in zmq.curve_keypair()],
        [key.decode() for key in zmq.curve_keypair()],
    )
    keys = (
        {"public_key": server, "secret_key": server_secret, "client_key": client},
        {"public_key": client, "secret_key": client_secret, "server_key": server},
    )
    pair = new_pair(keys=keys)
    with Child(produce, pair.source, 2000), Child(check_in_order, pair.mirror, pipe[1]):
        assert [end.end() for end in pair.ends] == [0, 0]
    assert check_ledger(pair.source, pair.mirror, pair.link) == 2000


def test_kills_lose_and_double_nothing(new_pair: Callable[..., Pair], pipe: tuple[int, int]) -> None:
    pair = new_pair(SMALL, 20_000)
    with Child(produce_until_told, pair.source), Child(check_in_order, pair.mirror, pipe[1]):
        for _ in range(4):
            for end in pair.ends:
                wait_until_moving(pair, pair.mirror.status().committed)
                end.kill()
                end.start()
        wait_until_moving(pair, pair.mirror.status().committed)
        pair.source.end()
        assert [end.end() for end in pair.ends] == [0, 0]
    total = check_ledger(pair.source, pair.mirror, pair.link)
    assert int(os.read(pipe[0], 100)) == total == pair.source.status().committed


def wait_until_moving(pair: Pair, before: int) -> None:
    """Until more than `before` events have come through."""
    with pair.mirror.observer() as observer:
        while pair.mirror.status().committed <= before + 20_000:
            assert observer.get(30.0) is not None


def test_a_clean_leave_hands_the_place_over(new_pair: Callable[..., Pair], pipe: tuple[int, int]) -> None:
    pair = new_pair(SMALL, 2000)
    with Child(produce_until_told, pair.source), Child(check_in_order, pair.mirror, pipe[1]):
        for end in pair.ends:
            wait_until_moving(pair, pair.mirror.status().committed)
            assert end.terminate() == 0
            assert end.expect("finish")["outcome"] == "left"
            end.start()
        wait_until_moving(pair, pair.mirror.status().committed)
        pair.source.end()
        assert [end.end() for end in pair.ends] == [0, 0]
    check_ledger(pair.source, pair.mirror, pair.link)


def test_a_group_that_spans_two_hosts_gets_each_event_once(
    new_pair: Callable[..., Pair], pipe: tuple[int, int]
) -> None:
    one = new_pair(SMALL, 500, link="to one")
    two = new_pair(SMALL, 500, link="to two", source=one.source)
    for pair in (one, two):
        pair.sender.expect("say", level="info")  # both are connected before the first event
    read, write = os.pipe()
    found = b""
    with (
        Child(collect, one.mirror, write),
        Child(collect, two.mirror, write),
        Child(produce, one.source, 20_000),
    ):
        os.close(write)
        while data := os.read(read, 1 << 16):
            found += data
        os.close(read)
        assert [end.end() for pair in (one, two) for end in pair.ends] == [0, 0, 0, 0]
    assert sorted(np.frombuffer(found, "<i8").tolist()) == list(range(20_000))
    shares = [check_ledger(one.source, pair.mirror, pair.link) for pair in (one, two)]
    assert sum(shares) == 20_000
    assert min(shares) > 0


def test_rings_of_different_events_are_not_linked(new_ring: Callable[..., Ring]) -> None:
    source = new_ring(slots=4, dtype=WAVE)
    mirror = new_ring(slots=4, dtype=SMALL)
    pair = Pair(source, mirror)
    assert pair.sender.end() == 2
    assert "events differ" in pair.sender.expect("finish")["reason"]
    assert pair.receiver.terminate() == 0


def test_plain_tcp_to_other_hosts_must_be_asked_for() -> None:
    with pytest.raises(LinkError, match="insecure = true"):
        LinkOrder("link", "segment", "tcp://10.0.0.1:5555")
    LinkOrder("link", "segment", "tcp://10.0.0.1:5555", insecure=True)
    LinkOrder("link", "segment", "tcp://127.0.0.1:5555")
    LinkOrder("link", "segment", "ipc:///run/user/1000/link")


def test_noise_on_the_socket_kills_nothing(new_pair: Callable[..., Pair], pipe: tuple[int, int]) -> None:
    pair = new_pair()
    dice = np.random.default_rng(5)
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.connect(pair.sender.order.endpoint)
    with Child(produce, pair.source, 20_000), Child(check_in_order, pair.mirror, pipe[1]):
        for _ in range(3000):
            stranger.send_multipart([dice.bytes(int(dice.integers(0, 60))) for _ in range(int(dice.integers(1, 4)))])
        assert [end.end() for end in pair.ends] == [0, 0]
    context.destroy(linger=0)
    assert check_ledger(pair.source, pair.mirror, pair.link) == 20_000


def test_an_order_that_cannot_be_read_says_so(new_ring: Callable[..., Ring]) -> None:
    end = End("sender", LinkOrder("link", "no such ring", "ipc://nowhere", group=GROUP)).start()
    assert end.end() == 2
    assert "there is no ring" in end.expect("finish")["reason"]
