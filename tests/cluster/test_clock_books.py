"""What a clock did in the course of a run, for its record."""

import json

from mimodaq.protocol.clock import JUMP_S, Clock
from mimodaq.protocol.clock_books import ClockBooks


def clock(offset_s, second, jitter_s=0.001):
    return Clock(offset_s, jitter_s, 0.002, 8, 0, 1_790_000_000_000_000_000 + second * 10**9)


def test_extremes_and_jumps_of_a_whole_run_are_kept():
    books = ClockBooks()
    assert books.record() is None
    seen = [books.note(clock(offset_s, i)) for i, offset_s in enumerate((0.01, 0.05, -0.02, 2.0, 2.01))]
    assert seen == [False, False, False, True, False]
    assert not books.note(clock(9.0, 4)), "the same sample"
    record = books.record()
    assert (record["samples"], record["offset_s"], record["jumps"]) == (5, 2.01, 1)
    assert (record["offset_min_s"], record["offset_max_s"]) == (-0.02, 2.01)
    assert [(jump["at"], round(jump["step_s"], 6)) for jump in record["jumped"]] == [
        ("2026-09-21T14:13:23.000000+00:00", 2.02)
    ]
    assert record["measured"] == "2026-09-21T14:13:24.000000+00:00"


def test_the_next_life_of_the_daemon_goes_on_with_them():
    books = ClockBooks()
    books.note(clock(0.5, 0, jitter_s=0.03))
    again = ClockBooks.restore(json.loads(json.dumps(books.record())))
    assert again.record() == books.record()
    assert again.note(clock(0.5 + 2 * JUMP_S, 9)), "it was set while nobody looked"
    assert (again.samples, again.offset_min_s, again.jitter_max_s) == (2, 0.5, 0.03)
    assert ClockBooks.restore(None).record() is None
    assert ClockBooks.restore({"colour": "red"}).record() is None
