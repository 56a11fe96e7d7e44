"""Events for programs: `observe` of both sessions, to the end of the run, of the connection, and of the patience."""

import asyncio
import contextlib
import signal
import textwrap
import threading
from functools import partial

import numpy as np
import pytest

from broker.running import wait_until
from link.conftest import fresh_name, new_ring
from link.ends import LOCAL, End
from link.test_window import put
from mimodaq.client import _observation
from mimodaq.client._observation import Course
from mimodaq.client.async_session import AsyncSession
from mimodaq.client.session import ObservationLostError, Session, SessionError
from mimodaq.link import View, WindowOrder
from mimodaq.protocol.states import State
from ring.harness import SMALL, numbers

__all__ = ["fresh_name", "new_ring"]

SETUP = """
hosts:
  daq1: {{address: 127.0.0.1, data_port: {port}}}
RingBuffer:
  - RB_1: {{number_of_slots: 16, data_type: {{1: [x, float64]}}, host: daq1}}
Functions:
  - Fkt_1: {{function: "my.py:numbers", RB_assign: {{RB_1: write}}, host: daq1}}
  - Fkt_2: {{function: drain, RB_assign: {{RB_1: read}}, host: daq1}}
"""


class Scene:
    """A broker and a node whose rings and window are in the hands of the test."""

    def __init__(self, broker, setup, ring, window):
        self.broker, self.setup, self.ring, self.window = broker, setup, ring, window

    def start(self, session):
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert session.configure(self.setup).ok
        answer = session.ask("start")
        assert answer.ok, answer.text

    def put_until(self, is_over, begin):
        """Put an event after the other, at every look of whoever observes at least one."""
        number = begin
        while not is_over.wait(0.002):
            put(self.ring, number)
            number += 1

    @contextlib.contextmanager
    def flowing(self, begin=0):
        is_over = threading.Event()
        source = threading.Thread(target=self.put_until, args=(is_over, begin))
        source.start()
        try:
            yield
        finally:
            is_over.set()
            source.join()


@pytest.fixture
def scene(broker, nodes, new_ring, tmp_path):
    ring = new_ring(slots=64, dtype=SMALL, groups=[], expected_writers=9)
    window = End("window", WindowOrder("daq1", LOCAL, {"RB_1": ring.segment})).start()
    port = window.expect("ready")["endpoint"].rpartition(":")[2]
    nodes(broker.endpoints, "daq1")
    (tmp_path / "my.py").write_text("def numbers():\n    yield {'x': 1.0}\n")
    (tmp_path / "setup.yaml").write_text(textwrap.dedent(SETUP.format(port=port)))
    yield Scene(broker, tmp_path / "setup.yaml", ring, window)
    if window.is_running:
        window.send(signal.SIGCONT)
        assert window.terminate() == 0


@contextlib.contextmanager
def once_waiting(events, action):
    """Do something in another thread once this one waits for an event."""

    def work():
        wait_until(events._in_use.locked, "nobody waits for an event")
        action()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def value(event):
    return int(numbers(np.array([event.data]))[0])


def test_events_come_with_what_is_known_of_them_until_the_run_ends(scene):
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        put(scene.ring, 0, 1, 2)
        seen = []
        for event in session.observe("RB_1"):
            seen.append(event)
            assert event.fields == SMALL.names
            assert event[SMALL.names[0]].dtype == SMALL[0].base
            assert (event.counter, event.deadtime) == (value(event) + 7, 0.25)
            assert event.timestamp > 1e9
            if value(event) == 2:
                put(scene.ring, 3)
            if value(event) == 3:
                scene.ring.declare_ended()
        assert [value(event) for event in seen] == [0, 1, 2, 3]
        assert [event.skipped for event in seen] == [0, 0, 0, 0]
        assert session.ask("stop").ok, "the session can be used on"


def test_what_is_left_out_at_a_limited_rate_is_counted(scene):
    with Session.connect(scene.broker.address) as session, scene.flowing():
        scene.start(session)
        with session.observe("RB_1", "daq1", rate_hz=20.0) as events:
            first = next(events)
            seen = [next(events) for _ in range(4)]
        begin = value(first)
        for event in seen:
            assert value(event) == begin + event.skipped + 1
            begin = value(event)
        assert sum(event.skipped for event in seen) > 0
        assert list(events) == []


def test_the_state_is_that_of_now_after_a_long_look(scene):
    with Session.connect(scene.broker.address) as session, Session.connect(scene.broker.address) as other:
        before = session.status().cluster.number
        scene.start(other)
        wait_until(lambda: other.status().cluster.number > before + 3, "no snapshots")
        assert session.status().cluster.state is State.RUNNING
        assert session.latest.run == 1


def test_another_thread_can_end_it_while_nothing_comes(scene):
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        events = session.observe("RB_1")
        with once_waiting(events, events.close):
            assert list(events) == []
        events.close()
        assert session.status().cluster.state is State.RUNNING


def test_ctrl_c_ends_it_and_the_session_can_be_used_on(scene):
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        put(scene.ring, 0)
        events = session.observe("RB_1")
        assert value(next(events)) == 0
        interrupt = partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT)
        with once_waiting(events, interrupt), pytest.raises(KeyboardInterrupt):
            next(events)
        assert list(events) == []
        assert session.runs(1)[0].verdict is None


def test_a_lost_node_is_an_error_that_says_what_to_do(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 0.3)
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        put(scene.ring, 0)
        events = session.observe("RB_1")
        assert value(next(events)) == 0
        scene.window.send(signal.SIGSTOP)
        with pytest.raises(ObservationLostError, match="daq1 does not show RB_1 any more, although run 1 goes on"):
            next(events)
        scene.window.send(signal.SIGCONT)
        with session.observe("RB_1") as again:
            assert value(next(again)) == 0


def test_a_window_that_goes_with_its_run_is_the_end(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 0.3)
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        put(scene.ring, 0)
        events = session.observe("RB_1")
        assert value(next(events)) == 0
        assert session.ask("stop").ok
        scene.window.kill()
        assert list(events) == []


def test_an_abort_that_the_node_knows_before_the_broker_is_the_end(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 60.0)
    with Session.connect(scene.broker.address) as session, Session.connect(scene.broker.address) as other:
        scene.start(session)
        put(scene.ring, 0)
        events = session.observe("RB_1")
        assert value(next(events)) == 0
        scene.ring.close()
        with once_waiting(events, lambda: other.ask("abort")):
            assert list(events) == []


def test_a_node_that_refuses_for_good_is_an_error(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 0.5)
    with Session.connect(scene.broker.address) as session:
        scene.start(session)
        scene.ring.close()
        with pytest.raises(ObservationLostError, match=r"although run 1 goes on .*aborted"):
            next(session.observe("RB_1"))


def test_without_a_run_it_is_told_to_start_one(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 0.3)
    with Session.connect(scene.broker.address) as session:
        with pytest.raises(SessionError, match="no setup is loaded"):
            session.observe("RB_1")
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        assert session.configure(scene.setup).ok
        with pytest.raises(SessionError, match=r"there is no buffer 'RB_7'; there are RB_1"):
            session.observe("RB_7")
        with pytest.raises(ValueError, match="rate_hz must be above 0"):
            session.observe("RB_1", rate_hz=0)
        scene.window.kill()
        with pytest.raises(SessionError, match=r"there is no run. Start one \(session.ask\('start'\)\)"):
            next(session.observe("RB_1"))


def test_an_event_loop_goes_on_while_it_observes(scene, monkeypatch):
    monkeypatch.setattr(_observation, "PATIENCE_S", 0.3)
    with Session.connect(scene.broker.address) as session:
        scene.start(session)

    async def use():
        async with await AsyncSession.connect(scene.broker.address) as session:
            put(scene.ring, 0, 1)
            assert (await session.status()).cluster.state is State.RUNNING
            seen = []
            async with contextlib.aclosing(session.observe("RB_1", rate_hz=1000.0)) as events:
                async for event in events:
                    seen.append(value(event))
                    runs = await session.runs(1)
                    assert runs[0].verdict is None
                    if len(seen) == 2:
                        break
            assert seen == [0, 1]
            events = session.observe("RB_1")
            assert value(await anext(events)) in (0, 1)
            scene.window.send(signal.SIGSTOP)
            with pytest.raises(ObservationLostError, match="daq1 does not show RB_1 any more"):
                async for _ in events:
                    pass
            scene.window.send(signal.SIGCONT)
            scene.ring.declare_ended()
            assert [value(event) async for event in session.observe("RB_1")] == [0, 1]

    asyncio.run(use())


def view(*sequence, newest=None, is_ended=False):
    rows = np.array(sequence, np.int64)
    newest = newest if newest is not None else (sequence[-1] if sequence else -1)
    events = np.zeros(len(rows), [("x", "f8", (1,))])
    return View(events, rows, rows, rows * 1.0, rows * 0.0, newest, 0, is_ended)


def test_numbers_that_become_smaller_are_those_of_another_run():
    course = Course(None)
    assert [event.skipped for event in course.take(view(3, 4), 0.0)] == [0, 0]
    assert [event.skipped for event in course.take(view(9), 0.0)] == [4]
    assert course.take(view(newest=9), 0.0) == []
    assert not course.is_over
    assert course.take(view(2), 0.0) == []
    assert course.is_over


def test_no_more_is_asked_for_than_the_rate_allows():
    for rate_hz in (0.5, 3.0, 24.0, 25.0, 500.0):
        course = Course(rate_hz)
        now = shown = 0.0
        while now < 60.0:
            now += course.wait_s(now)
            first = course.after + 1
            shown += len(course.take(view(*range(first, first + course.most)), now))
        assert shown <= rate_hz * 60.0 + 2 * course.most
        assert shown >= rate_hz * 60.0 / 2


def test_a_node_without_news_is_not_asked_all_the_time():
    course = Course(None)
    course.take(view(1), 10.0)
    assert course.wait_s(10.0) == 0.0
    course.take(view(newest=1), 10.0)
    assert course.wait_s(10.0) > 0.01
