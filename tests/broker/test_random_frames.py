"""No frame, however made, harms a broker: it changes nothing and the next question is answered."""

import random
import socket

import msgpack
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.running import Wire, wait_until
from cluster.test_messages import EXAMPLES
from mimodaq.client.session import Session
from mimodaq.protocol import messages as m
from mimodaq.protocol.codec import MAX_BYTES, encode
from mimodaq.protocol.states import State

MESSAGES = [encode(message) for message in EXAMPLES]
ROUND = 500
AGAIN_MS = 20
ODD_VALUES = (None, -1, 0, 1 << 62, 1e308, "", "x" * 5000, b"", [], {}, True, ["a"], {"a": 1})


def frames(rng):
    """One made-up message."""
    kind = rng.randrange(6)
    if kind == 0:
        return [rng.randbytes(rng.randrange(60))]
    raw = bytearray(rng.choice(MESSAGES))
    if kind == 1:
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
    elif kind == 2:
        del raw[rng.randrange(len(raw)) :]
    elif kind == 3:
        version, name, table = msgpack.unpackb(raw, strict_map_key=False)
        table[rng.choice([*table, "x"])] = rng.choice(ODD_VALUES)
        raw = bytearray(msgpack.packb([version, name, table]))
    elif kind == 4:
        return [bytes(raw), rng.randbytes(3), *[b""] * rng.randrange(3)]
    return [bytes(raw)]


def is_answered(wire, number):
    """Ask, and read everything that comes; the answer is lost if nobody had read what came before it."""
    wire.tell(m.Inquire(number, m.Topic.RUNS))
    while wire.socket.poll(AGAIN_MS):
        if isinstance(heard := wire.hear(), m.Info) and heard.number == number:
            return True
    return False


def pester(broker, count, seed):
    """Send so many messages, a question after each round of them; answers how many were refused."""
    rng = random.Random(seed)
    with Wire(broker.endpoints) as wire:
        for round_ in range(count // ROUND):
            for _ in range(ROUND):
                wire.send(*frames(rng))
            wait_until(lambda number=10**9 + round_: is_answered(wire, number), "nothing is heard")
    return broker.do(lambda one: one._gate.refused)


def check(broker, refused, count):
    assert refused > count / 4
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.aim is State.IDLE, "the broker is not itself")
        assert len([line for line in session.logs(1000) if "was not accepted" in line.text]) < 20
        assert session.ask("take", force=True).ok
        assert session.runs() == ()


def test_a_hundred_thousand_random_messages_change_nothing(broker):
    count = 100_000
    check(broker, pester(broker, count, seed=1), count)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
def test_millions_of_random_messages_change_nothing(broker, seed):
    count = 1_000_000
    check(broker, pester(broker, count, seed), count)


def test_messages_that_hypothesis_thinks_of_change_nothing(broker):
    with Wire(broker.endpoints) as wire:

        @settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(st.binary(max_size=100), min_size=1, max_size=4))
        def try_it(made_up):
            wire.send(*made_up)
            wire.tell(m.Inquire(1, m.Topic.STATES))
            while not isinstance(wire.hear(), m.Info):
                pass

        try_it()
    assert broker.do(lambda one: one._brain.aim) is State.IDLE


def test_a_message_that_is_too_long_ends_its_connection_and_nothing_else(broker):
    with Wire(broker.endpoints) as rude, Wire(broker.endpoints) as polite:
        assert isinstance(polite.ask(m.Inquire(1, m.Topic.ME)), m.Info)
        rude.send(b"x" * (MAX_BYTES + 1))
        assert isinstance(polite.ask(m.Inquire(2, m.Topic.ME)), m.Info)
        wait_until(lambda: is_answered(rude, 3), "it may come again")  # what is sent while it is cut off is lost


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, b"", bytes(10), b"\xff\0\0\0\0\0\0\0\1\x7f" * 9]
)
def test_what_is_no_zeromq_is_left_alone(broker, raw):
    host, port = broker.address.split(":")
    for at in (int(port), int(port) + 1):
        with socket.create_connection((host, at), timeout=10) as rude:
            rude.sendall(raw)
            with Wire(broker.endpoints) as polite:
                assert isinstance(polite.ask(m.Inquire(1, m.Topic.ME)), m.Info)


def test_a_subscriber_that_sends_much_is_cut_off_and_the_feed_goes_on(broker):
    with zmq.Context() as context, context.socket(zmq.XSUB) as rude, Session.connect(broker.address) as session:
        rude.linger = 0
        rude.connect(broker.endpoints.feed)
        rude.send(b"\1" + b"x" * 10_000)
        rude.send(b"\1")
        assert session.status().cluster is not None
