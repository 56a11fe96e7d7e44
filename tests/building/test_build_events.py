"""Events of real buffers, built: contents, metadata, figures."""

from __future__ import annotations

import numpy as np
import pytest

from building.bench import HIT, OUT, Bench, check_books, content, put, work
from building.model import by_brute_force
from mimodaq.functions.building import BuildError, Quality
from ring.harness import Child

ALL = {"complete": True, "incomplete": True, "late": True, "duplicate": True}


def test_events_with_the_same_counter_are_merged(bench):
    bench.fill("RB_1", [1, 2, 3, 5], [10, 20, 30, 50])
    bench.fill("RB_2", [2, 3, 4, 5], [24_000, 27_000, 44_000, 55_000])
    found = bench.build({})
    assert found["counter"].tolist() == [2, 3, 5]
    assert found["RB_1_charge"].tolist() == found["RB_2_charge"].tolist() == [2, 3, 5]
    assert found["RB_2_wave"].tolist() == [[2] * 4, [3] * 4, [5] * 4]
    assert found["quality"].tolist() == [0, 0, 0]
    assert found["sources"].tolist() == [3, 3, 3]
    assert found["n_sources"].tolist() == [2, 2, 2]
    assert found["RB_2_dt_ns"] == pytest.approx([23_980, 26_970, 54_950], abs=500)
    assert found["timestamp"] == pytest.approx([1e9 + 20e-9, 1e9 + 30e-9, 1e9 + 50e-9], abs=1e-9)
    assert found["deadtime"] == pytest.approx([0.02, 0.03, 0.05])
    assert bench.figures["sources"] == {
        "RB_1": {"read": 4, "built": 3, "dropped": 1, "late": 0, "duplicate": 0, "undecided": 0},
        "RB_2": {"read": 4, "built": 3, "dropped": 1, "late": 0, "duplicate": 0, "undecided": 0},
    }
    assert bench.figures["events"] == {"complete": 3, "incomplete": 2, "late": 0, "duplicate": 0}
    assert bench.figures["written"] == {"complete": 3, "incomplete": 0, "late": 0, "duplicate": 0}


def test_what_is_kept_says_what_it_is_and_what_is_missing_is_zero(bench):
    bench.fill("RB_1", [1, 2, 2, 3])
    bench.fill("RB_2", [3, 4, 1])  # the last one is out of order, but its event is still there
    found = bench.build({"keep": ALL})
    rows = {(e["counter"], e["quality"], e["sources"]): e for e in found}
    assert set(rows) == {
        (1, Quality.COMPLETE, 3),
        (2, Quality.INCOMPLETE, 1),
        (2, Quality.DUPLICATE, 1),
        (3, Quality.COMPLETE, 3),
        (4, Quality.INCOMPLETE, 2),
    }
    lonely = rows[2, Quality.INCOMPLETE, 1]
    assert (lonely["RB_1_charge"], lonely["RB_2_charge"], lonely["RB_2_dt_ns"]) == (2, 0, 0)
    assert not lonely["RB_2_wave"].any()
    assert bench.figures["out_of_order"] == {"RB_1": 0, "RB_2": 1}


def test_incomplete_events_of_too_few_sources_are_dropped(bench):
    bench.fill("RB_1", [1, 2, 3])
    bench.fill("RB_2", [2, 3])
    bench.fill("RB_3", [1, 3])
    out = np.dtype([("n_sources", "i4", (1,)), ("RB_3_counter", "i8", (1,))])
    found = bench.build({"keep": {"incomplete": True}, "min_sources": 3}, out)
    assert found["counter"].tolist() == [3]
    assert bench.figures["sources"]["RB_2"]["dropped"] == 1


def test_events_in_a_window_are_merged_after_the_offsets_are_taken_off(bench):
    a, b = [1000, 5000, 9000, 9000 + 301], [1000 + 535, 5000 + 535 - 101, 20_000]
    bench.fill("RB_1", [7, 8, 9, 10], a)
    bench.fill("RB_2", [0, 1, 2], b)
    found = bench.build(
        {
            "by": "time",
            "window": "100 ns",
            "time_field": "t_ns",
            "offsets": {"RB_1": 0, "RB_2": "535 ns"},
            "keep": {"incomplete": True},
        }
    )
    assert found["sources"].tolist() == [3, 2, 1, 1, 1, 2]
    assert found["counter"].tolist() == [0, 1, 2, 3, 4, 5]
    assert found["RB_1_charge"].tolist() == [7, 0, 8, 9, 10, 0]
    assert found["RB_2_charge"].tolist() == [0, 1, 0, 0, 0, 2]


def test_time_stamps_serve_for_windows_of_a_microsecond_and_more(bench):
    bench.fill("RB_1", [0, 1], [0, 50_000])
    bench.fill("RB_2", [0, 1], [3_000_400, 3_051_900])
    found = bench.build({"by": "time", "window": "1 us", "offsets": {"RB_2": "3 ms"}, "keep": {"incomplete": True}})
    assert found["sources"].tolist() == [3, 1, 2]
    assert found["RB_2_dt_ns"][0] == pytest.approx(400, abs=250)
    assert found["timestamp"] == pytest.approx([1e9, 1e9 + 50e-6, 1e9 + 51.9e-6], abs=3e-7)


def test_many_events_in_small_buffers_equal_the_model(bench):
    rng = np.random.default_rng(5)
    times = [np.sort(rng.integers(0, 400_000, 400)).tolist() for _ in range(2)]
    for i, t in enumerate(times, 1):
        bench.fill(f"RB_{i}", range(400), t)
    found = bench.build({"by": "time", "window": "300 ns", "time_field": "t_ns", "keep": {"incomplete": True}})
    events = by_brute_force(times, 300).events
    charges = [[0 if number < 0 else number for number in members] for members in events]
    assert np.stack([found["RB_1_charge"], found["RB_2_charge"]], axis=1).tolist() == charges
    mask = [sum(1 << i for i, number in enumerate(members) if number >= 0) for members in events]
    assert found["sources"].tolist() == mask


def test_fields_are_filled_as_the_option_says(bench):
    bench.fill("RB_1", [3], [10])
    bench.fill("RB_2", [3], [20])
    out = np.dtype([("q", "f8", (1,)), ("trigger", "i8", (1,)), ("at", "f8", (1,)), ("dead", "f8", (1,))])
    mapping = {"q": "RB_2.charge", "trigger": "RB_1.counter", "at": "RB_2.timestamp", "dead": "RB_1.deadtime"}
    (event,) = bench.build({"fields": mapping}, out)
    assert (event["q"], event["trigger"], event["dead"]) == (3, 3, 0.03)
    assert event["at"] == 1e9 + 20e-9


def test_a_silent_source_holds_nothing_up_longer_than_the_limit(bench):
    """The other source is at work, the silent one is open all the time."""
    first, second = (bench.ring(name).writer("source") for name in ("RB_1", "RB_2"))
    out = bench.ring("OUT", OUT)
    config = {"max_wait": "50 ms", "keep": {"incomplete": True, "late": True}}
    with Child(build_in_child, bench, config), out.reader("Fkt_3", "test") as reader:
        for counter in (1, 2):
            put(first, counter)
            event = reader.get()
            assert (event["quality"][0], reader.counter) == (Quality.INCOMPLETE, counter)
        put(second, 1)
        event = reader.get()
        assert (event["quality"][0], reader.counter) == (Quality.LATE, 1)
        put(first, 3)
        put(second, 3)
        event = reader.get()
        assert (event["quality"][0], reader.counter) == (Quality.COMPLETE, 3)
        first.close()
        second.close()
        assert reader.get() is None


def test_a_full_buffer_behind_a_silent_source_is_emptied_by_the_limit(bench):
    out = bench.ring("OUT", OUT)
    first, second = (bench.ring(name, slots=8).writer("source") for name in ("RB_1", "RB_2"))
    config = {"max_wait": "20 ms", "keep": {"incomplete": True}}
    with Child(build_in_child, bench, config):
        for counter in range(50):
            put(first, counter)
        first.close()
        second.close()
    assert content(out)["counter"].tolist() == list(range(50))


def test_without_room_the_lowest_events_are_given_up_long_before_the_limit(bench):
    out = bench.ring("OUT", OUT)
    first, second = (bench.ring(name).writer("source") for name in ("RB_1", "RB_2"))
    config = {"max_wait": "1 h", "max_pending": 8, "keep": {"incomplete": True}}
    with Child(build_in_child, bench, config), out.reader("Fkt_3", "test") as reader:
        for counter in range(50):
            put(first, counter)
        for counter in range(42):
            assert reader.get() is not None
            assert reader.counter == counter
        first.close()
        second.close()


def build_in_child(bench: Bench, config):
    rings = {name: type(ring).attach(ring.segment) for name, ring in bench.rings.items()}
    readers = [rings[name].reader("Fkt_3", "it") for name in ("RB_1", "RB_2")]
    work(bench, config, readers, rings["OUT"].writer("it"))


def test_options_that_do_not_fit_are_refused_in_the_function_too(bench):
    bench.fill("RB_1", [])
    bench.fill("RB_2", [])
    with pytest.raises(BuildError, match="needs a window"):
        bench.build({"by": "time"})


def test_a_stray_time_is_no_number_and_kills_nobody(bench):
    for name in ("RB_1", "RB_2"):
        with bench.ring(name).writer("source") as writer:
            for i, stamp in enumerate((1e9, float("inf"), 1e9 + 2, 1e9 + 3)):
                writer.put(np.zeros(1, HIT)[0], i, stamp, -1.0)
    found = bench.build({"by": "time", "window": "1 us", "keep": ALL}, OUT)
    check_books(bench.figures)
    assert sum(bench.figures["events"].values()) == len(found)
    assert {1e9, 1e9 + 2, 1e9 + 3} <= set(found["timestamp"][found["sources"] == 3].tolist())
