"""Whatever answers a sender hears, and whatever is said between the ends of copies: nothing changes, nothing dies.

Above all no event is released that its receiver has not acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from link.between import SETTINGS, Between
from link.ends import GROUP, check_in_order, check_ledger, produce_until_told, read_all
from link.relay import CopiesRelay, FalseReceiver
from link.test_messages import LOOKS, MESSAGES
from mimodaq.link._copies import check_frames
from mimodaq.protocol import link, link_copies, link_sender
from mimodaq.protocol import link_window_messages as window
from mimodaq.protocol.link import Finish, Identity, MessageError, Outcome, Place, Sender, Tick
from mimodaq.protocol.link_copies import Keep, Kept, Mirror, Newest, Show, Source, Tell, Watched
from mimodaq.protocol.link_messages import Ack, Unknown, Welcome
from mimodaq.protocol.link_window_messages import Ask, Copies, Here
from ring.harness import Child, keys

LIES = int(os.environ.get("MIMODAQ_LINK_LIES", "100000")) // 10


def slander(between: Callable[..., Between], lies: int, result: tuple[int, int]) -> None:
    """Run a link whose sender hears so many false answers."""
    one = between(relay=FalseReceiver)
    with Child(produce_until_told, one.source), Child(check_in_order, one.mirror, result[1]):
        while one.relay.injected < lies or not one.has_heard_much(one.sender):
            one.step(5)
            place = one.source.place("link", GROUP)
            assert place is None or place.released <= one.relay.acknowledged
        one.pass_on_to_the_end()
    total = check_ledger(one.source, one.mirror, "link")
    assert int(os.read(result[0], 100)) == total == one.source.status().committed == one.relay.acknowledged
    assert total > 0
    assert one.receiver.last("figures")["garbage"] == 0


def test_false_answers_release_nothing(between: Callable[..., Between], pipe: tuple[int, int]) -> None:
    slander(between, LIES, pipe)


@pytest.mark.soak
def test_a_million_false_answers_release_nothing(between: Callable[..., Between], pipe: tuple[int, int]) -> None:
    slander(between, 1_000_000, pipe)


def disturb_copies(between: Callable[..., Between], lies: int) -> None:
    """Look at a mirror for observers while so many lies are told to both ends."""
    one = between(("copies_sender", "copies_receiver"), relay=CopiesRelay)
    seen = last = 0
    with Child(produce_until_told, one.source), Child(read_all, one.source):
        with one.mirror.observer() as observer:
            while one.relay.injected < lies or not seen or not one.has_heard_much(one.sender, one.receiver):
                one.step(5)
                recent = observer.recent(64, last - 1)
                assert (keys(recent.events) - (1 << 40) + 7 == recent.counter).all(), "an event has changed"
                assert (np.diff(recent.counter) > 0).all(), "events are out of order"
                seen, last = seen + len(recent.events), recent.newest + 1
        one.pass_on_to_the_end()
    one.source.verify()
    one.mirror.verify()
    group = one.source.status().groups[0]
    assert group.released == group.committed


def test_noise_between_the_ends_of_copies_changes_nothing(between: Callable[..., Between]) -> None:
    disturb_copies(between, LIES)


@pytest.mark.soak
def test_a_million_frames_between_the_ends_of_copies_change_nothing(between: Callable[..., Between]) -> None:
    disturb_copies(between, 1_000_000)


# -- the sessions, told anything ---------------------------------------------------------------------------------

ME = Identity("link", "ring", "[]", 100)
NUMBERS = st.integers(90, 170) | st.integers(0, 2**63 - 1)
ACKS = st.builds(Ack, st.sampled_from([1, 2, 3, 4]), st.integers(0, 3), NUMBERS, NUMBERS, st.booleans(), st.booleans())
WELCOMES = st.builds(
    Welcome, st.integers(1, 4), st.integers(1, 4), st.sampled_from([7, 0]), NUMBERS, NUMBERS, st.just(False)
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(ACKS | WELCOMES | st.builds(Unknown, st.integers(1, 4)) | MESSAGES, st.floats(0.0, 1.0)), max_size=40
    )
)
def test_only_what_was_sent_and_acknowledged_is_released(script: list[tuple[link.Message, float]]) -> None:
    sessions = iter(range(1, 1000))
    sender = Sender(ME, replace(SETTINGS, window_bytes=2000), Place(7, 100, 100), lambda: next(sessions))
    now, sent, acknowledged, released = 0.0, 100, 100, 100
    for said, pause in [(None, 0.0), (Welcome(1, 1, 7, 100, 110, False), 0.0), *script]:
        now += pause
        heard = [link_sender.Begin() if said is None else link_sender.Heard(said)]
        if sender.wanted:  # more than there are credits for, as when a ring gives a batch
            heard.append(link_sender.Taken(sender.wanted))
        if isinstance(said, Ack | Welcome):
            acknowledged = max(acknowledged, said.position if said.position <= sent else 0)
        for event in (*heard, Tick()):
            for effect in sender.handle(event, now):
                match effect:
                    case link_sender.TransmitBatch(_, first, count):
                        sent = max(sent, first + count)
                    case link_sender.Release(count):
                        released += count
                    case link.Transmit(message):
                        assert link.decode(link.encode(message)) == message
        assert released == sender.flow.released <= acknowledged <= sent <= sender.flow.taken


def test_events_that_were_taken_and_not_yet_sent_are_not_released() -> None:
    sender = Sender(ME, SETTINGS, Place(7, 0, 0), lambda: 1)
    sender.handle(link_sender.Begin(), 0.0)
    sender.handle(link_sender.Heard(Welcome(1, 1, 7, 0, 10, False)), 0.0)
    sender.handle(link_sender.Taken(20), 0.0)
    effects = sender.handle(link_sender.Heard(Ack(1, 1, 11, 20, False, False)), 0.0)
    assert not any(isinstance(effect, link_sender.Release) for effect in effects)
    assert (sender.flow.released, sender.state) == (0, link_sender.State.PAUSING)
    sender.handle(Tick(), 1.0)
    (_, finish) = sender.handle(link_sender.Heard(Welcome(1, 1, 7, 11, 20, False)), 1.0)
    assert isinstance(finish, Finish)
    assert finish.outcome is Outcome.FATAL


@settings(deadline=None)
@given(st.lists(st.tuples(LOOKS, st.booleans(), st.floats(0.0, 1.0)), max_size=60))
def test_a_mirror_keeps_only_what_it_has_asked_for(script: list[tuple[window.Message, bool, float]]) -> None:
    mirror = Mirror(ME, SETTINGS)
    mirror.handle(Watched(True), 0.0)
    now, asked, most = 0.0, 0, 5
    here = Here("link", "source", "[]", 100, 2**40, False)
    for said, is_answer, pause in [(here, False, 0.0), *script]:
        now += pause
        message = replace(said, number=asked) if is_answer and isinstance(said, Copies) else said
        for effect in mirror.handle(link_copies.Heard(b"p", message), now):
            if isinstance(effect, Keep):
                assert isinstance(message, Copies)
                assert (message.number, 0 < message.count <= most) == (asked, True)
                mirror.handle(Kept(message.count, 0, message.newest), now)
            if isinstance(effect, Tell):
                assert window.decode(window.encode(effect.message)) == effect.message
                asked = effect.message.number if isinstance(effect.message, Ask) else asked
        for effect in mirror.handle(Tick(), now):
            asked = effect.message.number if isinstance(effect, Tell) and isinstance(effect.message, Ask) else asked


@settings(deadline=None)
@given(st.lists(st.tuples(LOOKS, st.floats(0.0, 1.0)), max_size=60))
def test_a_source_shows_no_more_than_allowed(script: list[tuple[window.Message, float]]) -> None:
    source, now = Source(ME, SETTINGS), 0.0
    for message, pause in script:
        now += pause
        for event in (link_copies.Heard(b"", message), Newest(5, False)):
            for effect in source.handle(event, now):
                assert not isinstance(effect, Show) or effect.most <= 5
                assert not isinstance(effect, Finish) or isinstance(message, window.Over | window.Denied)


@pytest.mark.parametrize("numbers", [[-1, 0], [3, 3], [4, 3], [8, 10], [2**62, 5]])
def test_copies_whose_numbers_cannot_be_are_refused(numbers: list[int]) -> None:
    words = np.array([numbers, [0, 0], [0, 0], [0, 0]], "i8")
    frames = [zmq.Frame(part) for part in (b"", bytes(200), words.tobytes())]
    with pytest.raises(MessageError, match="copies with numbers"):
        check_frames(Copies(1, "[]", 100, 2, 9, False), frames)
