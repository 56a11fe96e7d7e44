"""Offsets, jitter and jumps of clocks from questions and answers, on clocks that the test makes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.protocol.clock import ClockWatch, Moment

EPOCH_NS = 1_790_000_000_000_000_000


class TwoHosts:
    """A node whose wall clock is `ahead_s` of the broker's, and the ways between them."""

    def __init__(self, ahead_s=0.0):
        self.true_s = 0.0
        self.ahead_s = ahead_s
        self.broker_ahead_s = 0.0
        self.watch = ClockWatch()

    def moment(self):
        return Moment(1000.0 + self.true_s, EPOCH_NS + round((self.true_s + self.ahead_s) * 1e9))

    def broker_ns(self):
        return EPOCH_NS + round((self.true_s + self.broker_ahead_s) * 1e9)

    def exchange(self, there_s=0.001, back_s=0.001, think_s=0.0):
        number = self.watch.ask(self.moment())
        self.true_s += there_s
        received = self.broker_ns()
        self.true_s += think_s
        sent = self.broker_ns()
        self.true_s += back_s
        return self.watch.answer(number, received, sent, self.moment())


@settings(deadline=None, max_examples=60)
@given(
    ahead_s=st.floats(-100, 100),
    ways=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
)
def test_the_offset_is_true_within_half_of_the_way(ahead_s, ways):
    hosts = TwoHosts(ahead_s)
    for there_s, back_s, think_s in ways:
        hosts.exchange(there_s, back_s, think_s)
    clock = hosts.watch.clock()
    assert abs(clock.offset_s + ahead_s) <= clock.way_s / 2 + 1e-6
    assert clock.jumps == 0


def test_a_way_without_length_counts_although_its_length_is_rounded_below_zero():
    hosts = TwoHosts()
    hosts.exchange(0.0, 0.0, think_s=0.9979355876830989)
    assert hosts.watch.clock().way_s == 0.0


def test_the_sample_with_the_shortest_way_counts():
    hosts = TwoHosts(ahead_s=0.25)
    hosts.exchange(0.3, 0.1)
    hosts.exchange(0.001, 0.001)
    hosts.exchange(0.1, 0.3)
    clock = hosts.watch.clock()
    assert clock.offset_s == pytest.approx(-0.25)
    assert clock.jitter_s == pytest.approx(0.1)
    assert (clock.samples, clock.is_off()) == (3, True)


def test_a_long_way_is_no_proof_of_a_wrong_clock():
    hosts = TwoHosts()
    hosts.exchange(0.5, 0.0)
    assert hosts.watch.clock().offset_s == pytest.approx(0.25)
    assert not hosts.watch.clock().is_off()


def test_an_answer_counts_once_and_only_for_its_question():
    hosts = TwoHosts()
    first = hosts.watch.ask(hosts.moment())
    second = hosts.watch.ask(hosts.moment())
    assert first != second
    hosts.watch.answer(first, hosts.broker_ns(), hosts.broker_ns(), hosts.moment())
    assert hosts.watch.clock() is None
    for _ in range(2):
        hosts.watch.answer(second, hosts.broker_ns(), hosts.broker_ns(), hosts.moment())
    assert hosts.watch.clock().samples == 1


def test_impossible_answers_are_ignored():
    hosts = TwoHosts()
    number = hosts.watch.ask(hosts.moment())
    hosts.watch.answer(number, 0, 10**18, hosts.moment())
    assert hosts.watch.clock() is None
    hosts.exchange(there_s=9.0)
    assert hosts.watch.clock() is None


def test_a_jump_of_the_own_clock_is_seen_and_what_was_measured_is_forgotten():
    hosts = TwoHosts()
    assert hosts.watch.look(hosts.moment()) is None
    hosts.exchange()
    hosts.true_s += 5.0
    assert hosts.watch.look(hosts.moment()) is None
    hosts.ahead_s = 3600.0
    assert hosts.watch.look(hosts.moment()) == pytest.approx(3600.0)
    assert hosts.watch.clock() is None
    assert hosts.exchange() is None
    assert hosts.watch.clock().offset_s == pytest.approx(-3600.0)
    assert hosts.watch.clock().jumps == 1


def test_a_jump_while_a_question_is_open_spoils_no_sample():
    hosts = TwoHosts()
    number = hosts.watch.ask(hosts.moment())
    hosts.ahead_s = -7.0
    hosts.watch.answer(number, hosts.broker_ns(), hosts.broker_ns(), hosts.moment())
    assert hosts.watch.clock() is None


def test_a_jump_of_the_brokers_clock_is_seen():
    hosts = TwoHosts()
    for _ in range(3):
        assert hosts.exchange() is None
    hosts.broker_ahead_s = 2.0
    assert hosts.exchange() == pytest.approx(2.0)
    clock = hosts.watch.clock()
    assert (clock.offset_s, clock.samples, clock.jumps) == (pytest.approx(2.0), 1, 1)


def test_slow_drift_is_no_jump():
    hosts = TwoHosts()
    for _ in range(200):
        assert hosts.watch.look(hosts.moment()) is None
        assert hosts.exchange() is None
        hosts.true_s += 2.0
        hosts.ahead_s += 2.0 * 100e-6
    assert hosts.watch.clock().jumps == 0


def test_the_next_question_is_due_two_seconds_later():
    hosts = TwoHosts()
    hosts.watch.ask(hosts.moment())
    assert hosts.watch.deadline() == 1002.0
