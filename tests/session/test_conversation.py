"""Requests are repeated until they are answered, and never given to another broker than they were meant for."""

import hashlib
import json

import pytest

from mimodaq.client._session_conversation import REPEAT_S, RETRY_S, Conversation
from mimodaq.client._session_values import RefusedError, RestartedError
from mimodaq.protocol import feed
from mimodaq.protocol import messages as m
from mimodaq.protocol.codec import ProtocolError, decode, encode
from mimodaq.protocol.states import OURS, State, table


def cluster(epoch, log=0):
    return feed.pack_cluster(
        encode(m.Cluster(epoch, 1, State.IDLE, State.IDLE, 0.0, None, 0.0, 0, "", "", None, (), (), log))
    )


def me(number, epoch, log=0, **told):
    table = {"name": "anna", "role": "operator", "is_secure": True, "has_keys": True, "epoch": epoch, "log": log} | told
    return info(number, table)


def info(number, content):
    return encode(m.Info(number, True, json.dumps(content).encode()))


def line(number):
    return m.LogLine("broker", number, "info", "broker", f"line {number}", number)


def batch(after, numbers):
    return encode(m.LogBatch(tuple(line(number) for number in numbers), after))


def told(news):
    return [one.number for one in news if isinstance(one, m.LogLine)]


@pytest.fixture
def talk():
    return Conversation(epoch=5)


def sent(talk, now):
    return [decode(frame) for _, frame in talk.outgoing(now)]


def test_a_request_is_repeated_with_its_number_until_it_is_answered(talk):
    request = talk.ask(m.Ask(1, "start"))
    first = sent(talk, 0.0)
    assert sent(talk, REPEAT_S - 0.1) == []
    assert sent(talk, REPEAT_S) == first
    talk.heard(encode(m.Answer(first[0].number, True, "done", 3)))
    assert sent(talk, 100.0) == []
    assert request.answer().run == 3


def test_what_could_not_be_sent_is_tried_again_soon(talk):
    request = talk.ask(m.Ask(1, "start"))
    talk.outgoing(0.0)
    talk.postpone(request, 0.0)
    assert talk.due() == RETRY_S
    assert len(sent(talk, RETRY_S)) == 1


def test_each_request_has_a_number_of_its_own(talk):
    for _ in range(3):
        talk.ask(m.Ask(1, "pause"))
    talk.inquire(m.Topic.RUNS, 5, None)
    assert [message.number for message in sent(talk, 0.0)] == [1, 2, 3, 4]


def test_what_two_wait_for_is_asked_until_the_last_of_them_has_left(talk):
    setup_id = hashlib.sha256(b"abc").hexdigest()
    first, second = talk.download(setup_id), talk.download(setup_id)
    assert len(talk.outgoing(0.0)) == 1
    talk.drop(first)
    assert len(talk.outgoing(REPEAT_S)) == 1
    talk.heard(encode(m.Chunk(setup_id, 0, 3, b"abc")))
    assert second.answer() == b"abc"
    third = talk.download(setup_id)  # before the second has been told
    talk.drop(second)
    assert [request for request, _ in talk.outgoing(REPEAT_S)] == [third]
    talk.drop(third)
    assert talk.outgoing(2 * REPEAT_S) == []


def test_an_answer_to_nothing_is_ignored(talk):
    request = talk.ask(m.Ask(1, "start"))
    talk.heard(encode(m.Answer(77, True, "done")))
    assert not request.is_done


def test_a_command_is_not_repeated_to_the_next_broker(talk):
    command, question = talk.ask(m.Ask(1, "start")), talk.inquire(m.Topic.RUNS, 5, None)
    sent(talk, 0.0)
    talk.watched(feed.CLUSTER, cluster(6))
    with pytest.raises(RestartedError, match="start: the broker was started again before it could answer"):
        command.answer()
    assert not question.is_done
    assert [type(one) for one in sent(talk, 10.0)] == [m.Inquire]


def test_after_a_break_commands_wait_until_it_is_known_who_is_there(talk):
    command = talk.ask(m.Ask(1, "start"))
    (asked,) = sent(talk, 0.0)
    talk.doubt()
    (greeting,) = sent(talk, 10.0)
    assert greeting.what is m.Topic.ME
    later = talk.ask(m.Ask(1, "stop"))
    assert sent(talk, 10.1) == []
    talk.heard(me(greeting.number, 5))
    assert [one.command for one in sent(talk, 10.2)] == ["start", "stop"]
    talk.doubt()
    (greeting,) = sent(talk, 20.0)
    talk.heard(me(greeting.number, 6))
    for request in (command, later):
        with pytest.raises(RestartedError):
            request.answer()
    assert asked.command == "start"


def test_a_setup_goes_on_where_the_broker_is(talk):
    raw = bytes(m.CHUNK_BYTES + 10)
    request = talk.upload(raw)
    (chunk,) = sent(talk, 0.0)
    assert (chunk.offset, chunk.total, len(chunk.data)) == (0, len(raw), m.CHUNK_BYTES)
    talk.heard(encode(m.Chunk(chunk.setup_id, m.CHUNK_BYTES, len(raw), b"")))
    (chunk,) = sent(talk, 0.1)
    assert (chunk.offset, len(chunk.data)) == (m.CHUNK_BYTES, 10)
    talk.heard(encode(m.Chunk(chunk.setup_id, 0, len(raw), b"")))
    (chunk,) = sent(talk, 0.2)
    assert chunk.offset == 0, "the broker has lost what it had"
    talk.heard(encode(m.Chunk(chunk.setup_id, len(raw), len(raw), b"")))
    assert request.answer() == chunk.setup_id


def test_a_refusal_is_about_the_setup_if_one_is_being_sent(talk):
    upload, other = talk.upload(b"x"), talk.inquire(m.Topic.RUNS, 5, None)
    talk.heard(encode(m.Refused("no")))
    with pytest.raises(RefusedError, match="sending the setup: no"):
        upload.answer()
    assert not other.is_done
    talk.heard(encode(m.Refused("no")))
    with pytest.raises(RefusedError, match="runs: no"):
        other.answer()


def test_what_is_not_for_clients_is_an_error(talk):
    with pytest.raises(ProtocolError, match="not for clients"):
        talk.heard(encode(m.Beat("a", 1, 1)))
    with pytest.raises(ProtocolError, match="the feed holds a beat"):
        talk.watched(feed.LOG, encode(m.Beat("a", 1, 1)))
    with pytest.raises(ProtocolError):
        talk.heard(b"rubbish")


@pytest.fixture
def listener(talk):
    """One that came when the log ended with line 10."""
    talk.inquire(m.Topic.ME, 1, None)
    (asked,) = sent(talk, 0.0)
    talk.heard(me(asked.number, 5, log=10))
    return talk


def over_the_feed(talk, *numbers):
    return [number for one in numbers for number in told(talk.watched(feed.LOG, encode(line(one))))]


def test_lines_that_come_one_after_the_other_are_passed_on_once(listener):
    assert over_the_feed(listener, 11, 12, 12, 11, 13) == [11, 12, 13]
    assert sent(listener, 0.0) == []


def test_a_line_that_has_gone_past_is_asked_for_and_those_after_it_wait(listener):
    assert over_the_feed(listener, 11, 14, 15) == [11]
    (asked,) = sent(listener, 0.0)
    assert asked == m.LogAsk(10_000, 11)
    assert told(listener.heard(batch(11, [12, 13, 14]))) == [12, 13, 14]
    (asked,) = sent(listener, 0.0)
    assert asked.after == 14, "15 has been there, so it is asked for, too"
    assert told(listener.heard(batch(14, [15, 16]))) == [15, 16]
    assert over_the_feed(listener, 16, 17) == [17]
    assert sent(listener, 10.0) == []


def test_a_snapshot_tells_that_the_newest_line_has_gone_past(listener):
    (news,) = listener.watched(feed.CLUSTER, cluster(5, log=12))
    assert isinstance(news, m.Cluster)
    assert [one.after for one in sent(listener, 0.0)] == [10]
    assert told(listener.heard(batch(10, [11, 12]))) == [11, 12]
    assert told(listener.heard(batch(10, [11, 12]))) == [], "it was asked twice, so it is answered twice"
    listener.watched(feed.CLUSTER, cluster(5, log=12))
    assert sent(listener, 10.0) == []


def test_the_lines_of_the_next_broker_are_asked_for_at_once_when_it_is_there(listener):
    listener.doubt()
    (greeting,) = sent(listener, 0.0)
    listener.heard(me(greeting.number, 6, log=1003))
    listener.watched(feed.CLUSTER, cluster(6, log=1003))
    assert [one.after for one in sent(listener, 0.1)] == [10]
    assert told(listener.heard(batch(10, [11, 1001, 1002, 1003]))) == [11, 1001, 1002, 1003]
    assert over_the_feed(listener, 1003, 1004) == [1004]


def test_who_comes_is_not_told_what_was_before(talk):
    talk.watched(feed.CLUSTER, cluster(5, log=10))
    assert sent(talk, 0.0) == []
    assert over_the_feed(talk, 10, 11) == [11]


def test_lines_that_nobody_has_any_more_are_not_asked_for_ever(listener):
    listener.watched(feed.CLUSTER, cluster(5, log=12))
    assert told(listener.heard(batch(10, []))) == []
    assert sent(listener, 10.0) == []
    assert over_the_feed(listener, 13) == [13]


def test_lines_that_are_not_kept_any_more_leave_a_line_that_says_so(listener):
    listener.watched(feed.CLUSTER, cluster(5, log=99))
    lines = tuple(line(number) for number in (98, 99))
    news = listener.heard(encode(m.LogBatch(lines, 10, is_whole=False)))
    assert [(one.level, one.number) for one in news] == [("warning", 10), ("info", 98), ("info", 99)]
    assert "missing" in news[0].text
    assert over_the_feed(listener, 100) == [100]


def test_the_end_of_the_log_and_missing_lines_may_be_asked_for_at_once(listener):
    request = listener.logs(2)
    over_the_feed(listener, 12)
    assert {one.after for one in sent(listener, 0.0)} == {0, 10}
    assert told(listener.heard(batch(0, [11, 12]))) == [], "this is for who asked"
    assert told(request.answer()) == [11, 12]
    assert told(listener.heard(batch(10, [11, 12]))) == [11, 12]


def test_who_the_broker_takes_us_for_is_known_again_after_a_break(talk):
    talk.doubt()
    [question] = sent(talk, 0.0)
    talk.heard(me(question.number, 5))
    assert (talk.me.name, talk.me.is_secure) == ("anna", True)
    talk.doubt()
    [question] = sent(talk, 1.0)
    talk.heard(me(question.number, 6, is_secure=False))
    assert not talk.me.is_secure


def test_without_keys_to_another_host_nothing_is_secure_whatever_the_broker_says():
    talk = Conversation(is_plain=True)
    talk.inquire(m.Topic.ME, 1, None)
    talk.heard(me(1, 5))
    assert not talk.me.is_secure


def test_the_table_of_commands_is_that_of_one_broker(talk):
    question = talk.inquire(m.Topic.STATES, 1, None)
    assert talk.commands is None
    talk.heard(info(question.message.number, table()))
    assert talk.commands == OURS
    talk.watched(feed.CLUSTER, cluster(5))
    assert talk.commands == OURS
    talk.watched(feed.CLUSTER, cluster(6))
    assert talk.commands is None
