"""The sink `histograms`: counts, pictures and fit in the run directory."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.functions.physics import histograms, plot_histograms
from mimodaq.protocol.counts import LIVE, Counts, unpack

FIELDS = np.dtype([("decay_time_us", "<f4", (1,)), ("height", "<i4", (1,)), ("many", "<f4", (3,))])
TIMES = {"decay_time_us": [0, 15, 75, 5, "decay time (µs)", 1]}


def decays(n: int = 800) -> np.ndarray:
    random = np.random.default_rng(3)
    events = np.zeros(n, FIELDS)
    events["decay_time_us"][:, 0] = random.exponential(2.2, n)
    events["height"][:, 0] = random.normal(250, 60, n)
    events["many"] = random.random((n, 3))
    return events


def test_counts_and_pictures_of_all_events_are_written(world) -> None:
    events = decays()
    io = world(reads=events)
    histograms(
        io,
        histograms={**TIMES, "height": [50, 500, 45, 4.0, "height (mV)", 0], "many": [0, 1, 10]},
        title="Muons",
    )
    content = json.loads((io.run_dir / "histograms_Fkt_2.json").read_text(encoding="utf-8"))
    assert content["events"] == 800
    expected = np.histogram(events["decay_time_us"], bins=75, range=(0, 15))[0]
    assert content["histograms"]["decay_time_us"]["counts"] == expected.tolist()
    assert content["histograms"]["decay_time_us"]["label"] == "decay time (µs)"
    assert content["histograms"]["many"]["entries"] == 2400
    assert [path.suffix for path in io.registered] == [".json", ".png", ".svg"]
    assert all(path.stat().st_size > 1000 for path in io.registered)
    assert (io.run_dir / "histograms_Fkt_2.png").read_bytes().startswith(b"\x89PNG")
    assert io.readers[0].released == 800


def test_the_fit_is_drawn_and_noted(world) -> None:
    io = world(reads=decays())
    histograms(io, histograms=TIMES, fit={"field": "decay_time_us", "model": "exponential", "range": [0.2, 14]})
    fit = json.loads((io.run_dir / "histograms_Fkt_2.json").read_text(encoding="utf-8"))["fit"]
    assert abs(fit["tau"] - 2.2) < 4 * fit["tau_err"]
    assert (fit["low"], fit["high"]) == (pytest.approx(0.2), pytest.approx(14))
    assert io.notes["fit"] == fit


def test_equal_events_give_equal_files(world) -> None:
    contents = []
    for _ in range(2):
        io = world(reads=decays())
        histograms(io, histograms=TIMES, fit={"field": "decay_time_us"})
        contents.append([path.read_bytes() for path in io.registered])
    assert contents[0] == contents[1]


def test_a_fit_that_is_not_possible_is_said_not_fatal(world, caplog: pytest.LogCaptureFixture) -> None:
    io = world(reads=decays(5))
    with caplog.at_level(logging.WARNING):
        histograms(io, histograms=TIMES, fit={"field": "decay_time_us"})
    assert "5 events" in io.notes["fit"]["error"]
    assert "no fit of decay_time_us" in caplog.text
    assert len(io.registered) == 3


def test_a_run_without_events_gives_empty_histograms(world) -> None:
    io = world(reads=decays(0))
    histograms(io, histograms={**TIMES, "height": [0, 1, 10]}, filename="empty")
    assert json.loads((io.run_dir / "empty.json").read_text(encoding="utf-8"))["events"] == 0
    assert (io.run_dir / "empty.svg").exists()


def test_without_matplotlib_the_counts_are_still_written(
    world, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    io = world(reads=decays())
    with caplog.at_level(logging.WARNING):
        histograms(io, histograms=TIMES)
    assert [path.name for path in io.registered] == ["histograms_Fkt_2.json"]
    assert [record.message for record in caplog.records] == [
        "histograms: matplotlib is missing, no picture is drawn: pip install mimodaq[plot]"
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "no histogram is asked for"),
        ({"histograms": {"heights": [0, 1, 2]}}, "no field heights; its fields are decay_time_us, height, many"),
        ({"histograms": {"height": [5, 1, 2]}}, "histogram of height"),
        ({"histograms": TIMES, "fit": {"field": "height"}}, "fit"),
        ({"histograms": TIMES, "fit": {"field": "decay_time_us", "model": "gauss"}}, "fit"),
        ({"histograms": TIMES, "fit": {"field": "decay_time_us", "limits": [0, 1]}}, "fit"),
        ({"histograms": TIMES, "fit": {"field": "decay_time_us", "range": 3}}, "fit"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_first_event(world, options: dict, named: str) -> None:
    io = world(reads=decays())
    with pytest.raises(ValueError, match=named):
        histograms(io, **options)
    assert io.readers[0].taken == 0


def test_several_processes_would_each_see_a_part(world) -> None:
    with pytest.raises(ValueError, match="num_process: 1"):
        histograms(world(reads=decays(), processes=2), histograms=TIMES)


# -- during the run -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes its time, and the counts are what counts here."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def live(folder: Path) -> Counts:
    return unpack((folder / LIVE / "Fkt_2[0].counts").read_bytes())


@pytest.mark.usefixtures("no_pictures")
def test_others_can_look_at_the_counts_while_they_fill(world, tmp_path: Path) -> None:
    events = decays()
    io = world(reads=events, run_folder=tmp_path)
    seen = []
    take = io.readers[0].take

    def take_and_look(n: int, timeout: float | None = None) -> object:
        if io.readers[0].released:
            seen.append((io.readers[0].released, live(tmp_path)))
        return take(n, timeout)

    io.readers[0].take = take_and_look
    histograms(io, histograms=TIMES, title="Muons")
    assert len(seen) > 50
    for released, counts in seen:
        assert counts.events == released
        assert counts.of("decay_time_us").histogram.entries == released
    last = live(tmp_path)
    assert (last.function, last.ring, last.title) == ("Fkt_2", "RB_1", "Muons")
    assert (last.events, last.is_final, last.is_sample) == (800, True, False)
    assert not seen[-1][1].is_final
    field = last.of("decay_time_us")
    assert (field.label, field.top, field.is_log) == ("decay time (µs)", 5.0, True)
    assert [path.name for path in (tmp_path / LIVE).iterdir()] == ["Fkt_2[0].counts"]


class Killed(Exception):
    """Stands for the death of the process: nothing after it is carried out."""


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("place", ["taken", "counted"])
def test_a_process_that_is_started_again_counts_no_event_twice_and_none_never(
    world, tmp_path: Path, place: str
) -> None:
    events = decays()
    first = world(reads=events, run_folder=tmp_path)
    reader = first.readers[0]

    def die(*_: object) -> None:
        if reader.taken > 400:
            raise Killed
        reader.released = reader.taken

    if place == "counted":
        reader.release = die
    else:
        numbers = reader.sequences
        reader.sequences = lambda n: die() or numbers(n)
    with pytest.raises(Killed):
        histograms(first, histograms=TIMES)
    assert 0 < reader.released < 410

    second = world(reads=events, run_folder=tmp_path)
    second.readers[0]._at = reader.released  # what was not released is handed out again
    second.readers[0]._most = [1, 1, 1, 5]  # in other batches
    histograms(second, histograms=TIMES)
    content = json.loads((second.run_dir / "histograms_Fkt_2.json").read_text(encoding="utf-8"))
    assert content["events"] == live(tmp_path).events == 800
    expected = np.histogram(events["decay_time_us"], bins=75, range=(0, 15))[0]
    assert content["histograms"]["decay_time_us"]["counts"] == expected.tolist()
    assert content["histograms"]["decay_time_us"]["mean"] == pytest.approx(
        events["decay_time_us"][events["decay_time_us"] < 15].mean(), rel=1e-5
    )


@pytest.mark.usefixtures("no_pictures")
def test_events_that_another_member_of_the_group_gave_back_are_counted_although_they_are_late(
    world, tmp_path: Path
) -> None:
    for begin in (100, 0):  # of two processes
        io = world(reads=decays(200), run_folder=tmp_path)
        io.readers[0]._at = begin
        io.readers[0]._events = io.readers[0]._events[: begin + 100]
        histograms(io, histograms=TIMES)
    assert live(tmp_path).events == 200


@pytest.mark.usefixtures("no_pictures")
def test_a_process_may_die_again_before_all_was_handed_out_once_more(world, tmp_path: Path) -> None:
    events = decays(20)
    for begin, end, batch in ((0, 8, 8), (0, 3, 1)):  # dies with 8 in hand, then with the last of 3 of these
        io = world(reads=events[:end], run_folder=tmp_path)
        reader = io.readers[0]
        reader._at, reader._most = begin, [batch]

        def release(n: int | None = None, reader: Any = reader, end: int = end) -> None:
            if reader.taken == end:
                raise Killed

        reader.release = release
        with pytest.raises(Killed):
            histograms(io, histograms=TIMES)
    last = world(reads=events, run_folder=tmp_path)
    last.readers[0]._at = 2
    histograms(last, histograms=TIMES)
    assert live(tmp_path).events == 20
    assert live(tmp_path).of("decay_time_us").histogram.entries == 20


@pytest.mark.usefixtures("no_pictures")
def test_counts_that_cannot_be_shown_are_counted_all_the_same(
    world, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    io = world(reads=decays(), run_folder=tmp_path / "gone")
    with caplog.at_level(logging.WARNING):
        histograms(io, histograms=TIMES)
    assert caplog.text.count("nobody can look at the counts during the run") == 1
    assert json.loads((io.run_dir / "histograms_Fkt_2.json").read_text(encoding="utf-8"))["events"] == 800


@pytest.mark.usefixtures("no_pictures")
def test_counts_that_cannot_be_read_again_are_said_to_be_lost(
    world, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LIVE).mkdir()
    (tmp_path / LIVE / "Fkt_2[0].counts").write_bytes(b"something else")
    with caplog.at_level(logging.WARNING):
        histograms(world(reads=decays(10), run_folder=tmp_path), histograms=TIMES)
    assert "what was counted before is lost" in caplog.text
    assert live(tmp_path).events == 10


@pytest.mark.usefixtures("no_pictures")
def test_of_a_buffer_that_is_observed_a_sample_is_counted_and_called_so(world, tmp_path: Path) -> None:
    io = world(observes=decays(30), run_folder=tmp_path)
    plot_histograms(io, histograms=TIMES, title="Muons")
    content = json.loads((io.run_dir / "histograms_Fkt_2.json").read_text(encoding="utf-8"))
    assert (content["events"], content["is_sample"]) == (30, True)
    assert content["title"] == "Muons (a sample of the events)"
    assert (live(tmp_path).events, live(tmp_path).is_sample, live(tmp_path).is_final) == (30, True, True)


def test_a_buffer_is_read_or_observed_not_both(world) -> None:
    with pytest.raises(ValueError, match="reads or observes one buffer"):
        histograms(world(reads=decays(), observes=decays()), histograms=TIMES)
