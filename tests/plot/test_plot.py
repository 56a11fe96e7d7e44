"""`mimodaq plot` on a run of this computer: what is found, what is shown, what is said when it is not possible."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimodaq.client import _plot
from mimodaq.client._cluster_commands import Where
from mimodaq.client._plot import Feeder, PlotRequest, plot
from mimodaq.client._plot_pictures import Binning, Histograms, Waveforms
from mimodaq.client._plot_sources import HereSource
from mimodaq.client.session import SessionError
from mimodaq.functions.physics import Message, Screen
from mimodaq.node import RunHere, runs_here
from plot.conftest import RunThere, decays, pulses

NOWHERE = Where("127.0.0.1:9")
PATIENCE_S = 60.0


def here(run: RunThere) -> RunHere:
    return next(one for one in runs_here() if one.folder == run.folder.path)


def source(run: RunThere, buffer: str) -> HereSource:
    return HereSource(here(run), buffer)


def command(run: RunThere, **more: Any) -> int:
    """As typed with --run, so that other runs on this computer do not matter."""
    return plot(NOWHERE, False, PlotRequest(run=str(run.directory), **more))


# -- pictures in files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_newest_event_is_written_as_a_picture(run: RunThere, tmp_path: Path, suffix: str, capsys) -> None:
    run.put("RB_1", pulses(5))
    path = tmp_path / f"wave.{suffix}"
    assert command(run, buffer="RB_1", png=path) == 0
    assert path.read_bytes()[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]
    told = capsys.readouterr()
    assert f"RB_1 of run {run.number} on this computer, {run.directory}" in told.err
    assert told.out == ""


def test_a_buffer_of_numbers_is_shown_as_histograms(run: RunThere, tmp_path: Path) -> None:
    run.put("RB_2", decays(30))
    assert command(run, buffer="RB_2", png=tmp_path / "all.png") == 0
    assert (tmp_path / "all.png").stat().st_size > 5000


def test_nobody_waits_for_who_looks_on(run: RunThere, tmp_path: Path) -> None:
    run.put("RB_1", pulses(5))
    assert command(run, buffer="RB_1", png=tmp_path / "wave.png") == 0
    assert run.rings["RB_1"].status().observers == 0
    run.put("RB_1", pulses(100))
    assert run.rings["RB_1"].status().waited_s == 0.0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"buffer": "RB_9"}, "has no buffer 'RB_9'; it has RB_1, RB_2"),
        ({"buffer": "RB_2", "fields": ("energy",)}, "RB_2 has no field 'energy'; it has decay_time, height"),
        ({"buffer": "RB_2", "fields": ("height",), "bins": 0}, "--bins 0"),
        ({"buffer": "RB_2", "fields": ("height",), "range": (3.0, 1.0)}, "--range 3 1"),
        ({"buffer": "RB_2", "png": Path("a.nothing")}, "a.nothing: Format 'nothing' is not supported"),
        ({"buffer": "RB_2", "png": Path("no/such/folder.png")}, "writing the picture"),
    ],
)
def test_what_is_not_possible_is_said_in_a_sentence(run: RunThere, more: dict[str, Any], said: str, capsys) -> None:
    run.put("RB_2", decays(3))
    assert command(run, **{"png": Path("x.png"), **more}) == 2
    assert said in capsys.readouterr().err


def test_without_a_display_the_remedy_is_named(run: RunThere, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert command(run, buffer="RB_1") == 2
    assert "--png FILE" in capsys.readouterr().err


def test_a_buffer_without_events_is_not_waited_for_for_ever(
    run: RunThere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setattr(_plot, "_PATIENCE_S", 0.1)
    assert command(run, buffer="RB_1", png=tmp_path / "x.png") == 2
    assert "no event has come to RB_1" in capsys.readouterr().err
    run.rings["RB_1"].declare_ended()
    assert command(run, buffer="RB_1", png=tmp_path / "x.png") == 2
    assert f"run {run.number} has ended and no event was seen in RB_1" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_a_run_that_does_not_go_on_here_is_named_with_those_that_do(run: RunThere, capsys) -> None:
    assert plot(NOWHERE, False, PlotRequest("RB_1", run="4711", png=Path("x.png"))) == 2
    assert "no run 4711 goes on on this computer; there are" in capsys.readouterr().err


# -- what is shown -------------------------------------------------------------------------------------------------


def traces(message: Message | None) -> dict[str, Any]:
    assert message is not None
    return {name: np.asarray(values) for name, (_, values) in message["traces"].items()}


def test_waveforms_are_in_the_units_of_the_setup(run: RunThere) -> None:
    looking = source(run, "RB_1")
    pictures = Waveforms(looking)
    assert pictures.next() is None
    run.put("RB_1", pulses(3, height=100.0))
    message = pictures.next()
    assert message is not None
    style = message["style"]
    assert (style["sample_time_ns"], style["pre_trigger_samples"]) == (4.0, 50)
    assert (style["trigger_level"], style["unit"], style["trigger_text"]) == (30.0, "mV", "Trigger 30 mV")
    assert traces(message)["chA"].max() == 100.0
    assert message["text"].startswith("event 2 ")
    assert pictures.next() is None
    looking.close()


COUNTS: dict[str, Any] = {
    "RingBuffer": [{"RB_1": {"number_of_slots": 16, "channel_per_slot": 200, "data_type": {1: ["chA", "int16"]}}}],
    "Functions": [
        {
            "Fkt_1": {
                "function": "picoscope",
                "RB_assign": {"RB_1": "write"},
                "config": {
                    "driver": "simulate",
                    "family": "ps3000a",
                    "sample_interval": "8 ns",
                    "pre_trigger": "25 %",
                    "channels": {"A": {"range": "1 V", "offset": "-900 mV"}},
                    "trigger": {"source": "A", "level": "20 mV", "edge": "falling"},
                },
            }
        },
        {"Fkt_2": {"function": "drain", "RB_assign": {"RB_1": "read"}}},
    ],
}


def test_counts_of_a_scope_are_shown_in_volts(new_run: Callable[..., RunThere]) -> None:
    run = new_run(COUNTS)
    events = np.zeros(1, np.dtype([("chA", "<i2", (200,))]))
    events["chA"][:, 100] = 32512
    run.put("RB_1", events)
    looking = source(run, "RB_1")
    message = Waveforms(looking).next()
    assert message is not None
    style = message["style"]
    assert (style["sample_time_ns"], style["pre_trigger_samples"], style["unit"]) == (8.0, 50, "V")
    assert style["trigger_text"] == "Trigger A 0.02 V falling"
    values = traces(message)["chA"]
    assert (values.min(), values.max()) == (pytest.approx(0.9), pytest.approx(1.9))
    looking.close()


def test_without_a_setup_samples_are_shown_as_they_are(run: RunThere) -> None:
    (run.directory / "setup.resolved.yaml").unlink()
    run.put("RB_1", pulses(1))
    looking = source(run, "RB_1")
    message = Waveforms(looking).next()
    assert message is not None
    assert (message["style"]["sample_time_ns"], message["style"]["unit"]) == (None, "")
    looking.close()


ANY = Binning()


def shown(looking: HereSource, *fields: str, binning: Binning = ANY) -> dict[str, tuple[str, int]]:
    """For each histogram who has counted and how many."""
    message = Histograms(looking, fields, binning).next()
    assert message is not None
    items = message["items"]
    return {field: (one["note"], one["histogram"]["entries"]) for field, one in zip(fields, items, strict=True)}


def test_a_function_of_the_run_is_asked_before_a_sample_is_taken(run: RunThere) -> None:
    run.put("RB_2", decays(30))
    run.count("RB_2", "decay_time", np.arange(5000) % 10, events=5000)
    run.count("RB_1", "height", np.arange(7), function="Fkt_6")
    looking = source(run, "RB_2")
    assert shown(looking, "decay_time", "height") == {
        "decay_time": ("every event (Fkt_5)", 5000),
        "height": ("a sample", 30),
    }
    run.count("RB_2", "decay_time", np.arange(6000) % 10, events=6000, is_sample=True)
    assert shown(looking, "decay_time") == {"decay_time": ("a sample", 6000)}
    looking.close()


def test_other_bins_than_those_of_the_function_are_filled_from_a_sample(run: RunThere) -> None:
    run.put("RB_2", decays(30))
    run.count("RB_2", "decay_time", np.arange(5000) % 10, events=5000)
    looking = source(run, "RB_2")
    for binning, expected in (
        (Binning(20, (0.0, 10.0)), ("every event (Fkt_5)", 5000)),
        (Binning(20), ("every event (Fkt_5)", 5000)),
        (Binning(40), ("a sample", 30)),
        (Binning(20, (0.0, 5.0)), ("a sample", 30)),
    ):
        assert shown(looking, "decay_time", binning=binning) == {"decay_time": expected}
    looking.close()


# -- the window ----------------------------------------------------------------------------------------------------


def until(feeder: Feeder, screen: Screen, holds: Callable[[], bool]) -> None:
    """Take what the feeder hands over until something is so."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        message = feeder.arriving.get(timeout=PATIENCE_S)
        assert message is not None
        screen.take(message)
        assert time.monotonic() < give_up


def test_the_window_waits_follows_and_shows_the_end_of_the_run(run: RunThere) -> None:
    screen = Screen()
    feeder = Feeder(source(run, "RB_1"), PlotRequest("RB_1"))
    until(feeder, screen, lambda: "waiting" in screen.note)
    run.put("RB_1", pulses(1))
    until(feeder, screen, lambda: screen.message is not None)
    until(feeder, screen, lambda: screen.note == "")
    run.put("RB_1", pulses(1, height=7.0))
    until(feeder, screen, lambda: traces(screen.message)["chA"].max() == 7.0)
    run.rings["RB_1"].declare_ended()
    until(feeder, screen, lambda: screen.note == f"run {run.number} has ended")
    assert traces(screen.message)["chA"].max() == 7.0
    feeder.stop()
    assert run.rings["RB_1"].status().observers == 0


def test_an_aborted_run_is_called_so(run: RunThere) -> None:
    screen = Screen()
    feeder = Feeder(source(run, "RB_1"), PlotRequest("RB_1"))
    run.rings["RB_1"].close()
    until(feeder, screen, lambda: screen.note == f"run {run.number} was aborted")
    feeder.stop()


def test_counts_stay_when_the_run_and_its_folder_have_gone(new_run: Callable[..., RunThere]) -> None:
    run = new_run()
    run.count("RB_2", "decay_time", np.arange(100) % 10, events=100)
    screen = Screen()
    feeder = Feeder(source(run, "RB_2"), PlotRequest("RB_2", ("decay_time",)))
    until(feeder, screen, lambda: screen.message is not None)
    shutil.rmtree(run.folder.path)
    until(feeder, screen, lambda: screen.note == f"run {run.number} has ended")
    assert screen.message is not None
    assert screen.message["items"][0]["histogram"]["entries"] == 100
    feeder.stop()


def test_closing_the_window_ends_the_looking_at_once(run: RunThere) -> None:
    feeder = Feeder(source(run, "RB_1"), PlotRequest("RB_1"))
    feeder.stop()
    assert run.rings["RB_1"].status().observers == 0
    run.put("RB_1", pulses(30))


def test_trouble_is_shown_and_goes_away(run: RunThere) -> None:
    looking, screen = source(run, "RB_1"), Screen()
    event = looking.event
    trouble = ["no answer from daq1"] * 2

    def sometimes() -> object:
        if trouble:
            raise SessionError(trouble.pop())
        return event()

    looking.event = sometimes  # type: ignore[method-assign,assignment]
    run.put("RB_1", pulses(1))
    feeder = Feeder(looking, PlotRequest("RB_1"))
    until(feeder, screen, lambda: screen.note == "no answer from daq1")
    until(feeder, screen, lambda: screen.message is not None and screen.note == "")
    feeder.stop()
