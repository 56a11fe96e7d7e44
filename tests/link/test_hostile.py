"""Whoever says whatever to a link: nothing changes, nothing dies; with keys, strangers are not even listened to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from link.between import NO_KEYS, SETTINGS, Between
from link.ends import GROUP, LOCAL, End, Pair, check_in_order, check_ledger, new_keys, produce_until_told
from link.test_messages import MESSAGES
from mimodaq.link import LinkError, LinkOrder
from mimodaq.protocol import link, link_receiver, link_sender
from mimodaq.protocol.link import Batch, Identity, Kept, Place, Receiver, Sender, Settings, Tick, Transmit
from mimodaq.protocol.link_messages import Ack, Bye, Hello, Open, Ping, Unknown, Welcome
from mimodaq.ring import Ring
from ring.harness import SMALL, Child

LIES = int(os.environ.get("MIMODAQ_LINK_LIES", "100000"))
"""Frames said in the names of both ends, in each of two tests."""


def lie(between: Between, lies: int, result: tuple[int, int]) -> None:
    """Run the link, with so many lies, to its end, and check that every event came through."""
    with Child(produce_until_told, between.source), Child(check_in_order, between.mirror, result[1]):
        while between.relay.injected < lies:
            between.step(5)
        between.pass_on_to_the_end()
    total = check_ledger(between.source, between.mirror, "link")
    assert int(os.read(result[0], 100)) == total == between.source.status().committed
    assert total > 0
    assert between.receiver.last("figures")["garbage"] > 100
    assert between.sender.last("figures")["garbage"] > 100


@pytest.mark.parametrize("has_keys", [False, True], ids=["plain", "curve"])
def test_replayed_damaged_and_senseless_frames_change_nothing(
    between: Callable[..., Between], pipe: tuple[int, int], has_keys: bool
) -> None:
    lie(between(keys=(new_keys(), new_keys()) if has_keys else NO_KEYS), LIES, pipe)


@pytest.mark.soak
@pytest.mark.parametrize("has_keys", [False, True], ids=["plain", "curve"])
def test_a_million_frames_change_nothing(
    between: Callable[..., Between], pipe: tuple[int, int], has_keys: bool
) -> None:
    lie(between(keys=(new_keys(), new_keys()) if has_keys else NO_KEYS), 1_000_000, pipe)


def test_who_does_not_have_the_key_of_the_sender_is_turned_away(
    new_pair: Callable[..., Pair], pipe: tuple[int, int]
) -> None:
    server, client, own = new_keys(), new_keys(), new_keys()
    keys = (
        {"public_key": server[0], "secret_key": server[1], "client_key": client[0]},
        {"public_key": client[0], "secret_key": client[1], "server_key": server[0]},
    )
    pair = new_pair(keys=keys)
    hello = link.encode(Hello("link", "a ring", 1, "[]", 24, 1000))
    with (
        Child(produce_until_told, pair.source),
        Child(check_in_order, pair.mirror, pipe[1]),
        zmq.Context() as context,
        context.socket(zmq.DEALER) as thief,
        context.socket(zmq.DEALER) as plain,
    ):
        for stranger in (thief, plain):
            stranger.linger = 0
        thief.curve_publickey, thief.curve_secretkey = (key.encode() for key in own)
        thief.curve_serverkey = server[0].encode()
        with thief.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH) as monitor:
            thief.connect(pair.sender.order.endpoint)
            assert monitor.poll(20_000)
            thief.disable_monitor()
        plain.connect(pair.sender.order.endpoint)
        plain.send(hello)
        babble(pair.sender.order.endpoint)
        pair.source.end()
        assert [end.end() for end in pair.ends] == [0, 0]
        assert not plain.poll(0)
    assert check_ledger(pair.source, pair.mirror, pair.link) == pair.source.status().committed
    assert pair.receiver.last("figures")["garbage"] == 0


def babble(endpoint: str) -> None:
    """Connect as no ZeroMQ program would, with noise, again and again."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    dice = np.random.default_rng(9)
    greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE" + bytes(47)
    for i in range(300):
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall((greeting if i % 2 else b"") + dice.bytes(int(dice.integers(1, 3000))))


def test_a_sender_that_was_turned_away_can_be_told_to_leave(new_ring: Callable[..., Ring]) -> None:
    source, mirror = (new_ring(slots=8, dtype=SMALL, groups=[GROUP], expected_writers=1) for _ in range(2))
    server, client, other = new_keys(), new_keys(), new_keys()
    there = LinkOrder("link", mirror.segment, LOCAL, public_key=server[0], secret_key=server[1], client_key=other[0])
    receiver = End("receiver", there).start()
    here = LinkOrder("link", source.segment, receiver.expect("ready")["endpoint"], GROUP, settings=SETTINGS)
    here = replace(here, public_key=client[0], secret_key=client[1], server_key=server[0])
    sender = End("sender", here).start()
    sender.expect("say", level="warning")
    assert [sender.terminate(), receiver.terminate()] == [0, 0]
    assert receiver.last("figures")["sessions"] == 0


def test_keys_that_are_missing_or_none_are_said(new_ring: Callable[..., Ring]) -> None:
    ring = new_ring(slots=8, dtype=SMALL, groups=[GROUP])
    public, secret = new_keys()
    order = LinkOrder("link", ring.segment, LOCAL, public_key=public, secret_key=secret)
    for role, missing in (("receiver", "key of the sender is missing"), ("sender", "key of the other end is missing")):
        end = End(role, replace(order, group=GROUP if role == "sender" else "")).start()
        assert end.end() == 2
        assert missing in end.expect("finish")["reason"]
    with pytest.raises(LinkError, match="its secret key is no CURVE key"):
        replace(order, secret_key="secret")
    with pytest.raises(LinkError, match="belong together"):
        replace(order, secret_key="")
    with pytest.raises(LinkError, match="1 to 62 bytes"):
        replace(order, link="x" * 63)


# -- the sessions, told anything ---------------------------------------------------------------------------------

ME = Identity("link", "ring", "[]", 100)
NONCE = 5


@settings(deadline=None)
@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.floats(0.0, 1.0)), max_size=60))
def test_no_message_makes_a_receiver_forget_or_invent_events(script: list[tuple[link.Message, bool, float]]) -> None:
    receiver = Receiver(ME, Settings(), Kept(7, 100, False, 0), lambda: NONCE, 0.0)
    receiver.handle(link_receiver.Room(50), 0.0)
    receiver.handle(link_receiver.Heard(b"p", Hello("link", "ring", 1, "[]", 100, 1000)), 0.0)
    receiver.handle(link_receiver.Heard(b"p", Open(NONCE, 7, 100, 7)), 0.0)
    now = 0.0
    for said, is_current, pause in script:
        is_ours = is_current and isinstance(said, Batch | Ping | Bye)
        message = replace(said, nonce=NONCE) if is_ours else said
        now += pause
        effects = receiver.handle(link_receiver.Heard(b"q", message), now)
        assert not any(isinstance(e, link_receiver.BeginStream) for e in effects)
        assert receiver.position == 100
        assert not receiver.is_ended or any(isinstance(m, Ping) and m.final == 100 for m, _, _ in script)


@settings(deadline=None)
@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.floats(0.0, 1.0)), max_size=60))
def test_no_message_makes_a_sender_release_what_it_was_not_handed(
    script: list[tuple[link.Message, bool, float]],
) -> None:
    sender = Sender(ME, Settings(), Place(7, 100, 150), lambda: NONCE)
    sender.handle(link_sender.Begin(), 0.0)
    now, released = 0.0, 100
    for said, is_current, pause in [(Welcome(NONCE, NONCE, 7, 100, 120, False), False, 0.0), *script]:
        is_ours = is_current and isinstance(said, Ack | Unknown | Bye)
        message = replace(said, nonce=NONCE) if is_ours else said
        now += pause
        for event in (link_sender.Heard(message), Tick()):
            for effect in sender.handle(event, now):
                released += effect.count if isinstance(effect, link_sender.Release) else 0
                assert not isinstance(effect, Transmit) or link.decode(link.encode(effect.message)) == effect.message
        assert released == sender.flow.released <= sender.flow.taken == 150
