"""A recording shows what was seen, at any speed, and a damaged file is told."""

import asyncio
from dataclasses import replace

import msgpack
import pytest

from mimodaq.protocol.codec import encode
from mimodaq.protocol.messages import Ask, Cluster, LogLine, Report
from mimodaq.protocol.states import State
from mimodaq.tui._model import Model
from mimodaq.tui.feed import FeedError
from mimodaq.tui.recording import RecordedFeed, ReplayFeed, _write
from mimodaq.tui.render import plain
from mimodaq.tui.setups import read_packed
from mimodaq.tui.simulated import Fault, SimulatedFeed, What
from tui.console import console, in_a_loop
from tui.pages import follow, followed, page

FAST = 1e9


async def record(path, seconds=20, faults=()):
    """Record an experiment; returns what was published."""
    feed = SimulatedFeed(faults, state=State.RUNNING)
    recorded = RecordedFeed(feed, path)
    seen = []
    stream = recorded.messages()
    for _ in range(seconds):
        feed.advance(1.0)
        while not feed._queue.empty():
            seen.append(await anext(stream))
    await feed.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    return seen


@in_a_loop
async def test_a_replay_gives_exactly_what_was_recorded(tmp_path):
    seen = await record(tmp_path / "feed")
    replay = ReplayFeed(tmp_path / "feed", FAST)
    assert [message async for message in replay.messages()] == seen
    assert read_packed(await replay.setup()).name == "setup"
    assert [run.run for run in await replay.runs()] == [42, 41, 40, 39, 38]
    assert [line for line in await replay.logs(1000) if line in seen] == [m for m in seen if isinstance(m, LogLine)]


@in_a_loop
async def test_a_replay_is_shown_like_the_real_thing_and_cannot_be_commanded(tmp_path):
    await record(tmp_path / "feed", 30, [Fault(10.0, 1000.0, What.CUT, "pulses_2")])
    async with console(ReplayFeed(tmp_path / "feed", FAST)) as seat:
        while any(worker.group == "feed" and worker.is_running for worker in seat.app.workers):
            await seat.settle()
        seat.app.look()
        await seat.settle()
        assert "REPLAY" in seat.lines[0]
        assert "✗ down" in seat.text
        await seat.press("x")
        assert (seat.dialog, "watching only" in seat.lines[-1]) == ("", True)
        await seat.press("2", "4")
        await seat.settle()
        assert "a recording holds no events" in seat.text
    answer = await ReplayFeed(tmp_path / "feed").command(Ask(1, "stop"))
    assert not answer.ok


@in_a_loop
async def test_times_between_messages_are_kept(tmp_path, monkeypatch):
    await record(tmp_path / "feed", 3)
    replay = ReplayFeed(tmp_path / "feed", 1.0)
    waits = []
    real_sleep = asyncio.sleep

    async def no_sleep(seconds):
        waits.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    times = [replay.now() async for _ in replay.messages()]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(2.0)
    assert max(waits) == pytest.approx(2.0, abs=0.2)


@in_a_loop
async def test_a_recording_that_was_cut_off_is_good_up_to_there(tmp_path):
    seen = await record(tmp_path / "feed")
    whole = (tmp_path / "feed").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) - 7])
    found = [message async for message in ReplayFeed(tmp_path / "cut", FAST).messages()]
    assert found == seen[: len(found)]
    assert len(found) >= len(seen) - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is no recording"),
        (b"\xc1" * 100, "no recording"),
        (b"hello", "no recording"),
        (msgpack.packb(["mimodaq-feed", 99, {}]), "version 99"),
    ],
)
def test_what_is_no_recording_is_told(tmp_path, content, message):
    (tmp_path / "feed").write_bytes(content)
    with pytest.raises(FeedError, match=message):
        ReplayFeed(tmp_path / "feed")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FeedError, match="No such file"):
        ReplayFeed(tmp_path / "feed")


@in_a_loop
async def test_a_recording_never_overwrites(tmp_path):
    (tmp_path / "feed").write_text("precious")
    with pytest.raises(FeedError, match="name a new file"):
        await anext(RecordedFeed(SimulatedFeed(), tmp_path / "feed").messages())
    assert (tmp_path / "feed").read_text() == "precious"


async def feed_for(seat, feed, seconds):
    for _ in range(seconds):
        feed.advance(1.0)
        await seat.settle()


@in_a_loop
async def test_a_full_disk_ends_the_recording_and_not_the_view(tmp_path, monkeypatch):
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(RecordedFeed(feed, tmp_path / "feed")) as seat:
        await feed_for(seat, feed, 2)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mimodaq.tui.recording._write", full)
        await feed_for(seat, feed, 3)
        assert "00:00:04" in seat.lines[0]
        assert any("No space left" in entry.line.text for entry in seat.app.model.log.entries)
    assert ReplayFeed(tmp_path / "feed").operator == "anna"


# -- hours --------------------------------------------------------------------------------------------------------


def sizes(model):
    figures = model.alarms.figures
    return {
        "log": len(model.log.entries) // 20_001,
        "history": sum(len(rates) // 500 for rates in model.history._rates.values()) + len(model.history._rates),
        "flows": len(figures._flows),
        "taken": len(figures._taken),
        "first": len(figures._first),
        "disks": len(figures._disks),
        "watched": len(model.alarms._watched) // 50,  # at most one for each rule and thing
        "reports": len(model.snapshot.reports),
    }


def hours(number):
    """A model after hours of an experiment in which something is always going wrong."""
    faults = [
        Fault(120.0 * i + 20.0 * k, 15.0, what, target)
        for i in range(int(number * 30))
        for k, (what, target) in enumerate(
            [(What.CUT, "pulses_2"), (What.SLOW, "file"), (What.LOST, "pi-1"), (What.DIES, "filter_1[0]")]
        )
    ]
    model, feed = followed(faults[:40], 600)
    early = sizes(model)
    for start in range(600, int(number * 3600), 600):
        feed._faults = tuple(f for f in faults if start - 60 <= f.at_s < start + 700)
        follow(model, feed, 600)
        page(model, 80)
    return early, sizes(model), model


def test_twenty_minutes_of_trouble_leaves_no_more_behind_than_ten_minutes():
    early, late, _ = hours(1 / 3)
    assert late == early


@pytest.mark.soak
def test_a_day_of_trouble_leaves_no_more_behind_than_ten_minutes():
    early, late, model = hours(24)
    assert late == early
    assert plain(page(model, 80)[0]).startswith("● RUNNING")


def a_day(path, every_s=30.0):
    """A recording of 24 h: a minute of trouble over and over, in runs of four hours, with a great deal to say."""
    feed = SimulatedFeed([Fault(20.0, 15.0, What.CUT, "pulses_2")], state=State.RUNNING)
    minute = []
    for _ in range(60):
        feed.advance(1.0)
        minute.append([feed._queue.get_nowait() for _ in range(feed._queue.qsize())])
    with path.open("wb") as file:
        _write(file, ["mimodaq-feed", 1, {"logs": [], "runs": [], "operator": "anna"}])
        for number in range(1, int(86_400 / every_s) + 1):
            now, run = number * every_s, 1 + number // 480
            utc_ns = 1_790_000_000_000_000_000 + int(now * 1e9)
            for line in range(8):
                _write(file, [now, utc_ns, encode(LogLine("pi-1", utc_ns, "info", "reader", f"line {number} {line}"))])
            since = number % 480
            for message in minute[number % 60]:
                if isinstance(message, Report):
                    buffers = tuple(replace(b, committed=since * 1000) for b in message.buffers)
                    _write(file, [now, utc_ns, encode(replace(message, number=number, run=run, buffers=buffers))])
                elif isinstance(message, Cluster):
                    at = since * every_s
                    _write(file, [now, utc_ns, encode(replace(message, number=number, run=run, running_s=at))])


@in_a_loop
async def test_a_day_replayed_a_thousand_times_as_fast_leaves_nothing_behind(tmp_path, monkeypatch):
    a_day(tmp_path / "feed")
    slept = []
    real_sleep = asyncio.sleep

    async def virtual(seconds):
        slept.append(seconds)
        if len(slept) % 500 == 0:
            await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", virtual)
    replay, model, after = ReplayFeed(tmp_path / "feed", 1000.0), Model(), {}
    model.know_setup(read_packed(SimulatedFeed()._packed))
    async for message in replay.messages():
        model.take(message, replay.now())
        if isinstance(message, Cluster):
            model.look(replay.now(), replay.utc_ns())
            after[int(replay.now() // 3600)] = sizes(model)
    assert len(slept) > 2880 * 12
    assert list(after) == list(range(25))
    assert after[23] == after[4]
    assert len(model.log.entries) == 20_000
    assert len(replay._logs) <= 5000
    assert model.snapshot.cluster.run == 7
