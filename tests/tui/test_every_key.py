"""Every key of every screen in every state of a run: what looks touches nothing, and every dialog can be left.

Which command is possible when is in test_commands.
"""

import pytest
from textual import events

from mimodaq.protocol.states import State
from mimodaq.tui._keys import PANES, keys_of
from mimodaq.tui.simulated import SimulatedFeed, demo_setup
from tui.console import console, in_a_loop

TERMINAL = {"edit"}
"""Needs the terminal for an editor."""
OPENING = {"details", "filter", "apply", "go"}
"""May open a dialog or another screen."""


@pytest.mark.parametrize("state", State)
@in_a_loop
async def test_keys_that_look_touch_nothing(state, tmp_path):
    feed = SimulatedFeed(state=state)
    async with console(feed, size=(80, 24), folder=tmp_path, setup_file=demo_setup()) as seat:
        await seat.wait(1)
        for pane in PANES:
            await seat.pilot.press(pane.digit)
            keys = [key for key in keys_of(pane.name) if key.action not in TERMINAL]
            for letter in [letter for key in keys if key.action not in OPENING for letter in key.keys.split(",")]:
                seat.app.post_message(events.Key(letter, None))
            await seat.settle()
            assert not seat.dialog, pane.name
            for letter in [letter for key in keys if key.action in OPENING for letter in key.keys.split(",")]:
                await seat.press(letter)
                await seat.pilot.press("escape")
                assert not seat.dialog, (pane.name, letter)
            assert seat.app.pane.id in {pane.name, "overview"}
            assert feed.control.state is state


@in_a_loop
async def test_marks_help_and_palette_are_there_in_every_state_and_close_with_escape():
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(feed, size=(80, 24)) as seat:
        for state in State:
            feed.control.state = state
            await seat.wait(1)
            for letter, dialog in (("m", "AskText"), ("question_mark", "Shown"), ("colon", "CommandPalette")):
                await seat.press(letter)
                assert seat.dialog == dialog, state
                await seat.press("escape")
                assert (seat.dialog, feed.control.state) == ("", state)


@pytest.mark.parametrize("key", ["r", "x", "X", "f9"])
@in_a_loop
async def test_a_dialog_follows_what_happens_behind_it(key):
    before = State.CONFIGURED if key == "r" else State.RUNNING
    feed = SimulatedFeed(state=before)
    async with console(feed) as seat:
        await seat.wait(1)
        await seat.press(key)
        assert seat.dialog
        feed.control.state = State.ERROR if key != "f9" else State.IDLE
        await seat.wait(2)
        assert "ERROR" in seat.lines[0] or key == "f9"
        answers = {"r": ["f5"], "x": ["y"], "X": [*"42", "enter", "enter"], "f9": ["escape"]}[key]
        await seat.press(*answers)
        assert feed.control.state in {State.ERROR, State.IDLE}, "a command was sent that is not possible any more"
