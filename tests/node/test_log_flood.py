"""Whoever prints at will does not push out what others say, and what is left out is counted and told."""

from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from mimodaq.node._liaison import Liaison
from mimodaq.node._log import Entry, RunLog
from mimodaq.node._log_limit import (
    BURST,
    LASTING_BURST,
    LASTING_RATE_HZ,
    NOTICE_MAX_S,
    NOTICE_S,
    RATE_HZ,
    LeftOut,
    LogLimit,
)
from mimodaq.node._log_queue import LogQueue
from mimodaq.protocol.codec import decode
from mimodaq.protocol.messages import LogLine

LOG = Path("/data/run000007_daq1/run.log")
LEVELS = st.sampled_from(["debug", "info", "warning", "error"])
STEPS = st.lists(
    st.tuples(st.floats(0, 30), st.sampled_from(["Fkt_1[0]", "Fkt_2[0]"]), LEVELS, st.integers(0, 500)), max_size=40
)
"""Pauses, and how many lines of which level somebody says after each."""


def flood(limit, now, lines=1000, source="Fkt_2[0]", level="info"):
    """How many of so many lines at one moment are admitted."""
    return limit.admit(source, level, lines, now)


@given(STEPS)
def test_every_line_is_either_sent_or_counted_and_told(steps):
    limit, now, said, sent, told = LogLimit(), 0.0, 0, 0, 0
    for pause, source, level, lines in steps:
        now += pause
        said += lines
        sent += flood(limit, now, lines, source, level)
        told += sum(left.count for left in limit.left_out(now))
    told += sum(left.count for left in limit.left_out(now, is_end=True))
    assert sent + told == said
    assert not limit.left_out(now, is_end=True)


@given(STEPS)
def test_lines_that_come_together_count_as_those_that_come_singly(steps):
    together, singly, now = LogLimit(), LogLimit(), 0.0
    for pause, source, level, lines in steps:
        now += pause
        assert flood(together, now, lines, source, level) == sum(
            singly.admit(source, level, 1, now) for _ in range(lines)
        )
        assert together.left_out(now) == singly.left_out(now)


@given(STEPS)
def test_no_worker_has_more_than_its_allowance(steps):
    limit, now, sent = LogLimit(), 0.0, {}
    for pause, source, level, lines in steps:
        now += pause
        key = (source, level in ("warning", "error"))
        sent[key] = sent.get(key, 0) + flood(limit, now, lines, source, level)
    for count in sent.values():
        assert count <= BURST + now * RATE_HZ + 1e-6
        assert count <= LASTING_BURST + now * LASTING_RATE_HZ + 1e-6


@given(st.integers(1, 20), st.integers(1, 8))
def test_few_lines_are_all_sent(lines, seconds):
    limit = LogLimit()
    assert all(flood(limit, float(second), lines) == lines for second in range(seconds))


def test_a_flood_takes_nothing_from_warnings_or_from_others():
    limit = LogLimit()
    assert flood(limit, 0.0) == BURST
    assert limit.admit("Fkt_2[0]", "error", 1, 0.0) == 1
    assert limit.admit("Fkt_2[1]", "info", 1, 0.0) == 1


def test_a_worker_that_is_quiet_again_is_heard_again():
    limit = LogLimit()
    flood(limit, 0.0)
    assert flood(limit, 1.0) == RATE_HZ
    assert flood(limit, 1.0 + BURST / RATE_HZ) == BURST


def test_a_day_of_flood_leaves_room_in_the_log_of_the_cluster():
    """The broker keeps 10 000 lines."""
    limit, hour, sent, notices = LogLimit(), 3600, 0, 0
    for second in range(hour):
        sent += flood(limit, float(second), 30)
        notices += len(limit.left_out(float(second)))
    assert sent < LASTING_BURST + hour * LASTING_RATE_HZ + 1
    assert notices < 10 + hour / NOTICE_MAX_S


def test_what_is_left_out_is_told_after_a_second_and_then_less_often_while_it_goes_on():
    limit, told = LogLimit(), []
    for tick in range(4 * 20):
        now = tick / 4
        flood(limit, now)
        told += [now for _ in limit.left_out(now)]
    assert told == [1.0, 3.0, 7.0, 15.0]
    limit.left_out(100.0)
    later = 1000.0
    flood(limit, later)
    assert not limit.left_out(later)
    assert limit.left_out(later + NOTICE_S)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (LeftOut("Fkt_2[0]", True, 19_800), "19800 more lines of Fkt_2[0] are only in"),
        (LeftOut("Fkt_2[0]", True, 1), "1 more line of Fkt_2[0] is only in"),
        (LeftOut("Fkt_2[0]", False, 7), "7 more warnings and errors of Fkt_2[0] are only in"),
    ],
)
def test_the_words_name_the_worker_and_the_file(left, words):
    assert left.words(LOG) == f"{words} {LOG}"
    assert left.words(LOG, "No space left on device").endswith(
        "as far as they could be written: No space left on device"
    )


def test_a_line_that_is_kept_is_in_the_file_and_nowhere_else(tmp_path):
    heard = []
    log = RunLog(tmp_path / "run.log", heard.append)
    log.write(Entry(0.0, "info", "run", "one"))
    assert log.keep(0.0, "info", "Fkt_2[0]", ["two", "and\nmore"]) == ""
    log.close()
    assert [entry.text for entry in heard] == ["one"]
    assert (tmp_path / "run.log").read_text().splitlines() == [
        "1970-01-01T00:00:00.000Z INFO    run: one",
        "1970-01-01T00:00:00.000Z INFO    Fkt_2[0]: two",
        "1970-01-01T00:00:00.000Z INFO    Fkt_2[0]: and",
        "    more",
    ]


def test_a_full_disk_is_told_to_whoever_keeps_a_line():
    log = RunLog(Path("/dev/full"), lambda entry: None)
    assert log.keep(0.0, "info", "Fkt_2[0]", ["two"]) == "No space left on device"
    log.close()


# -- while the broker is away -------------------------------------------------------------------------------------


def line(number, level="info"):
    return LogLine("daq1", number, level, "run", f"line {number}")


def emptied(queue):
    found = []
    while (first := queue.first) is not None:
        found.append(first)
        queue.pop()
    return found


@given(st.lists(LEVELS, max_size=60), st.integers(1, 20))
def test_the_queue_keeps_order_and_drops_the_least_first(levels, most):
    queue = LogQueue(most)
    lines = [line(number, level) for number, level in enumerate(levels)]
    for one in lines:
        queue.add(one)
    dropped = queue.dropped_minor + queue.dropped_major
    found = emptied(queue)
    assert found == [one for one in lines if one in found]
    assert len(found) == min(most, len(lines))
    assert dropped == len(lines) - len(found)
    major = [one for one in lines if one.level in ("warning", "error")]
    assert [one for one in found if one in major] == major[-most:]


def test_a_broker_that_is_back_is_told_how_many_lines_are_missing(tmp_path):
    endpoint = f"ipc://{tmp_path}/control"
    liaison = Liaison("daq1", 1, endpoint, None, is_insecure=False, say=lambda *words: None)
    liaison.log(line(0, "error"))
    for number in range(1, 1201):
        liaison.log(line(number))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker:
        broker.linger, broker.rcvtimeo = 0, 20_000
        broker.bind(endpoint)
        liaison.wait(20.0)
        heard = []
        while len(heard) < 1001:
            liaison.keep_up(0.0)
            message = decode(broker.recv_multipart()[1])
            heard += [message] if isinstance(message, LogLine) else []
        liaison.close()
    notice, first, *rest = heard
    assert notice.level == "warning"
    assert notice.text == (
        "201 lines of the log of this host are not here: there was no room for more while the broker was away"
    )
    assert first == line(0, "error")
    assert rest == [line(number) for number in range(202, 1201)]
