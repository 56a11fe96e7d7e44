"""A disk that fails is told, and nothing of a run is lost because of it."""

import os
import sqlite3

import pytest

from broker.running import BrokerThread, wait_until
from mimodaq.client.session import RefusedError, Session, SessionError
from mimodaq.config import SetupErrors
from mimodaq.protocol.states import State


def said(session, text):
    return wait_until(lambda: [one for one in session.logs() if text in one.text], f"nobody says {text!r}")


def test_a_run_that_cannot_be_written_is_written_later(broker, nodes, setup_file, state):
    nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert session.configure(setup_file).ok
        other = sqlite3.connect(state / "runs.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert session.ask("start").ok
        assert len(said(session, "run 1 cannot be written to the run database: database is locked")) == 1
        assert session.runs() == ()
        other.execute("ROLLBACK")
        other.close()
        said(session, "run 1 is in the run database now")
        assert session.ask("stop").ok
        assert session.run(1).verdict == "good"


def test_without_a_number_no_run_begins(broker, nodes, setup_file, state):
    nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert session.configure(setup_file).ok
        (state / "run_number").mkdir()
        answer = session.ask("start")
        assert not answer.ok
        assert "no run number can be given, because the broker cannot write" in answer.text
        (state / "run_number").rmdir()
        assert session.ask("start").run == 1
        assert session.ask("stop").ok


def test_a_setup_that_cannot_be_stored_is_refused_in_words(broker, setup_file, state):
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        (state / "setups").rmdir()
        (state / "setups").touch()
        with pytest.raises(RefusedError, match="cannot store the setup"):
            session.configure(setup_file)


def test_a_damaged_database_is_told_and_a_new_broker_works(state):
    with BrokerThread(state):
        pass
    (state / "runs.sqlite").write_bytes(b"this is no database " * 1000)
    with BrokerThread(state) as running, Session.connect(running.address) as session:
        said(session, "the run database was damaged; it is kept as")
        assert session.runs() == ()


def test_names_that_are_no_text_harm_nobody(broker, setup_file):
    """A file name of Linux may hold bytes that are no characters; it comes back in a message."""
    name = setup_file.with_name(os.fsdecode(b"\xff_setup.yaml"))
    name.write_text(setup_file.read_text().replace("  ana1: {address: 127.0.0.1, data_port: 7900}\n", ""))
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        with pytest.raises((SetupErrors, SessionError)):
            session.configure(name)
        assert session.ask("configure", setup_id="ab" * 32).text.startswith("the broker does not have the setup")
        assert session.status().cluster.state is not None
