"""A broker as a service, and beside other things in one process."""

import os
import socket

import zmq

from broker.running import QUICK, Wire, wait_until
from mimodaq.broker import Broker, BrokerOptions
from mimodaq.keys import endpoints_of
from mimodaq.protocol import messages as m


def test_a_service_manager_is_told_how_it_is(broker_process, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(30)
        process = broker_process(
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        )
        assert heard.recv(200) == f"READY=1\nSTATUS=on {process.address}".encode()
        assert [heard.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        assert process.stop() == 0
        wait_until(lambda: heard.recv(200) == b"STOPPING=1", "it does not say that it leaves")
    assert process.process.stderr.read() == ""


def test_a_broker_can_be_stepped_beside_other_things(state):
    """As `mimodaq run` will: one poller for all."""
    broker = Broker(BrokerOptions(endpoints_of("127.0.0.1", 0), state, limits=QUICK))
    poller = zmq.Poller()
    for one in broker.sockets:
        poller.register(one, zmq.POLLIN)
    with Wire(broker.endpoints) as wire:
        poller.register(wire.socket, zmq.POLLIN)
        wire.tell(m.Inquire(1, m.Topic.ME))
        steps = 0
        while not wire.socket.poll(0):
            poller.poll(broker.wait_s() * 1000)
            broker.step()
            steps += 1
        assert isinstance(wire.hear(), m.Info)
        assert steps < 50, "it does not wait"
    broker.close()
    broker.close()


def test_little_is_kept_for_a_peer_that_does_not_read(broker):
    asked = 600  # half a MB each
    with Wire(broker.endpoints, most_unread=1) as deaf, Wire(broker.endpoints) as other:
        for number in range(1, asked + 1):
            deaf.tell(m.Inquire(number, m.Topic.BULK))
        deaf.tell(m.Ask(asked + 1, "mark", comment="all was asked"))
        wait_until(
            lambda: any("all was asked" in line.text for line in other.ask(m.LogAsk(10)).lines),
            "it has stopped to listen",
        )
        answers = 0
        while deaf.socket.poll(500):
            deaf.socket.recv()
            answers += 1
    assert 0 < answers < asked // 3, "16 at the broker; the rest was in the sockets of the kernel"


def test_what_is_closed_can_be_opened_again_at_once(state):
    for _ in range(3):
        Broker(BrokerOptions(endpoints_of("127.0.0.1", 0), state)).close()


def test_every_line_of_the_log_is_given_to_who_wants_it(state):
    lines = []
    broker = Broker(BrokerOptions(endpoints_of("127.0.0.1", 0), state, on_log=lines.append))
    broker.close()
    assert [line.text.startswith("the broker listens on") for line in lines] == [True]
