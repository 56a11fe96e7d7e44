"""What programs and notebooks get of a broker."""

import asyncio
import dataclasses
import socket
from datetime import date

import pytest

from broker.running import wait_until
from mimodaq.client.async_session import AsyncSession
from mimodaq.client.session import KeyRefusedError, RefusedError, Session, SessionError, UnreachableError
from mimodaq.config import SetupErrors
from mimodaq.keys import create
from mimodaq.protocol.messages import Cluster, LogLine, Report, Role, Topic
from mimodaq.protocol.states import State


def settled(session):
    return wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")


def test_nobody_there_is_told_in_time():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError, match=r"no broker answers at 127\.0\.0\.1:\d+: start one there"):
            Session.connect(f"127.0.0.1:{taken.getsockname()[1]}", timeout_s=0.3)


def test_something_else_that_listens_is_told_apart():
    no_broker = pytest.raises(UnreachableError, match="is no broker of mimodaq")
    with socket.create_server(("127.0.0.1", 0)) as other, no_broker:
        Session.connect(f"127.0.0.1:{other.getsockname()[1]}", timeout_s=0.5)


@pytest.mark.parametrize("address", ["", "a b", "x:y"])
def test_an_address_that_is_none_is_explained(address):
    with pytest.raises(SessionError, match="expected HOST"):
        Session.connect(address)


def test_another_host_without_a_key_must_be_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("MIMODAQ_KEYS", str(tmp_path))
    with pytest.raises(SessionError, match=r"is another host, so a key is needed.*--key FILE"):
        Session.connect("10.255.255.1")
    with pytest.raises(SessionError, match="there is no key file"):
        Session.connect("10.255.255.1", tmp_path / "anna.key")


def test_mistakes_in_a_setup_are_found_before_anything_is_sent(broker, setup_file, state):
    setup_file.write_text("RingBuffer: []\n")
    with Session.connect(broker.address) as session, pytest.raises(SetupErrors, match="Functions"):
        session.configure(setup_file)
    assert list((state / "setups").iterdir()) == []


def test_a_setup_is_sent_once(broker, nodes, setup_file, state):
    nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        settled(session)
        assert session.configure(setup_file).ok
        assert session.configure(setup_file).ok
        assert len(list((state / "setups").iterdir())) == 1
        (setup_file.parent / "my.py").write_text("def numbers():\n    yield {'x': 2.0}\n")
        assert session.configure(setup_file).ok
        assert len(list((state / "setups").iterdir())) == 2


def test_the_feed_gives_the_cluster_reports_and_the_log(broker, nodes):
    running = nodes(broker.endpoints, "daq1")
    with Session.connect(broker.address) as session:
        news = session.listen()
        kinds = set()
        running.later(lambda: running.by_name["daq1"].send(LogLine("daq1", 1, "info", "x", "hello")))
        while kinds != {Cluster, Report, LogLine}:
            kinds.add(type(next(news)))


def test_values_are_frozen(broker):
    with Session.connect(broker.address) as session:
        status = session.status()
        with pytest.raises(dataclasses.FrozenInstanceError):
            status.cluster.run = 1
        with pytest.raises(TypeError):
            status.reports["x"] = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            session.me.name = "root"


def test_what_can_be_inquired(broker):
    with Session.connect(broker.address) as session:
        assert {one["name"] for one in session.inquire(Topic.STATES)["states"]} == {state.value for state in State}
        assert session.inquire(Topic.KEYS) == {"keys": [], "has_keys": False}
        with pytest.raises(RefusedError, match="no setup is loaded"):
            session.inquire(Topic.SETUP)
        with pytest.raises(RefusedError, match="there is no run 7"):
            session.run(7)


def test_what_is_possible_is_asked_of_each_broker_once(broker, monkeypatch):
    published = {"commands": [{"name": "start", "why_not": {"idle": "not today"}}]}
    asked = []
    monkeypatch.setattr("mimodaq.broker._inquiries.table", lambda: asked.append(1) or published)
    with Session.connect(broker.address) as session:
        assert session.commands().refusal("start", State.IDLE) == "not today"
        assert session.commands().possible(State.READY) == ["start"]
        assert len(asked) == 1
        session._conversation._note_epoch(session.me.epoch + 1)  # as when another broker is heard
        assert session.commands().possible(State.IDLE) == []
        assert len(asked) == 2

    async def same():
        async with await AsyncSession.connect(broker.address) as session:
            return await session.commands(), await session.commands()

    first, second = asyncio.run(same())
    assert first is second
    assert first.refusal("start", State.IDLE) == "not today"
    assert len(asked) == 3


def test_a_broker_that_is_gone_is_noticed_while_waiting(broker_process, monkeypatch):
    monkeypatch.setattr("mimodaq.client.session.SILENT_S", 1.0)
    process = broker_process()
    with Session.connect(process.address) as session:
        process.kill()
        with pytest.raises(UnreachableError, match="is not heard any more"):
            session.runs()
        with pytest.raises(UnreachableError, match="is not heard any more"):
            for _ in session.listen():
                pass


def test_a_session_finds_its_broker_again(broker_process):
    first = broker_process()
    with Session.connect(first.address) as session:
        first.kill()
        broker_process(port=first.port)
        assert session.runs() == ()
        assert session.renew_me().epoch > 0
        assert session.status(timeout_s=20).cluster.epoch == session.me.epoch


def test_a_listener_misses_no_line_of_a_broker_that_is_started_again(broker_process, nodes):
    first = broker_process()
    running = nodes(first.endpoints, "daq1")
    with Session.connect(first.address) as session:
        heard = []

        def hears(text):
            heard.extend(one for one in session.news(0.1) if isinstance(one, LogLine))
            return any(text in one.text for one in heard)

        running.later(lambda: running.by_name["daq1"].send(LogLine("daq1", 1, "info", "x", "before")))
        wait_until(lambda: hears("before"), "the log is not heard")
        for life in range(3):
            first.kill()
            heard.clear()
            first = broker_process(port=first.port)
            wait_until(lambda: hears("listens on"), "the first words of the next broker went past")
            text = f"after {life}"
            running.later(lambda text=text: running.by_name["daq1"].send(LogLine("daq1", 1, "info", "x", text)))
            wait_until(lambda text=text: hears(text), "the log is not heard any more")
            numbers = [one.number for one in heard]
            assert numbers == sorted(set(numbers))
            kept = [one for one in session.logs(1000) if numbers[0] <= one.number <= numbers[-1]]
            assert heard == kept


def test_a_listener_in_an_event_loop_misses_no_line_either(broker_process):
    first = broker_process()

    async def use():
        async with await AsyncSession.connect(first.address) as session:
            before = (await session.logs())[-1].number
            first.kill()
            broker_process(port=first.port)
            async with asyncio.timeout(20):
                async for news in session.listen():
                    if isinstance(news, LogLine):
                        assert news.number > before
                        assert "listens on" in news.text
                        break

    asyncio.run(use())


def test_several_commands_at_once_in_an_event_loop(broker, nodes, setup_file):
    nodes(broker.endpoints, "daq1", "ana1")

    async def use():
        async with await AsyncSession.connect(broker.address) as session:
            async for news in session.listen():
                if isinstance(news, Cluster) and news.state is State.IDLE:
                    break
            assert (await session.configure(setup_file)).ok
            started, runs, lines = await asyncio.gather(session.ask("start"), session.runs(), session.logs(5))
            assert started.ok, started.text
            assert lines
            stopped, again = await asyncio.gather(session.ask("stop"), session.inquire(Topic.ME))
            assert stopped.ok
            assert again["epoch"] == session.me.epoch
            assert (await session.run(1)).verdict == "good"
            assert len(runs) <= 1

    asyncio.run(use())


def test_the_event_loop_is_told_what_is_wrong(broker, tmp_path):
    key = create("eve", Role.OPERATOR, tmp_path / "other", tmp_path / "keys", date.today())

    async def use():
        with pytest.raises(KeyRefusedError, match="works without keys"):
            await AsyncSession.connect(broker.address, key)
        with pytest.raises(UnreachableError, match="no broker answers"):
            await AsyncSession.connect("127.0.0.1:1", timeout_s=0.3)
        async with await AsyncSession.connect(broker.address) as session:
            with pytest.raises(RefusedError, match="there is no run 7"):
                await session.run(7)

    asyncio.run(use())
