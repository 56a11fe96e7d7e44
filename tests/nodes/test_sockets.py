"""Every socket between hosts: dead connections end, and no timer of ZeroMQ can take a process down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from mimodaq.broker import BrokerOptions
from mimodaq.broker import _sockets as of_broker
from mimodaq.client import _session_sockets as of_client
from mimodaq.keys import Endpoints
from mimodaq.link import _socket as of_links
from mimodaq.node._control import ControlLine

NOWHERE = "tcp://127.0.0.1:*"
NOBODY = "tcp://127.0.0.1:9"
Made = Iterator[list["zmq.Socket[bytes]"]]


@contextmanager
def broker() -> Made:
    with zmq.Context() as context:
        options = BrokerOptions(Endpoints("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"), Path("unused"))
        control, feed, _ = of_broker.bind(context, options, None)
        with control, feed:
            yield [control, feed]


@contextmanager
def session() -> Made:
    with zmq.Context() as context:
        sockets = of_client.connect(context, Endpoints(NOBODY, NOBODY), None)
        yield [sockets.control, sockets.feed]
        sockets.close()


@contextmanager
def node() -> Made:
    line = ControlLine(NOBODY, None)
    yield [line._socket]
    line.close()


@contextmanager
def link() -> Made:
    receiver = of_links.Bound("link", NOWHERE, pair=("", ""), client_keys=[], largest_frame=1000)
    with zmq.Context() as context, of_links.connecting(context, NOBODY, pair=("", ""), server_key="") as sender:
        yield [receiver.socket, sender]
    receiver.close(0)


@pytest.mark.parametrize("made", [broker, session, node, link], ids=lambda made: str(made.__name__))
def test_the_kernel_lets_go_of_dead_connections_and_zeromq_has_no_heartbeats(made: Callable[[], Made]) -> None:
    with made() as sockets:
        for socket in sockets:
            assert socket.get(zmq.HEARTBEAT_IVL) == 0, "libzmq's heartbeats end in an assertion, see let_go_of_the_dead"
            assert (socket.get(zmq.TCP_KEEPALIVE), socket.get(zmq.TCP_MAXRT)) == (1, 4000)
