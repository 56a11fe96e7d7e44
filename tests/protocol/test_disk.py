"""The forecast of a full disk, and what is done about it."""

import pytest

from mimodaq.config import DiskSpec
from mimodaq.protocol.disk import DiskLook, DiskWatch
from mimodaq.protocol.parts import DiskWish

MB, GB = 1_000_000, 1_000_000_000


def look(free, journals=None, parts=None, **changes):
    values = {"rooms": 0, "temporary": 0, "others": 0, "to_close": 0, "buffered": 0}
    return DiskLook(free, journals or {}, parts or {}, **{**values, **changes})


def texts(said):
    return [say.text for say in said]


class Writing:
    """A run that writes journals of 100 MB, and completes each within a look as Parquet of 40 MB."""

    def __init__(self, spec, free=10 * GB, rate=10 * MB):
        self.watch, self.rate = DiskWatch(spec), rate
        self.disk, self.now, self.said = free, 0.0, []
        self.parts, self.journal, self.other = {}, 0, 0

    def second(self, rate=None):
        self.now += 1.0
        self.journal += self.rate if rate is None else rate
        if self.journal > 100 * MB:
            self.parts[f"p{len(self.parts)}"] = int(0.4 * self.journal)
            self.journal = 0
        free = self.disk - sum(self.parts.values()) - 2 * self.journal - self.other
        journals = {f"p{len(self.parts)}": self.journal}
        found = look(free, journals, dict(self.parts), rooms=self.journal, to_close=self.journal)
        self.said += texts(self.watch.look(found, self.now))
        return free


def test_nothing_is_forecast_from_too_little():
    run = Writing(DiskSpec())
    for _ in range(5):
        run.second()
        assert run.watch.left_s is None
    run.second()
    assert run.watch.rate == pytest.approx(10 * MB)


def test_the_forecast_counts_what_parquet_will_need():
    run = Writing(DiskSpec(reserve_bytes=0))
    for _ in range(200):
        free = run.second()
    assert run.watch.rate == pytest.approx(4 * MB, rel=0.05)
    assert run.watch.left_s == pytest.approx(free / (4 * MB), rel=0.1)
    for _ in range(300):
        run.second()
        assert run.watch.rate == pytest.approx(4 * MB, rel=0.05), "completing a part changes nothing"


def test_a_disk_that_another_program_fills_counts_too():
    run = Writing(DiskSpec(reserve_bytes=0), rate=0)
    for _ in range(100):
        run.other += 5 * MB
        run.second()
    assert run.watch.rate == pytest.approx(5 * MB)


def test_a_disk_that_does_not_fill_has_no_end():
    run = Writing(DiskSpec(), rate=0)
    for _ in range(100):
        run.second()
    assert run.watch.left_s is None
    assert run.said == []


def test_the_operator_is_told_once_in_time_and_again_after_it_was_better():
    run = Writing(DiskSpec(warn_s=600.0, reserve_bytes=0), free=2600 * MB, rate=1 * MB)
    for _ in range(70):
        run.second()
    assert run.said == []
    for _ in range(120):
        run.second(10 * MB)
    assert len(run.said) == 1
    assert run.said[0].startswith(("the disk is full in 9 min, at ", "the disk is full in 10 min, at "))
    assert run.said[0].endswith("are free): then the run is stopped")
    for _ in range(120):
        run.second(0)
    for _ in range(120):
        run.second(10 * MB)
    assert len(run.said) == 2


@pytest.mark.parametrize(
    ("when_low", "wish", "doing"),
    [
        ("stop", DiskWish.STOP, "the run is stopped"),
        ("pause", DiskWish.PAUSE, "the run is paused"),
        ("warn", DiskWish.NONE, "make room"),
    ],
)
def test_a_low_disk_is_told_once_and_the_setup_says_what_is_done(when_low, wish, doing):
    watch = DiskWatch(DiskSpec(when_low, reserve_bytes=100 * MB))
    assert watch.look(look(101 * MB, {"p": 1}), 0.0) == []
    assert watch.wish is DiskWish.NONE
    said = watch.look(look(99 * MB, {"p": 1}), 1.0)
    assert texts(said) == [f"only 99 MB are left on the disk: {doing} (disk.when_low: {when_low})"]
    assert watch.wish is wish
    assert watch.look(look(98 * MB, {"p": 1}), 2.0) == []
    watch.look(look(149 * MB, {"p": 1}), 3.0)
    assert watch.wish is wish, "a little more room is not enough"
    watch.look(look(151 * MB, {"p": 1}), 4.0)
    assert watch.wish is DiskWish.NONE


def test_what_is_in_the_buffers_will_need_room_twice():
    watch = DiskWatch(DiskSpec(reserve_bytes=10 * MB))
    watch.look(look(49 * MB, {"p": 1}, buffered=20 * MB), 0.0)
    assert watch.is_low


def test_what_closing_needs_is_kept_where_no_space_can_be_set_aside():
    watch = DiskWatch(DiskSpec(reserve_bytes=10 * MB))
    watch.look(look(49 * MB, {"p": 40 * MB}, to_close=40 * MB, rooms=40 * MB), 0.0)
    assert not watch.is_low
    watch.look(look(49 * MB, {"p": 40 * MB}, to_close=40 * MB), 1.0)
    assert watch.is_low


def test_fast_writing_is_stopped_earlier():
    run = Writing(DiskSpec(reserve_bytes=0), free=2 * GB, rate=50 * MB)
    while not run.watch.is_low:
        free = run.second()
        assert free > 0
    assert free == pytest.approx(5 * run.watch.rate, abs=100 * MB)


def test_a_run_that_writes_nothing_is_left_alone():
    watch = DiskWatch(DiskSpec())
    assert watch.look(look(0, others=5000), 0.0) == []
    assert watch.look(look(0, others=5000), 1.0) == []
    assert not watch.is_low
    assert len(watch.look(look(0, others=6000), 2.0)) == 1
