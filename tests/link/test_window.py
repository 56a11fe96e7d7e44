"""Clients look at the rings of a node through its window: copies, capped, in nobody's way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from link.ends import LOCAL, End, new_keys
from mimodaq.link import LinkError, Window, WindowOrder
from mimodaq.protocol.link import Garbled
from mimodaq.protocol.link_window import Answer, Budgets, Heard, Limits, Look, Shown
from mimodaq.protocol.link_window_messages import Ask, Denied, Later, Over, encode
from mimodaq.ring import Ring
from ring.harness import SMALL, WAVE, fill, numbers

PATIENCE_S = 20.0


def put(ring: Ring, *which: int) -> None:
    with ring.writer("source", kept=False) as writer:
        for number in which:
            batch = writer.claim(1)
            fill(batch.events, 1, np.array([number]))
            batch.counter[:] = number + 7
            batch.deadtime[:] = 0.25
            writer.commit_batch()


@pytest.fixture
def new_window() -> Iterator[Callable[[WindowOrder | Path], End]]:
    """Start windows; all are told to leave at the end."""
    ends = []

    def make(order: WindowOrder | Path) -> End:
        ends.append(End("window", order).start())
        return ends[-1]

    yield make
    for end in ends:
        assert end.terminate() == 0


def ring_of(new_ring: Callable[..., Ring], dtype: np.dtype[np.void] = SMALL, slots: int = 8) -> Ring:
    return new_ring(slots=slots, dtype=dtype, groups=[], expected_writers=9)


def test_a_client_sees_the_newest_events(
    new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder], End]
) -> None:
    ring = ring_of(new_ring, WAVE)
    window = new_window(WindowOrder("daq1", LOCAL, {"RB_1": ring.segment}))
    with Window(window.expect("ready")["endpoint"]) as client:
        assert len(client.get("RB_1").events) == 0
        put(ring, *range(12))
        view = client.get("RB_1", most=3)
        assert view.events.dtype == WAVE
        assert numbers(view.events) == [9, 10, 11]
        assert view.sequence.tolist() == [9, 10, 11]
        assert view.counter.tolist() == [16, 17, 18]
        assert (view.deadtime == 0.25).all()
        assert (view.timestamp > 1e9).all()
        assert (view.newest, view.skipped, view.is_ended) == (11, 0, False)
        put(ring, *range(12, 17))
        view = client.get("RB_1", most=2, after=view.newest)
        assert numbers(view.events) == [15, 16]
        assert view.skipped == 3
        assert len(client.get("RB_1", after=16).events) == 0
        all_there_are = numbers(client.get("RB_1", most=100).events)  # the writer may have been given slots ahead
        assert all_there_are == list(range(17 - len(all_there_are), 17))
        with pytest.raises(LinkError, match="daq1 has no ring 'RB_7'; it has RB_1"):
            client.get("RB_7")


def test_a_window_observes_only_what_is_looked_at(
    new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder], End]
) -> None:
    ring = ring_of(new_ring)
    window = new_window(WindowOrder("daq1", LOCAL, {"RB_1": ring.segment}))
    with Window(window.expect("ready")["endpoint"]) as client:
        assert ring.status().observers == 0
        client.get("RB_1")
        assert ring.status().observers == 1
    while ring.status().observers:
        window.expect("figures")
        window.reports.clear()


def test_a_closed_ring_is_an_answer(new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder], End]) -> None:
    ring = ring_of(new_ring)
    window = new_window(WindowOrder("daq1", LOCAL, {"RB_1": ring.segment, "RB_2": "mimodaq.gone"}))
    with Window(window.expect("ready")["endpoint"]) as client:
        client.get("RB_1")
        ring.close()
        with pytest.raises(LinkError, match="the run was aborted"):
            client.get("RB_1")
        with pytest.raises(LinkError, match="there is no ring"):
            client.get("RB_2")


def test_a_changed_order_brings_other_rings_and_keys(
    new_ring: Callable[..., Ring], new_window: Callable[[Path], End], tmp_path: Path
) -> None:
    one, two = ring_of(new_ring), ring_of(new_ring)
    put(one, 1)
    put(two, 2)
    (server, server_secret), (anna, anna_secret), (bert, bert_secret) = (new_keys() for _ in range(3))
    order = WindowOrder("daq1", LOCAL, {"RB_1": one.segment}, server, server_secret, (anna,))
    path = tmp_path / "window.json"

    def write(content: str) -> None:
        (tmp_path / "new").write_text(content)
        os.replace(tmp_path / "new", path)

    write(order.encode())
    window = new_window(path)
    endpoint = window.expect("ready")["endpoint"]
    with (
        Window(endpoint, public_key=anna, secret_key=anna_secret, server_key=server) as as_anna,
        Window(endpoint, public_key=bert, secret_key=bert_secret, server_key=server) as as_bert,
    ):
        assert numbers(as_anna.get("RB_1").events) == [1]
        with pytest.raises(TimeoutError, match="is this key known to it"):
            as_bert.get("RB_1", timeout=0.3)

        write("{broken")
        window.send(signal.SIGHUP)
        assert "cannot be used" in window.expect("say", level="error")["text"]
        assert numbers(as_anna.get("RB_1").events) == [1]

        write(replace(order, rings={"RB_1": two.segment}, client_keys=(bert,)).encode())
        window.send(signal.SIGHUP)
        while True:
            try:
                assert numbers(as_bert.get("RB_1", timeout=1.0).events) == [2]
                break
            except TimeoutError:
                continue
        with pytest.raises(LinkError, match="not valid any more"):
            as_anna.get("RB_1")


def test_noise_at_a_window_kills_nothing(
    new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder], End]
) -> None:
    ring = ring_of(new_ring)
    put(ring, 5)
    window = new_window(WindowOrder("daq1", LOCAL, {"RB_1": ring.segment}))
    endpoint = window.expect("ready")["endpoint"]
    dice = np.random.default_rng(3)
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(endpoint)
        for i in range(3000):
            stranger.send_multipart([dice.bytes(int(dice.integers(0, 60))) for _ in range(int(dice.integers(1, 4)))])
            stranger.send(encode(Ask(i, "RB_1", 1, -1)))  # and never reads an answer
        with Window(endpoint) as client:
            assert numbers(client.get("RB_1").events) == [5]


def test_a_client_that_asks_for_too_much_gets_no_more(
    new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder], End]
) -> None:
    ring = ring_of(new_ring)
    put(ring, *range(8))
    limits = Limits(events_per_s=0.01)
    window = new_window(WindowOrder("daq1", LOCAL, {"RB_1": ring.segment}, limits=limits))
    with Window(window.expect("ready")["endpoint"]) as client:
        assert numbers(client.get("RB_1", most=8).events) == [7]
        with pytest.raises(TimeoutError, match="it shows no more"):
            client.get("RB_1", timeout=PATIENCE_S)


# -- the budgets ---------------------------------------------------------------------------------------------


def test_budgets_cap_events_and_bytes_of_each_and_bytes_of_all() -> None:
    budgets = Budgets("daq1", Limits(events_per_s=10.0, bytes_per_s=1000.0, total_bytes_per_s=1500.0))
    ask = Ask(1, "RB_1", 50, -1)

    def hear(user: str, now: float) -> Look | Answer:
        (effect,) = budgets.handle(Heard(b"p", user, ask), now)
        assert isinstance(effect, Look | Answer)
        return effect

    assert hear("a", 0.0) == Look(b"p", "a", ask, 10, 1000)
    budgets.handle(Shown("a", 10, 200), 0.0)
    assert hear("a", 0.0) == Answer(b"p", Later(1, 1))  # no event is left
    assert hear("a", 0.5) == Look(b"p", "a", ask, 5, 1000)
    budgets.handle(Shown("a", 1, 4000), 0.5)  # one large event: a debt
    assert hear("a", 1.0) == Answer(b"p", Later(1, 2501))
    found = hear("b", 1.0)
    assert isinstance(found, Answer)  # the debt of all together
    assert hear("b", 3.0) == Look(b"p", "b", ask, 10, 1000)


def test_budgets_forget_who_was_silent_longest() -> None:
    budgets = Budgets("daq1", Limits(events_per_s=1.0, clients=2))
    for user in ("a", "b", "c"):
        budgets.handle(Heard(b"p", user, Ask(1, "RB_1", 1, -1)), 0.0)
    assert budgets.clients == 2


def test_what_is_no_question_is_counted_and_said_seldom() -> None:
    budgets = Budgets("daq1", Limits())
    said = [*budgets.handle(Heard(b"p", "a", Over(0)), 0.0), *budgets.handle(Garbled("noise"), 1.0)]
    assert len(said) == 1
    assert budgets.figures.garbage == 2
    assert budgets.handle(Heard(b"p", "a", Ask(4, "RB_1", 0, -1)), 0.0) == [
        Answer(b"p", Denied(4, "no event was asked for"))
    ]


def test_an_order_survives_its_file() -> None:
    order = WindowOrder("daq1", "tcp://10.0.0.1:7790", {"RB_1": "s"}, insecure=True, limits=Limits(clients=3))
    assert WindowOrder.decode(order.encode()) == order
    with pytest.raises(LinkError, match="insecure = true"):
        replace(order, insecure=False)
    with pytest.raises(LinkError, match="no CURVE key"):
        replace(order, client_keys=("short",))
    with pytest.raises(LinkError, match="cannot be read"):
        WindowOrder.decode(json.dumps({"node": "daq1"}))


def test_a_window_leaves_when_the_folder_of_its_run_is_cleared_away(
    new_ring: Callable[..., Ring], new_window: Callable[[WindowOrder | Path], End], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "window.json").write_text(WindowOrder("daq1", LOCAL, {"RB_1": ring_of(new_ring).segment}).encode())
    window = new_window(folder / "window.json")
    window.expect("ready")
    (folder / "window.json").unlink()
    folder.rmdir()
    assert window.expect("finish")["outcome"] == "left"
