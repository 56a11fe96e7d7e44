"""Counts through the window of a node: those of functions, and samples that the window takes itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from link.ends import LOCAL, End
from mimodaq.link import LinkError, Window, WindowOrder
from mimodaq.protocol.counts import LIVE, Counts, Wanted
from mimodaq.protocol.histogram import AUTO_BINS
from mimodaq.protocol.link_window import Answer, Budgets, Count, Heard, Limits, Shown
from mimodaq.protocol.link_window_messages import AskCounts, AskSample, Later
from plot.conftest import RunThere, decays, pulses

PATIENCE_S = 30.0


@pytest.fixture
def window(run: RunThere) -> Iterator[Window]:
    """The window of the node on which the run goes on."""
    order = WindowOrder("daq1", LOCAL, {name: ring.segment for name, ring in run.rings.items()})
    path = Path(run.folder.path, "window.json")
    path.write_text(order.encode())
    end = End("window", path).start()
    with Window(end.expect("ready")["endpoint"]) as client:
        yield client
    assert end.terminate() == 0


def sampled(window: Window, ring: str, events: int, *wanted: Wanted) -> Counts:
    """The sample once it holds so many events."""
    give_up = time.monotonic() + PATIENCE_S
    while (counts := window.sample(ring, wanted)).events < events:
        assert time.monotonic() < give_up, f"{counts.events} of {events} events were counted"
    return counts


def test_what_functions_count_is_shown_as_it_is(window: Window, run: RunThere) -> None:
    assert window.counts() == []
    run.count("RB_2", "decay_time", [1.0, 2.0, 11.0], events=3)
    run.count("RB_1", "chA", [5.0], function="Fkt 6", is_sample=True)
    (run.folder.path / LIVE / ".Fkt_7[0].counts").write_bytes(b"being written")
    both = {counts.function: counts for counts in window.counts()}
    assert sorted(both) == ["Fkt 6", "Fkt_5"]
    counted = both["Fkt_5"].of("decay_time")
    assert counted is not None
    assert (counted.histogram.inside, counted.histogram.overflow, counted.label) == (2, 1, "decay time / µs")
    assert (both["Fkt_5"].ring, both["Fkt_5"].events, both["Fkt 6"].is_sample) == ("RB_2", 3, True)
    assert [counts.function for counts in window.counts("Fkt 6")] == ["Fkt 6"]
    assert window.counts("Fkt_") == []


def test_the_window_counts_a_sample_for_who_goes_on_asking(window: Window, run: RunThere) -> None:
    assert run.rings["RB_2"].status().observers == 0
    run.put("RB_2", decays(20))
    counts = sampled(window, "RB_2", 20)
    assert (counts.function, counts.is_sample, counts.is_final) == ("", True, False)
    assert [field.field for field in counts.fields] == ["decay_time", "height"]
    assert counts.fields[0].histogram.bins == AUTO_BINS
    assert counts.fields[0].histogram.mean == pytest.approx(decays(20)["decay_time"].mean())
    assert run.rings["RB_2"].status().observers == 1
    run.put("RB_2", decays(30))
    assert sampled(window, "RB_2", 50).fields[1].histogram.inside == 50
    wanted = Wanted("decay_time", 5, 0.0, 5.0)
    asked = sampled(window, "RB_2", 1, wanted).fields
    assert [(one.field, one.histogram.bins, one.histogram.high) for one in asked] == [("decay_time", 5, 5.0)]
    assert asked[0].histogram.overflow > 0
    window.begin_anew()
    assert window.sample("RB_2").events < 50 + len(decays(30))
    run.rings["RB_2"].declare_ended()
    give_up = time.monotonic() + PATIENCE_S
    while not window.sample("RB_2").is_final:
        assert time.monotonic() < give_up


def test_of_waveforms_the_height_is_counted(window: Window, run: RunThere) -> None:
    run.put("RB_1", pulses(10, height=120.0))
    (field,) = sampled(window, "RB_1", 10).fields
    assert (field.field, field.label) == ("chA", "height of chA")
    assert field.histogram.mean == pytest.approx(120.0)


def test_what_cannot_be_counted_is_refused_with_the_reason(window: Window, run: RunThere) -> None:
    with pytest.raises(LinkError, match="has no ring 'RB_9'; it has RB_1, RB_2"):
        window.sample("RB_9")
    with pytest.raises(LinkError, match="no field 'energy'; there are decay_time, height"):
        window.sample("RB_2", [Wanted("energy")])
    for number in range(32):
        window.sample("RB_2", [Wanted("height", 1 + number, 0.0, 1.0)])
    with pytest.raises(LinkError, match="32 samples are taken here already"):
        window.sample("RB_2")
    run.rings["RB_2"].close()
    give_up = time.monotonic() + PATIENCE_S
    said: list[str] = []
    while sum("aborted" in text for text in said) < 3:  # those that are taken are forgotten first
        try:
            window.sample("RB_2")
        except LinkError as error:
            said.append(str(error))
        assert time.monotonic() < give_up, said[-1:]
    run.put("RB_1", pulses(5))
    assert sampled(window, "RB_1", 5).fields[0].histogram.inside == 5  # the window goes on


def test_counts_that_do_not_fit_into_an_answer_are_asked_for_one_by_one(window: Window, run: RunThere) -> None:
    from mimodaq.protocol.counts import FieldCounts, pack
    from mimodaq.protocol.histogram import Histogram

    large = tuple(FieldCounts(name, Histogram(0.0, 1.0, 100_000)) for name in "abc")
    (run.folder.path / LIVE).mkdir()
    for function in ("Fkt_5", "Fkt_6"):
        raw = pack(Counts(function, "RB_2", large))
        (run.folder.path / LIVE / f"{function}[0].counts").write_bytes(raw)
    with pytest.raises(LinkError, match="ask for one function"):
        window.counts()
    assert window.counts("Fkt_6")[0].of("c") is not None


@pytest.mark.parametrize("ask", [AskCounts(1, ""), AskSample(1, "RB_1", "", 0)])
def test_counts_are_paid_for_like_events(ask: AskCounts | AskSample) -> None:
    budgets = Budgets("daq1", Limits(bytes_per_s=1000.0))

    def hear(now: float) -> object:
        (effect,) = budgets.handle(Heard(b"p", "a", ask), now)
        return effect

    assert hear(0.0) == Count(b"p", "a", ask)
    budgets.handle(Shown("a", 0, 3000), 0.0)
    assert hear(0.0) == Answer(b"p", Later(1, 2001))
    assert hear(2.5) == Count(b"p", "a", ask)
    assert budgets.figures.size_bytes == 3000


def test_a_worker_has_nothing_to_do_for_who_looks_on(window: Window, run: RunThere) -> None:
    run.count("RB_2", "decay_time", np.arange(10.0), events=10)
    before = (run.folder.path / LIVE / "Fkt_5[0].counts").stat()
    for _ in range(20):
        window.counts()
    after = (run.folder.path / LIVE / "Fkt_5[0].counts").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
