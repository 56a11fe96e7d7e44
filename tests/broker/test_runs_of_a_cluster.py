"""Runs from configure to the verdict, with a real broker and nodes that speak the real protocol."""

import json

import pytest

from broker.running import wait_until
from mimodaq.client.session import RestartedError, Session
from mimodaq.protocol.messages import Cluster, Topic
from mimodaq.protocol.states import State


def is_configured(session, setup_file, **more):
    answer = session.configure(setup_file, **more)
    assert answer.ok, answer.text
    return answer


def test_a_run_goes_from_configure_to_a_verdict_with_its_books(broker, nodes, setup_file):
    nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        is_configured(session, setup_file)
        started = session.ask("start", comment="first light")
        assert (started.ok, started.run) == (True, 1), started.text
        status = session.status()
        assert status.cluster.state is State.RUNNING
        wait_until(lambda: session.status().cluster.events > 0, "no events")
        assert session.ask("pause").ok
        assert session.status().cluster.state is State.PAUSED
        assert session.ask("resume").ok
        stopped = session.ask("stop")
        assert stopped.ok, stopped.text
        assert "good" in stopped.text
        (listed,) = session.runs()
        run = session.run(1)
    assert (listed.run, listed.verdict, listed.comment, listed.operator) == (1, "good", "first light", "local")
    assert run.asked_utc_s <= run.started_utc_s <= run.stopping_utc_s <= run.ended_utc_s
    assert run.events > 0
    assert {account.node: account.verdict for account in run.accounts} == {"daq1": "good", "ana1": "good"}
    assert {(c.node, c.buffer) for c in run.counts} == {("daq1", "RB_1"), ("ana1", "RB_1")}
    assert {(link.node, link.is_sender) for link in run.links} == {("daq1", True), ("ana1", False)}


def test_the_setup_that_is_loaded_can_be_looked_at(broker, nodes, setup_file):
    nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        is_configured(session, setup_file)
        about = session.inquire(Topic.SETUP)
    assert about["hosts"] == {"daq1": "127.0.0.1", "ana1": "127.0.0.1"}
    assert [link["from"] for link in about["links"]] == ["daq1"]
    assert json.dumps(about)


def test_a_setup_with_a_host_that_is_not_there_is_not_loaded(broker, nodes, setup_file):
    nodes(broker.endpoints, "daq1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        answer = session.configure(setup_file)
    assert not answer.ok
    assert "ana1 is not heard" in answer.text


def test_a_killed_broker_goes_on_with_the_run_when_it_is_back(broker_process, nodes, setup_file):
    first = broker_process()
    nodes(first.endpoints, "daq1", "ana1")
    with Session.connect(first.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        is_configured(session, setup_file)
        assert session.ask("start").ok
        epoch = session.me.epoch
        first.kill()
        broker_process(port=first.port)
        found = wait_until(lambda: _running_again(session, epoch), "the run is not taken over")
        assert found.run == 1
        stopped = session.ask("stop")
        assert stopped.ok, stopped.text
        assert session.run(1).verdict == "good"
        assert session.ask("start").run == 2
        assert session.ask("abort").ok


def _running_again(session, epoch):
    news = [one for one in session.news(0.1) if isinstance(one, Cluster)]
    return next((one for one in news if one.epoch > epoch and one.state is State.RUNNING), None)


def test_a_command_that_was_going_on_when_the_broker_died_is_not_given_to_the_next_one(
    broker_process, nodes, setup_file
):
    first = broker_process()
    running = nodes(first.endpoints, "daq1", "ana1")
    with Session.connect(first.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        is_configured(session, setup_file)
        running.do(lambda: setattr(running.by_name["ana1"], "is_silent", True))
        steps = [first.kill, lambda: broker_process(port=first.port)]
        with pytest.raises(RestartedError, match="start: the broker was started again"):
            session.ask("start", on_turn=lambda: steps.pop(0)() if steps else None)


def test_a_broker_that_was_stopped_for_a_while_has_lost_no_node(broker_process, nodes, setup_file):
    process = broker_process()
    nodes(process.endpoints, "daq1", "ana1")
    with Session.connect(process.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        is_configured(session, setup_file)
        assert session.ask("start").ok
        with process.held():
            wait_until(lambda: session.news(0.5) == [] and session.silent_s > 4, "it is not held")
        wait_until(lambda: any("held up" in line.text for line in session.logs()), "it does not notice")
        assert session.status().cluster.state is State.RUNNING
        assert not [line for line in session.logs() if "is lost" in line.text]
        assert session.ask("stop").ok
        assert session.run(1).verdict == "good"
