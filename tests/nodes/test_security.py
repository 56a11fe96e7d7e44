"""Who has no key of the cluster can neither look nor touch; who has one can do what its role allows."""

from __future__ import annotations

import contextlib

import pytest
import zmq

from mimodaq.client.session import KeyRefusedError, RefusedError, Session, SessionError
from mimodaq.protocol.codec import encode
from mimodaq.protocol.messages import Beat, ClockAsk
from nodes.chain import HOSTS, MODULE, check_complete, setup, wait_for_end
from nodes.real import on_host, wait_for


def test_a_cluster_with_keys_takes_data_as_one_without(new_cluster):
    cluster = new_cluster(*HOSTS, keys=True)
    session = cluster.start()
    assert session.me.name == "anna"
    answer = session.configure(cluster.write_setup(setup(events=4000), chain=MODULE))
    assert answer.ok, answer.text
    answer = session.ask("start")
    assert answer.ok, answer.text
    row = wait_for_end(session, answer.run)
    assert (row.verdict, row.reasons, row.operator) == ("good", (), "anna")
    check_complete(cluster, answer.run, 4000)


def test_an_observer_may_look_and_not_command(new_cluster):
    cluster = new_cluster("daq1", keys=True)
    cluster.start()
    watcher = cluster.session("wall")
    assert watcher.status().cluster.nodes
    answer = watcher.ask("reset")
    assert not answer.ok
    assert "observer" in answer.text


def test_a_stranger_is_turned_away(new_cluster):
    cluster = new_cluster("daq1", keys=True)
    session = cluster.start()
    stranger = cluster.place["daq1"]
    with pytest.raises(SessionError):
        on_host(stranger, lambda: Session.connect(cluster.address, is_insecure=True, timeout_s=2.0))

    def talk():
        """A plain socket that speaks the protocol, from another host."""
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(f"tcp://{cluster.address}:7788")
            for number in range(1, 200):
                for message in (Beat("evil", 1, number), ClockAsk("evil", 1, number)):
                    with contextlib.suppress(zmq.Again):  # a connection that was turned away takes nothing any more
                        socket.send(encode(message), zmq.NOBLOCK)
            return socket.poll(500)

    assert on_host(stranger, talk) == 0
    assert cluster.present(session) == {"daq1"}


def test_a_key_that_is_taken_back_is_worth_nothing_at_once(new_cluster):
    cluster = new_cluster("daq1", "daq2", keys=True)
    session = cluster.start()
    cluster.command("keys", "revoke", "daq2")
    wait_for(lambda: cluster.present(session) == {"daq1"}, "for daq2 to be lost")
    cluster.command("keys", "revoke", "wall")

    def is_refused():
        try:
            on_host(cluster.hosts[0], lambda: Session.connect(cluster.address, cluster.keys / "wall.key")).close()
        except (KeyRefusedError, RefusedError) as error:  # in the handshake, or just after it
            return "does not accept this key" in str(error) or "its key was revoked" in str(error)
        return False

    wait_for(is_refused, "for the broker to notice")


def test_the_key_of_one_host_does_not_speak_for_another(new_cluster):
    cluster = new_cluster("daq1", "daq2", keys=True)
    session = cluster.start()
    cluster.nodes["daq2"].kill()
    wait_for(lambda: cluster.present(session) == {"daq1"})
    words = ("node", "daq2", "--broker", cluster.address, "--key", str(cluster.keys / "daq1.key"))
    said = cluster.command(*words, host=cluster.place["daq2"], code=2)
    assert "is the key of host daq1" in said
