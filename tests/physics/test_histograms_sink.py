"""The sink `histograms`: counts, pictures and fit in the run directory."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest

from mimodaq.functions.physics import histograms

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
