"""The numbers of the sending end: what may be taken, what is sent, and what is released."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mimodaq.protocol.link import Settings
from mimodaq.protocol.link_outflow import Outflow, Pace


def outflow(taken: int = 0, released: int = 0) -> Outflow:
    """Batches of 10 events, at most 4 of them or 100 events on the way."""
    return Outflow(Pace(10, 10, 0.02), 100, 4, released, taken)


def test_settings_make_batches_and_window() -> None:
    flow = Outflow.of(Settings(batch_bytes=1000, window_bytes=5000, window_batches=7), 76, 3, 5)
    assert (flow.pace.batch_events, flow.window_events, flow.window_batches) == (10, 65, 7)
    assert (flow.released, flow.sent, flow.taken, flow.most_sent) == (3, 3, 5, 5)


def test_no_more_is_taken_than_there_are_credits_and_the_window_allows() -> None:
    flow = outflow()
    assert flow.wanted == 0
    flow.limit = 25
    assert flow.wanted == 25
    flow.limit = 1000
    assert flow.wanted == 40, "four batches in one go"
    flow.taken = 5
    assert flow.wanted == 0, "what is there is sent first"
    assert list(flow.batches()) == [(0, 5, 0)]
    assert flow.wanted == 40
    flow.taken = 45
    assert [first for first, *_ in flow.batches()] == [5, 15, 25]
    assert flow.wanted == 0, "four batches are on the way"
    assert flow.release_to(5, 0.0) == 5
    assert [first for first, *_ in flow.batches()] == [35]


def test_nothing_is_released_twice_and_what_is_on_the_way_is_sent_again() -> None:
    flow = outflow(taken=30)
    flow.limit = 30
    assert list(flow.batches()) == [(0, 10, 10), (10, 10, 10), (20, 10, 10)], "a predecessor may have sent them"
    assert [flow.release_to(position, 0.0) for position in (12, 12, 7, 30)] == [12, 0, 0, 18]
    assert flow.unacknowledged == 0
    flow.taken = flow.limit = 40
    assert list(flow.batches()) == [(30, 10, 0)]
    flow.begin_again()
    assert list(flow.batches()) == [(30, 10, 10)]


def test_batches_of_a_fast_link_are_as_large_as_what_it_carries_meanwhile() -> None:
    pace = Pace(10, 40, period_s=0.25)
    assert pace.batch_events == 10
    for now, count, batch in (
        (100.0, 90, 10),  # how long these took, nobody knows
        (100.125, 9, 10),
        (100.25, 9, 18),
        (100.75, 60, 30),
        (101.0, 1000, 40),
        (101.125, 1000, 40),
        (201.0, 1, 10),
    ):
        pace.carried(count, now)
        assert pace.batch_events == batch, now


def test_a_link_that_is_connected_again_begins_with_small_batches() -> None:
    flow = Outflow(Pace(10, 40, 0.02), 100, 4, 0, 100)
    flow.limit = 100
    assert next(flow.batches()) == (0, 10, 10)
    flow.release_to(10, 0.0)
    flow.pace.carried(1000, 0.02)
    assert next(flow.batches()) == (10, 40, 40)
    flow.begin_again()
    assert next(flow.batches()) == (10, 10, 10)
    flow.pace.carried(1, 100.0)
    assert flow.pace.batch_events == 10, "what was carried before does not count"


@given(st.lists(st.tuples(st.sampled_from(("take", "send", "release", "grant", "again")), st.integers(0, 200))))
def test_whatever_happens_the_numbers_are_in_order(script: list[tuple[str, int]]) -> None:
    flow, released = outflow(), 0
    for what, number in script:
        match what:
            case "take":
                flow.taken += min(number, flow.wanted)
            case "send":
                for first, count, again in flow.batches():
                    assert 0 < count <= flow.pace.batch_events
                    assert 0 <= again <= count
                    assert first + count <= min(flow.taken, flow.limit)
            case "release":
                released += flow.release_to(min(number, flow.most_sent), 0.0)
            case "grant":
                flow.limit = max(flow.limit, number)
            case _:
                flow.begin_again()
        assert released == flow.released <= flow.sent <= flow.most_sent <= flow.taken
        assert flow.taken - flow.released <= flow.window_events
