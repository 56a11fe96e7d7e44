"""Counts as they travel: exact, bounded, and never trusted; histograms that find their range."""

from __future__ import annotations

import json
import math

import msgpack
import numpy as np
import pytest

from mimodaq.protocol.counts import Counts, CountsError, FieldCounts, Wanted, pack, read_wanted, unpack, write_wanted
from mimodaq.protocol.histogram import MOST_BINS, GrowingHistogram, Histogram, heights


def filled(values: object, low: float = 0.0, high: float = 10.0, bins: int = 20) -> Histogram:
    histogram = Histogram(low, high, bins)
    histogram.fill(values)  # type: ignore[arg-type]
    return histogram


def same(one: Histogram, other: Histogram) -> bool:
    return one.to_row() == other.to_row()


def test_counts_arrive_exactly_as_they_were() -> None:
    values = [*np.random.default_rng(1).normal(5, 2, 500), np.nan, np.inf, -np.inf, 10.0]
    sent = Counts(
        "Fkt_5",
        "RB_3",
        (FieldCounts("a", filled(values), "a / ns", 2.5, is_log=True),),
        "Decays",
        504,
        in_hand=((3, 9), (11, 12)),
    )
    received = unpack(pack(sent))
    counted = received.of("a")
    assert counted is not None
    assert same(counted.histogram, filled(values))
    assert (counted.label, counted.top, counted.is_log) == ("a / ns", 2.5, True)
    assert (received.function, received.ring, received.title) == ("Fkt_5", "RB_3", "Decays")
    assert (received.events, received.is_sample, received.is_final, received.in_hand) == (
        504,
        False,
        False,
        sent.in_hand,
    )
    assert received.of("b") is None


def test_what_is_no_counts_is_refused() -> None:
    good = pack(Counts("Fkt_5", "RB_3", (FieldCounts("a", filled([1.0])),)))
    table = msgpack.unpackb(good)
    broken = []
    for change in (
        lambda t: t.__setitem__(0, "something else"),
        lambda t: t.pop(),
        lambda t: t[2].__setitem__(0, "many"),
        lambda t: t[2].__setitem__(3, [[1, 2, 3]]),
        lambda t: t[2].__setitem__(3, [[1, "2"]]),
        lambda t: t[3][0][4].__setitem__(2, MOST_BINS + 1),
        lambda t: t[3][0][4].__setitem__(2, 19),
        lambda t: t[3][0][4].__setitem__(3, -1),
        lambda t: t[3][0][4].__setitem__(8, b"123"),
        lambda t: t[3][0][4].__setitem__(8, None),
    ):
        other = json.loads(json.dumps(table, default=lambda raw: None))
        other[3][0][4][8] = table[3][0][4][8]
        change(other)
        broken.append(msgpack.packb(other))
    dice = np.random.default_rng(2)
    broken += [good[:n] for n in range(0, len(good), 7)] + [dice.bytes(int(n)) for n in range(1, 60)]
    for raw in broken:
        with pytest.raises(CountsError):
            unpack(raw)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_growing_histogram_leaves_out_no_value(batch: int) -> None:
    values = np.concatenate([np.random.default_rng(2).normal(100, 10, 1000), [-5000.0, 1e6, np.nan, np.inf, -np.inf]])
    growing = GrowingHistogram()
    for start in range(0, len(values), batch):
        growing.fill(values[start : start + batch])
    histogram = growing.settled()
    assert (histogram.inside, histogram.entries) == (1002, 1005)
    assert (histogram.underflow, histogram.overflow, histogram.not_a_number) == (1, 1, 1)
    inside = values[np.isfinite(values)]
    assert histogram.mean == pytest.approx(inside.mean())
    assert histogram.sigma == pytest.approx(inside.std())
    expected = filled(inside, histogram.low, histogram.high, histogram.bins)
    assert histogram.counts.tolist() == expected.counts.tolist()


def test_one_wild_value_does_not_put_all_others_into_one_bin() -> None:
    growing = GrowingHistogram()
    growing.fill(np.linspace(0.0, 1.0, 300))
    growing.fill([1e12])
    histogram = growing.settled()
    assert histogram.overflow == 1
    assert histogram.high < 1e6
    assert histogram.inside == 300


@pytest.mark.parametrize("values", [[1e308, -1e308], [0.0, 1e-310], [5e-324], [1e15, 1e15 + 0.125], [0.0], [-3.0]])
@pytest.mark.parametrize("times", [1, 300])
def test_any_value_can_be_counted(values: list[float], times: int) -> None:
    growing = GrowingHistogram()
    growing.fill(values * times)
    growing.fill([1.0, *values])
    assert growing.settled().entries == len(values) * (times + 1) + 1


def test_while_there_are_few_values_the_range_is_not_chosen_for_good() -> None:
    growing = GrowingHistogram(bins=75)
    assert (growing.settled().entries, growing.settled().bins) == (0, 76)
    growing.fill([5.0])
    narrow = growing.settled()
    assert narrow.inside == 1
    growing.fill(np.arange(500.0))
    assert growing.settled().inside == 501
    assert growing.settled().high - growing.settled().low > 100 * (narrow.high - narrow.low)


def test_a_range_may_be_doubled_to_both_sides() -> None:
    one = filled([1.0, 9.9, -1.0, 11.0, math.nan])
    for downwards, limits in ((True, (-10.0, 10.0)), (False, (0.0, 20.0))):
        wide = one.doubled(downwards=downwards)
        assert (wide.low, wide.high, wide.bins) == (*limits, 20)
        assert wide.counts.tolist() == filled([1.0, 9.9], *limits).counts.tolist()
        assert (wide.entries, wide.underflow, wide.overflow, wide.not_a_number) == (5, 1, 1, 1)
        assert (wide.mean, wide.sigma) == (one.mean, one.sigma)


def test_few_entries_are_shown_in_coarse_bins() -> None:
    assert filled(np.linspace(0, 9.99, 1000)).coarser().bins == 20
    coarse = filled([1.0, 2.0, 30.0]).coarser()
    assert (coarse.bins, coarse.inside, coarse.overflow, coarse.mean) == (5, 2, 1, 1.5)
    assert filled([1.0], bins=7).coarser().bins == 7


def test_of_curves_the_height_over_the_base_is_counted() -> None:
    curves = np.full((2, 100), -50, np.int16)
    curves[0, 10:20] += 300
    curves[1, 50:60] -= 70
    assert heights(curves).tolist() == [300.0, 70.0]
    scalars = np.array([[1], [2]], np.int32)
    assert heights(scalars) is scalars


def test_what_is_wanted_survives_the_way() -> None:
    wanted = (Wanted("a"), Wanted("b", 40, 0.0, 8.0))
    assert read_wanted(write_wanted(wanted), ("a", "b", "c")) == wanted
    assert read_wanted("", ("a", "b")) == (Wanted("a"), Wanted("b"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be made"),
        ("3", "cannot be made"),
        ('[["a"', "cannot be made"),
        ('[["a", 0, null, null]]', "cannot be made"),
        ('[["a", 10, 5, 1]]', "cannot be made"),
        ('[["a", 1e9, 0, 1]]', "cannot be made"),
        ('[["a", "many", 0, 1]]', "cannot be made"),
        ('[["z", 10, 0, 1]]', "no field 'z'; there are a, b"),
        ("[]", "0 histograms with 0 bins at once"),
        ('[["a", 60000, 0, 1], ["b", 60000, 0, 1]]', "2 histograms with 120000 bins at once"),
        ('[["a", 10, 0, 1e-320]]', "cannot be made"),
        ('[["a", 10, -1.7e308, 1.7e308]]', "cannot be made"),
    ],
)
def test_what_cannot_be_counted_is_refused(text: str, named: str) -> None:
    with pytest.raises(CountsError, match=named):
        read_wanted(text, ("a", "b"))
