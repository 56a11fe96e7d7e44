"""The screens on a real broker: real wire, real brains, nodes without processes."""

import asyncio
import textwrap
import time

import numpy as np
import pytest

from broker.conftest import SETUP
from broker.fake_nodes import nodes_of
from broker.running import BrokerThread
from mimodaq.protocol.messages import Ask
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import OURS, State
from mimodaq.tui._app import OperatorApp
from mimodaq.tui.feed import Choices, FeedError
from mimodaq.tui.live import Address, _sample, open_feed
from mimodaq.tui.recording import RecordedFeed
from mimodaq.tui.setups import changed, pack, read_packed
from tui.console import Console, in_a_loop


@pytest.fixture
def setup_file(tmp_path):
    (tmp_path / "my.py").write_text("def numbers():\n    yield {'x': 1.0}\n")
    path = tmp_path / "setup.yaml"
    path.write_text(textwrap.dedent(SETUP))
    return path


@pytest.fixture
def broker(tmp_path):
    with BrokerThread(tmp_path / "state") as running, nodes_of(tmp_path / "nodes", running.endpoints, "daq1", "ana1"):
        yield running


async def until(seat, holds, seconds=15.0):
    """Wait for something to be so, in real time."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, seat.text
        await asyncio.sleep(0.02)
        await seat.settle()


@in_a_loop
async def test_a_run_of_a_real_cluster_from_the_first_setup_to_the_run_database(broker, setup_file):
    feed = await open_feed(Address(broker.address))
    app = OperatorApp(feed, setup_file=setup_file, has_bell=False)
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            seat = Console(app, feed, pilot)
            await until(seat, lambda: seat.lines[0].startswith("· IDLE"))
            await until(seat, lambda: "daq1" in seat.text and "ana1" in seat.text)
            await seat.press("6", "P")
            await until(seat, lambda: seat.dialog == "Confirm")
            await seat.press("y")
            await until(seat, lambda: seat.lines[0].startswith("◇ CONFIGURED"))
            await until(seat, lambda: "is what runs" in seat.text)
            await seat.press("2")
            await until(seat, lambda: "Fkt_2" in seat.text)
            await seat.press("1", "r")
            await until(seat, lambda: "nodes there" in seat.text)
            await seat.press(*"first", "f5")
            await until(seat, lambda: seat.lines[0].startswith("● RUNNING"))
            await seat.press("x")
            await until(seat, lambda: seat.dialog == "Confirm")
            await seat.press("y")
            await until(seat, lambda: seat.lines[0].startswith("◇ CONFIGURED"))
            await seat.press("7")
            await until(seat, lambda: "first" in seat.text)
            assert (await feed.runs())[0].comment == "first"
            await seat.press("3")
            await until(seat, lambda: len(app.model.log.entries) > 0)
    finally:
        await feed.close()


@in_a_loop
async def test_the_setup_of_the_cluster_can_be_fetched_by_who_did_not_send_it(broker, setup_file):
    feed = await open_feed(Address(broker.address))
    other = await open_feed(Address(broker.address))
    try:
        assert await feed.setup() is None
        packed = pack(setup_file)
        setup_id = await feed.offer(packed)
        answer = await feed.command(Ask(1, "configure", setup_id=setup_id))
        assert answer.ok, answer.text
        assert await other.setup() == packed
        assert read_packed(packed).name == "setup"
    finally:
        await feed.close()
        await other.close()


@in_a_loop
async def test_a_refusal_and_a_broker_that_is_gone_are_answers(tmp_path, setup_file):
    with BrokerThread(tmp_path / "state") as running:
        feed = await open_feed(Address(running.address), may_command=True)
        try:
            answer = await feed.command(Ask(1, "pause"))
            assert (answer.ok, "there is no run" in answer.text) == (False, True)
            with pytest.raises(FeedError, match="no setup is loaded"):
                await anext(feed.observe("daq1", "RB_1"))
        finally:
            await feed.close()


@in_a_loop
async def test_a_broker_without_keys_is_told_apart_and_another_that_follows_it_too(tmp_path):
    with BrokerThread(tmp_path / "state", "0.0.0.0", is_insecure=True) as running:
        feed = await open_feed(Address(running.address))
        assert not feed.is_secure
        assert not RecordedFeed(feed, tmp_path / "feed").is_secure
    try:
        with BrokerThread(tmp_path / "state", running.address) as running:
            async with asyncio.timeout(15.0):
                async for _ in feed.messages():
                    if feed.is_secure:
                        break
            assert (await feed.commands()) == OURS
    finally:
        await feed.close()


def test_a_view_becomes_a_sample():
    events = np.zeros(2, [("x", "f8", (1,))])

    class View:
        def __init__(self):
            self.events, self.counter, self.timestamp = events, [4, 5], [1.0, 2.0]

    sample = _sample("pi", "RB_1", View())
    assert (sample.numbers.tolist(), sample.utc_s.tolist(), sample.events is events) == ([4, 5], [1.0, 2.0], True)


@in_a_loop
async def test_states_come_as_they_change(broker, setup_file):
    feed = await open_feed(Address(broker.address))
    states = []

    async def watch():
        async for message in feed.messages():
            if hasattr(message, "aim") and (not states or states[-1] is not message.state):
                states.append(message.state)
                if message.state is State.CONFIGURED:
                    return

    watching = asyncio.create_task(watch())
    try:
        await feed.command(Ask(1, "configure", setup_id=await feed.offer(pack(setup_file))))
        await asyncio.wait_for(watching, 10)
        assert states[-1] is State.CONFIGURED
    finally:
        watching.cancel()
        await feed.close()


@in_a_loop
async def test_what_is_chosen_and_what_is_marked_reaches_a_real_broker(broker, setup_file):
    feed = await open_feed(Address(broker.address))
    try:
        assert await feed.choices() == Choices()
        chosen = Choices(("ana1",), OnLoss.STOP)
        setup_id = await feed.offer(changed(pack(setup_file), ["runtime=2 h"]))
        answer = await feed.command(Ask(1, "configure", setup_id, optional=chosen.optional, on_loss=chosen.on_loss))
        assert answer.ok, answer.text
        assert await feed.choices() == chosen
        assert read_packed(await feed.setup()).duration_s == 7200.0
        answer = await feed.command(Ask(2, "mark", comment="lights off"))
        assert answer.ok, answer.text
        assert not (await feed.command(Ask(3, "mark", comment=" "))).ok
        assert any(line.text.endswith("mark by local: lights off") for line in await feed.logs(50))
        answer = await feed.command(Ask(4, "start"))
        assert answer.ok, answer.text
        await feed.command(Ask(5, "mark", comment="lights on"))
        assert any("run 1: mark by local: lights on" in line.text for line in await feed.logs(50))
        await feed.command(Ask(6, "abort"))
    finally:
        await feed.close()
