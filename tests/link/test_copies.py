"""Copies for observers on another host: a sample on demand, capped, in nobody's way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from link.ends import GROUP, LOCAL, End, new_keys, produce_until_told, read_all
from mimodaq.link import LinkOrder
from mimodaq.protocol import link_copies as protocol
from mimodaq.protocol.link import Finish, GiveUp, Identity, Leave, Outcome, Say, Settings, Tick
from mimodaq.protocol.link_copies import EndMirror, Heard, Keep, Kept, Mirror, Newest, Show, Source, Tell, Watched
from mimodaq.protocol.link_window_messages import Ask, Copies, Denied, Here, Later, Over
from mimodaq.ring import Ring
from ring.harness import SMALL, WAVE, Child, key

ME = Identity("RB~copies", "ring", "[]", 100)
SETTINGS = Settings(copies_hz=50.0, copies_bytes_per_s=1e6)
HERE = Here("RB~copies", "source", "[]", 100, 9, False)


class Copying:
    """A source, a mirror without reader groups, and copies between them."""

    def __init__(self, new_ring: Callable[..., Ring], dtype: np.dtype[np.void], settings: Settings) -> None:
        self.source = new_ring(slots=64, dtype=dtype, groups=[GROUP], expected_writers=1)
        self.mirror = new_ring(slots=8, dtype=dtype, groups=[], expected_writers=1)
        (server, server_secret), (client, client_secret) = new_keys(), new_keys()
        there = LinkOrder(
            "RB~copies",
            self.mirror.segment,
            LOCAL,
            settings=settings,
            public_key=server,
            secret_key=server_secret,
            client_key=client,
        )
        self.receiver = End("copies_receiver", there).start()
        endpoint = self.receiver.expect("ready")["endpoint"]
        self.receiver.order = replace(there, endpoint=endpoint)
        here = LinkOrder(
            "RB~copies",
            self.source.segment,
            endpoint,
            settings=settings,
            public_key=client,
            secret_key=client_secret,
            server_key=server,
        )
        self.sender = End("copies_sender", here).start()
        self.sender.expect("ready")


@pytest.fixture
def new_copying(new_ring: Callable[..., Ring]) -> Iterator[Callable[..., Copying]]:
    made: list[Copying] = []

    def make(dtype: np.dtype[np.void] = SMALL, settings: Settings = SETTINGS) -> Copying:
        made.append(Copying(new_ring, dtype, settings))
        return made[-1]

    yield make
    for copying in made:
        for end in (copying.sender, copying.receiver):
            if end.is_running:
                end.kill()


@pytest.mark.parametrize("dtype", [SMALL, WAVE], ids=["small", "waves"])
def test_observers_see_a_sample_of_whole_events_in_order(
    new_copying: Callable[..., Copying], dtype: np.dtype[np.void]
) -> None:
    copying = new_copying(dtype)
    with Child(produce_until_told, copying.source), Child(read_all, copying.source):
        with copying.mirror.observer() as observer:
            seen = []
            for _ in range(10):
                found = observer.get(30.0)
                assert found is not None
                seen.append(key(found.event) & 0xFFFFFFFFFF)
                assert found.counter == seen[-1] + 7
        assert seen == sorted(set(seen))
        with copying.mirror.observer() as observer:
            copying.source.end()
            assert [copying.sender.end(), copying.receiver.end()] == [0, 0]
            while observer.get(30.0) is not None:
                pass
    assert copying.mirror.status().is_ended
    assert copying.receiver.expect("finish")["outcome"] == "done"


def test_nothing_is_copied_while_nobody_looks(new_copying: Callable[..., Copying]) -> None:
    copying = new_copying()
    with Child(produce_until_told, copying.source), Child(read_all, copying.source):
        copying.receiver.expect("figures", connected=True)
        copying.receiver.reports.clear()
        copying.receiver.expect("figures", connected=True)
        assert copying.source.status().observers == 0
        copying.source.end()
        assert [copying.sender.end(), copying.receiver.end()] == [0, 0]
    assert copying.mirror.status().committed == 0


def test_either_end_may_be_killed(new_copying: Callable[..., Copying]) -> None:
    copying = new_copying()
    with Child(produce_until_told, copying.source), Child(read_all, copying.source):
        with copying.mirror.observer() as observer:
            for end in (copying.sender, copying.receiver, copying.sender):
                assert observer.get(30.0) is not None
                end.kill()
                end.start()
            assert observer.get(30.0) is not None
            assert observer.get(30.0) is not None
        copying.source.end()
        assert [copying.sender.end(), copying.receiver.end()] == [0, 0]


def test_copies_end_when_told(new_copying: Callable[..., Copying]) -> None:
    copying = new_copying()
    copying.receiver.send(signal.SIGUSR1)
    assert copying.receiver.end() == 0
    assert copying.mirror.status().is_ended
    assert copying.sender.terminate() == 0


# -- the sessions --------------------------------------------------------------------------------------------


def asked(effects: list[protocol.MirrorEffect]) -> Ask | None:
    """The question among the effects."""
    questions = [e.message for e in effects if isinstance(e, Tell) and isinstance(e.message, Ask)]
    return questions[0] if questions else None


@pytest.fixture
def mirror() -> Mirror:
    """Watched, its source is known."""
    made = Mirror(ME, SETTINGS)
    made.handle(Watched(True), 0.0)
    return made


def test_one_question_at_a_time_and_none_faster_than_allowed(mirror: Mirror) -> None:
    first = asked(mirror.handle(Heard(b"p", HERE), 0.0))
    assert first == Ask(1, "RB~copies", 5, -1)
    assert asked(mirror.handle(Tick(), 0.1)) is None
    assert mirror.handle(Heard(b"p", Copies(1, "[]", 100, 5, 9, False)), 0.1) == [Keep()]
    assert asked(mirror.handle(Kept(5, 5, 9), 0.1)) is None
    assert asked(mirror.handle(Tick(), 0.19)) is None
    assert asked(mirror.handle(Tick(), 0.2)) == Ask(2, "RB~copies", 5, 9)
    mirror.handle(Heard(b"p", Copies(2, "[]", 100, 2, 20, False)), 0.2)
    mirror.handle(Kept(2, 15, 20), 0.2)
    assert (mirror.figures.copies, mirror.figures.skipped) == (7, 5 + 4)


def test_a_large_event_is_paid_for_in_bytes() -> None:
    mirror = Mirror(replace(ME, event_bytes=500_000), SETTINGS)
    mirror.handle(Watched(True), 0.0)
    mirror.handle(Heard(b"p", replace(HERE, event_bytes=500_000)), 0.0)
    mirror.handle(Heard(b"p", Copies(1, "[]", 500_000, 1, 9, False)), 0.0)
    mirror.handle(Kept(1, 9, 9), 0.0)
    assert asked(mirror.handle(Tick(), 0.49)) is None
    assert asked(mirror.handle(Tick(), 0.5)) is not None


def test_an_answer_that_is_lost_is_asked_for_again(mirror: Mirror) -> None:
    mirror.handle(Heard(b"p", HERE), 0.0)
    assert asked(mirror.handle(Tick(), 1.9)) is None
    assert asked(mirror.handle(Tick(), 2.0)) is not None
    late = Heard(b"p", Copies(1, "[]", 100, 5, 9, False))
    assert mirror.handle(late, 2.1) == []
    assert mirror.handle(replace(late, peer=b"stranger"), 2.1) == []


def test_a_new_source_ring_is_looked_at_from_its_beginning(mirror: Mirror) -> None:
    mirror.handle(Heard(b"p", HERE), 0.0)
    mirror.handle(Heard(b"p", Copies(1, "[]", 100, 5, 9, False)), 0.0)
    mirror.handle(Kept(5, 5, 9), 0.0)
    found = asked(mirror.handle(Heard(b"q", replace(HERE, ring="another", newest=2)), 1.0))
    assert found is not None
    assert found.after == -1


def test_the_end_comes_when_the_last_events_are_shown(mirror: Mirror) -> None:
    ended = replace(HERE, is_ended=True)
    assert asked(mirror.handle(Heard(b"p", ended), 0.0)) is not None
    mirror.handle(Heard(b"p", Copies(1, "[]", 100, 5, 9, True)), 0.1)
    effects = mirror.handle(Kept(5, 5, 9), 0.1)
    assert [type(effect) for effect in effects] == [EndMirror, Finish, Tell]
    assert mirror.handle(Tick(), 0.2) == []


def test_a_mirror_that_nobody_looks_at_ends_at_once() -> None:
    mirror = Mirror(ME, SETTINGS)
    effects = mirror.handle(Heard(b"p", replace(HERE, is_ended=True)), 0.0)
    assert isinstance(effects[0], EndMirror)
    assert effects[-1] == Tell(b"p", Over(0))


def test_a_source_that_does_not_fit_is_refused(mirror: Mirror) -> None:
    effects = mirror.handle(Heard(b"p", replace(HERE, event_bytes=8)), 0.0)
    assert [type(effect) for effect in effects] == [Tell, Say]
    source = Source(ME, SETTINGS)
    (finish,) = source.handle(Heard(b"", Denied(0, "no")), 0.0)
    assert isinstance(finish, Finish)
    assert finish.outcome is Outcome.FATAL


def test_a_source_says_that_it_is_there_and_answers() -> None:
    source = Source(ME, SETTINGS)
    here = Tell(b"", Here("RB~copies", "ring", "[]", 100, 4, False))
    assert source.handle(Newest(4, False), 0.0) == [here]
    assert source.handle(Newest(4, False), 0.4) == []
    assert source.handle(Newest(4, False), 0.5) == [here]
    assert source.handle(Heard(b"", Ask(3, "RB~copies", 1000, 2)), 0.6) == [Show(Ask(3, "RB~copies", 1000, 2), 5)]
    assert source.handle(Heard(b"", Later(1, 1)), 0.6) == []
    (tell,) = source.handle(Newest(4, True), 0.7)
    assert isinstance(tell, Tell)
    assert source.handle(Heard(b"", Over(0)), 0.8)[0] == Finish(Outcome.DONE, "the mirror has ended")


def test_a_source_does_not_wait_for_ever_for_a_mirror_that_is_gone() -> None:
    source = Source(ME, SETTINGS)
    source.handle(Newest(4, True), 0.0)
    (finish,) = source.handle(Newest(4, True), SETTINGS.linger_s)
    assert isinstance(finish, Finish)
    assert finish.outcome is Outcome.DONE


@pytest.mark.parametrize(("event", "outcome"), [(Leave(), Outcome.LEFT), (GiveUp(), Outcome.CUT)])
def test_told_to_leave_both_go(event: Leave | GiveUp, outcome: Outcome) -> None:
    (finish,) = Source(ME, SETTINGS).handle(event, 0.0)
    assert isinstance(finish, Finish)
    assert finish.outcome is outcome
    assert isinstance(Mirror(ME, SETTINGS).handle(event, 0.0)[0], EndMirror)
