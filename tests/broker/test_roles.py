"""Who may send what. Everything else is answered in words and changes nothing."""

from datetime import date

import msgpack
import pytest

from broker.running import BrokerThread, Wire, wait_until
from mimodaq.broker import Broker, BrokerError, BrokerOptions
from mimodaq.broker._gate import QUIET_S, Gate
from mimodaq.client.session import KeyRefusedError, RefusedError, Session, SessionError
from mimodaq.keys import create, read_key, revoke
from mimodaq.protocol import codec
from mimodaq.protocol import messages as m
from mimodaq.protocol.parts import MANY, RequestId
from mimodaq.protocol.states import State

ROLES = {"daq1": m.Role.HOST, "ana1": m.Role.HOST, "anna": m.Role.OPERATOR, "otto": m.Role.OBSERVER}


@pytest.fixture
def keys(state, tmp_path):
    return {name: read_key(create(name, role, state, tmp_path / "keys", date.today())) for name, role in ROLES.items()}


@pytest.fixture
def guarded(keys, state):
    """A broker that other hosts could reach."""
    with BrokerThread(state, "0.0.0.0") as running:
        yield running


def report(name, number=1):
    return m.Report(name, 1, number, State.IDLE)


def known(broker):
    return broker.do(lambda one: set(one._brain.control.nodes))


def test_a_host_speaks_for_itself_and_for_nobody_else(guarded, keys):
    with Wire(guarded.endpoints, keys["daq1"]) as wire:
        wire.tell(report("daq1"))
        wire.tell(report("ana1"))
        refused = wire.hear()
        assert refused == m.Refused(
            "the key is that of host daq1, and may not speak as 'ana1': give every host its own key"
        )
        wire.tell(m.Done(RequestId(1, 1), True, "", report("ana1")))
        assert isinstance(wire.hear(), m.Refused)
        for kind in (m.ClockAsk, m.PeersAsk):
            assert isinstance(wire.ask(kind("ana1", 1, 5)), m.Refused)
        assert isinstance(wire.ask(m.LogLine("ana1", 1, "error", "x", "x")), m.Refused)
        assert isinstance(wire.ask(m.ClockAsk("daq1", 1, 5)), m.ClockAnswer)
    assert known(guarded) == {"daq1"}


def test_a_host_is_told_who_else_there_is(guarded, keys):
    with Wire(guarded.endpoints, keys["daq1"]) as wire:
        peers = wire.ask(m.PeersAsk("daq1", 1, 1))
    assert peers.is_secure
    assert {(line.name, line.role, line.key) for line in peers.lines} == {
        (name, role, keys[name].public) for name, role in ROLES.items()
    }


@pytest.mark.parametrize(
    "message", [m.Ask(1, "reset"), m.LogAsk(1), m.Inquire(1, m.Topic.ME), m.Chunk("ab" * 32, 0, 1, b"x")]
)
def test_a_host_may_not_command_or_look(guarded, keys, message):
    with Wire(guarded.endpoints, keys["daq1"]) as wire:
        refused = wire.ask(message)
    assert "daq1 is the key of a host" in refused.text


@pytest.mark.parametrize("name", ["anna", "otto"])
def test_persons_may_not_speak_as_nodes(guarded, keys, name):
    with Wire(guarded.endpoints, keys[name]) as wire:
        refused = wire.ask(report("daq1"))
    assert "a node daemon needs a key of role host" in refused.text
    assert known(guarded) == set()


def test_nobody_may_send_what_only_a_broker_says(guarded, keys):
    with Wire(guarded.endpoints, keys["anna"]) as wire:
        assert "not sent this" in wire.ask(m.Peers((), False)).text


def test_an_observer_may_watch_and_nothing_else(guarded, keys):
    with Session.connect(guarded.address, keys["otto"]) as session:
        assert (session.me.name, session.me.role, session.me.may_command) == ("otto", m.Role.OBSERVER, False)
        answer = session.ask("reset")
        assert not answer.ok
        assert "otto is an observer and may watch, not command" in answer.text
        with pytest.raises(RefusedError, match="otto is an observer and may watch, not send a setup"):
            session.upload(b"x" * 100)
        assert session.status().cluster.in_charge == ""
        assert session.logs()
        assert session.runs() == ()


def test_an_operator_may_command(guarded, keys):
    with Session.connect(guarded.address, keys["anna"]) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert session.ask("reset").ok
        assert session.status().cluster.in_charge == "anna"


def test_one_operator_at_a_time_is_in_charge(guarded, keys, state, tmp_path):
    other = read_key(create("berta", m.Role.OPERATOR, state, tmp_path / "keys", date.today()))
    with Session.connect(guarded.address, keys["anna"]) as anna:
        wait_until(lambda: anna.status().cluster.state is State.IDLE, "the broker does not learn")
        assert anna.ask("take").ok
        wait_until(lambda: "berta" in {g.name for g in guarded.do(lambda b: b._gate.authorized.grants)}, "not read")
        with Session.connect(guarded.address, other) as berta:
            assert "anna is in charge" in berta.ask("reset").text
            assert berta.ask("take", force=True).ok
            assert "berta is in charge" in anna.ask("reset").text
            assert berta.ask("surrender").ok
        assert anna.ask("reset").ok


def test_a_revoked_key_is_worth_nothing_at_once(guarded, keys, state):
    with Session.connect(guarded.address, keys["anna"]) as anna, Session.connect(guarded.address, keys["otto"]) as otto:
        assert anna.runs() == ()
        revoke("anna", state)
        wait_until(lambda: any("list of keys has changed" in line.text for line in otto.logs()), "not noticed")
        with pytest.raises(RefusedError, match="its key was revoked"):
            anna.ask("reset")
        assert otto.status(timeout_s=20).cluster.state is not None
        wait_until(lambda: anna.news(0.5) == [] and anna.silent_s > 3, "still watches")
    with pytest.raises(KeyRefusedError, match=r"does not accept this key \(anna\): it was revoked"):
        Session.connect(guarded.address, keys["anna"])


def test_a_new_key_is_valid_without_a_restart_and_nodes_are_told(guarded, keys, state, tmp_path):
    with Wire(guarded.endpoints, keys["daq1"]) as wire:
        assert len(wire.ask(m.PeersAsk("daq1", 1, 1)).lines) == 4
        late = read_key(create("ana2", m.Role.HOST, state, tmp_path / "keys", date.today()))
        assert "ana2" in {line.name for line in wire.hear().lines}
    with Wire(guarded.endpoints, late) as wire:
        assert isinstance(wire.ask(m.ClockAsk("ana2", 1, 1)), m.ClockAnswer)


def test_a_damaged_list_leaves_the_known_keys_valid(guarded, keys, state):
    with Session.connect(guarded.address, keys["otto"]) as otto:
        (state / "authorized.yaml").write_text("keys: [")
        wait_until(lambda: any("stay valid" in line.text for line in otto.logs()), "not noticed")
        assert otto.runs() == ()


def test_keys_of_another_broker_and_no_key_are_told_apart(guarded, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIMODAQ_KEYS", str(tmp_path / "none"))
    with pytest.raises(KeyRefusedError, match="wants a key"):
        Session.connect(guarded.address)
    foreign = read_key(create("eve", m.Role.OPERATOR, tmp_path / "other", tmp_path / "others", date.today()))
    with pytest.raises(KeyRefusedError, match="does not prove to be the one that the key eve was made for"):
        Session.connect(guarded.address, foreign, timeout_s=1)
    with pytest.raises(SessionError, match="key daq1 is that of a host"):
        Session.connect(guarded.address, keys["daq1"])


def test_the_only_key_in_the_folder_is_used_where_one_is_wanted(guarded, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIMODAQ_KEYS", str(tmp_path / "keys"))
    (tmp_path / "keys" / "otto.key").unlink()
    with Session.connect(guarded.address) as session:
        assert session.me.name == "anna"


def test_on_this_host_alone_no_keys_are_needed(broker):
    with Session.connect(broker.address) as session:
        assert (session.me.name, session.me.may_command) == ("local", True)
        assert session.me.is_secure
        assert not session.me.has_keys
    with Wire(broker.endpoints) as wire:
        assert wire.ask(m.PeersAsk("daq1", 1, 1)) == m.Peers((), True)


def test_a_key_where_none_is_wanted_is_explained(broker, keys):
    with pytest.raises(KeyRefusedError, match="works without keys"):
        Session.connect(broker.address, keys["anna"])


def test_insecure_must_be_asked_for_and_is_told_everywhere(state):
    with BrokerThread(state, "0.0.0.0", is_insecure=True) as running:
        with Session.connect(running.address) as session:
            assert not session.me.is_secure
            assert any(line.text.startswith("INSECURE") and line.level == "warning" for line in session.logs())
        with Wire(running.endpoints) as wire:
            assert wire.ask(m.PeersAsk("daq1", 1, 1)) == m.Peers((), False)


def test_sockets_in_a_private_folder_need_no_keys(state, tmp_path):
    with BrokerThread(state, f"ipc://{tmp_path}/run") as running:
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
        with Session.connect(f"ipc://{tmp_path}/run") as session:
            assert session.me.is_secure
            assert running.endpoints.control == f"ipc://{tmp_path}/run/control"


def test_sockets_in_a_folder_that_others_can_enter_are_refused(state, tmp_path):
    (tmp_path / "run").mkdir(mode=0o755)
    with pytest.raises(BrokerError, match="chmod 700"), BrokerThread(state, f"ipc://{tmp_path}/run"):
        pass


def test_one_broker_for_a_folder(broker, state):
    with pytest.raises(BrokerError, match=r"belongs to a broker that is running \(process \d+\).*--state"):
        BrokerThread(state).__enter__()


def test_a_port_that_is_taken_is_named(broker, tmp_path):
    with pytest.raises(BrokerError, match=r"binding the broker to 127\.0\.0\.1:\d+: Address already in use.*--port"):
        Broker(BrokerOptions(broker.endpoints, tmp_path / "other"))


def test_another_protocol_version_is_explained_to_both(broker):
    with Wire(broker.endpoints) as wire:
        wire.send(msgpack.packb([codec.VERSION + 1, "beat", {}]))
        assert "install the same release of mimodaq on all hosts" in wire.hear().text
        lines = wire.ask(m.LogAsk(5)).lines
    assert "install the same release" in lines[-1].text


def test_complaints_are_told_once_and_counted():
    gate = Gate(None)
    assert gate.refuse("a", "bad", 0.0) == "bad"
    assert [gate.refuse("a", "bad", t) for t in (1.0, 5.0, 9.9)] == ["", "", ""]
    assert gate.refuse("b", "bad", 9.9) == "bad"
    assert gate.refuse("a", "bad", QUIET_S + 0.1) == "bad (and 3 more since)"
    assert gate.refused == 6


def test_complaints_about_very_many_peers_need_no_memory():
    gate = Gate(None)
    for number in range(5000):
        gate.refuse(str(number), "bad", 0.0)
    assert len(gate._quiet) == MANY


def test_there_are_only_so_many_nodes():
    gate = Gate(None)
    assert all(gate.note_route(str(number), b"x") for number in range(MANY))
    assert not gate.note_route("one more", b"x")
    assert gate.note_route("5", b"y")
    assert gate.route("5") == b"y"
