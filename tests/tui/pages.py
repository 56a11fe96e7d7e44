"""Whole pages of lines without a terminal: a model that has followed a simulated experiment, drawn by the renderers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mimodaq.protocol.states import State
from mimodaq.tui._keys import PANES, footer_keys
from mimodaq.tui._model import Model
from mimodaq.tui.render import (
    Choice,
    Line,
    alarm_line,
    footer,
    overview_head,
    overview_line,
    overview_rows,
    screens_line,
    state_bar,
    worst,
)
from mimodaq.tui.setups import read_packed
from mimodaq.tui.simulated import Fault, SimulatedFeed

SNAPSHOTS = Path(__file__).parent / "snapshots"


def followed(faults: Sequence[Fault], seconds: float, state: State = State.RUNNING) -> tuple[Model, SimulatedFeed]:
    """A model that has seen an experiment for some time, one look a second."""
    feed = SimulatedFeed(faults, state=state)
    model = Model()
    if state is not State.IDLE:
        model.know_setup(read_packed(feed._packed))
    follow(model, feed, seconds)
    return model, feed


def follow(model: Model, feed: SimulatedFeed, seconds: float) -> None:
    for _ in range(int(seconds)):
        feed.advance(1.0)
        while not feed._queue.empty():
            message = feed._queue.get_nowait()
            assert message is not None
            model.take(message, feed.now())
        model.look(feed.now(), feed.utc_ns())


def page(model: Model, width: int) -> list[Line]:
    """What the overview shows, with its frame."""
    snapshot = model.snapshot
    names = [(p.digit, p.title if width >= 140 else p.short, p.name == "overview") for p in PANES]
    lines = [state_bar(snapshot, model.bar(), width), screens_line(names, snapshot, "anna", True, width)]
    alarm = alarm_line(model.alarm_list, width)
    lines += [alarm] if alarm else []
    lines.append(overview_head(width))
    rows = overview_rows(snapshot, Choice(), worst(model.alarm_list))
    lines += [overview_line(row, model.history, snapshot, width) for row in rows]
    waits = any(not a.is_acknowledged for a in model.alarm_list)
    keys = list(footer_keys("overview", snapshot, model.commands, "anna", True, waits))
    return [*lines, footer(keys, "", width)]


def assert_is_as_before(name: str, text: str) -> None:
    """Compare with what was shown when the snapshot was written; MIMODAQ_UPDATE_SNAPSHOTS=1 writes it anew."""
    path = SNAPSHOTS / name
    if "MIMODAQ_UPDATE_SNAPSHOTS" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} shows what it was; MIMODAQ_UPDATE_SNAPSHOTS=1 accepts what it is now"
