"""Every command in every state: offered when it is legal, explained when it is not, never carried out by accident."""

from dataclasses import replace

import pytest

from mimodaq.protocol.charge import Charge
from mimodaq.protocol.messages import Ask
from mimodaq.protocol.states import OURS, RULES, CommandTable, State, table
from mimodaq.tui._keys import COMMANDS, footer_keys, possible
from mimodaq.tui._model import Model
from mimodaq.tui.feed import FeedError
from mimodaq.tui.simulated import Fault, SimulatedFeed, What, _reporter
from tui.console import console, in_a_loop
from tui.pages import follow

DIALOGS = {"start": "StartRun", "stop": "Confirm", "abort": "TypeToConfirm", "reset": "TypeToConfirm"}


def footer(seat):
    return seat.lines[-1]


@pytest.mark.parametrize("state", State)
@in_a_loop
async def test_a_key_does_what_the_state_allows_and_else_says_why_not(state):
    async with console(SimulatedFeed(state=state), size=(200, 40)) as seat:
        assert offered(seat) == [
            key.command for key in COMMANDS if state in RULES[key.command].legal - rare(key, state)
        ]
        for key in COMMANDS:
            if {"pause": State.PAUSED, "resume": State.RUNNING}.get(key.command) is state:
                continue  # the same key is that of the other command now
            for pressed in key.keys.split(","):
                await seat.press(pressed)
                if state not in RULES[key.command].legal:
                    assert not seat.dialog, pressed
                    assert f"is not possible while {state.value}" in footer(seat)
                elif key.command in DIALOGS:
                    assert seat.dialog == DIALOGS[key.command], pressed
                    await seat.press("escape")
                    assert (seat.dialog, seat.state) == ("", state)
                else:
                    await seat.until(lambda key=key: seat.state is RULES[key.command].result)
                    seat.feed.control.state = state
                    await seat.wait(1)


def rare(key, state):
    """States in which a command is legal, but not worth a place in the footer."""
    return {state} if key.command in {"arm", "reset"} and state not in {State.CONFIGURED, State.ERROR} else set()


def offered(seat):
    return [key.command for key in COMMANDS if f"{key.shown} {key.label} " in footer(seat)]


@pytest.mark.parametrize("state", State)
def test_the_footer_offers_what_is_legal_in_every_state(state):
    feed = SimulatedFeed(state=state)
    model = Model()
    follow(model, feed, 2)
    keys = [key for key, _ in footer_keys("overview", model.snapshot, OURS, "anna", True, False)]
    legal = {key.shown for key in COMMANDS if state in RULES[key.command].legal - rare(key, state)}
    assert legal == {key for key in keys if key in {one.shown for one in COMMANDS}}
    assert ("m" in keys) == state.is_in_run
    watching = [key for key, _ in footer_keys("overview", model.snapshot, OURS, "wall", False, False)]
    assert not {*watching} & {*legal, "m", "c"}


def test_a_run_with_a_lost_node_can_be_stopped():
    feed = SimulatedFeed(state=State.PAUSED)
    model = Model()
    follow(model, feed, 2)
    snapshot = model.snapshot
    lost = replace(snapshot, cluster=replace(snapshot.cluster, state=State.OFFLINE))
    assert {"x", "X", "m"} <= {key for key, _ in footer_keys("overview", lost, OURS, "anna", True, False)}
    assert possible("stop", lost, OURS, "anna", True) is None
    assert possible("pause", lost, OURS, "anna", True) is not None


@in_a_loop
async def test_keys_follow_the_table_of_the_broker_that_is_there(monkeypatch):
    feed = SimulatedFeed(state=State.RUNNING)
    published = table()
    next(one for one in published["commands"] if one["name"] == "stop")["why_not"]["running"] = "stop: not today"
    other = CommandTable.of(published)
    async with console(feed, size=(200, 40)) as seat:
        await seat.wait(2)
        assert "stop" in offered(seat)
        feed.commands = answers(other)
        monkeypatch.setattr(_reporter, "_EPOCH", _reporter._EPOCH + 1)
        await seat.until(lambda: seat.app.model.commands is other)
        assert offered(seat) == ["pause", "abort"]
        await seat.press("x")
        assert (seat.dialog, "stop: not today" in footer(seat)) == ("", True)


def answers(value):
    async def answer():
        return value

    return answer


@in_a_loop
async def test_a_table_that_cannot_be_had_is_asked_for_again():
    feed = SimulatedFeed(state=State.RUNNING)
    asked = []

    async def commands():
        asked.append(len(asked))
        if len(asked) == 1:
            raise FeedError("the broker is gone")
        return OURS

    feed.commands = commands
    async with console(feed) as seat:
        await seat.until(lambda: len(asked) == 2)
        await seat.wait(3)
        assert len(asked) == 2


@in_a_loop
async def test_a_run_from_start_to_end():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r")
        assert "✓ 3 of 3 nodes there" in seat.text
        await seat.press(*"cosmics", "f5")
        await seat.until(lambda: seat.state is State.RUNNING)
        await seat.wait(2)
        assert "● RUNNING  run 42" in seat.lines[0]
        assert "you have control" in seat.lines[1]
        assert "start: done in" in footer(seat)
        await seat.press("p")
        await seat.until(lambda: seat.state is State.PAUSED)
        assert "‖ PAUSED" in seat.lines[0]
        await seat.press("p")
        await seat.until(lambda: seat.state is State.RUNNING)
        await seat.press("x", "y")
        await seat.until(lambda: seat.state is State.CONFIGURED)
        runs = await seat.feed.runs()
        assert (runs[0].run, runs[0].comment, runs[0].verdict) == (42, "cosmics", "good")


@in_a_loop
async def test_enter_never_starts_and_never_stops():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r", *["enter"] * 5)
        assert seat.dialog == "StartRun"
        await seat.press("enter")
        assert (seat.dialog, seat.state) == ("", State.CONFIGURED)
    async with console() as seat:
        await seat.press("x", "enter")
        assert (seat.dialog, seat.state) == ("", State.RUNNING)
        await seat.press("X", "enter", "enter")
        assert (seat.dialog, seat.state) == ("", State.RUNNING)


@pytest.mark.parametrize("typed", ["", "4", "43", "y", "422"])
@in_a_loop
async def test_an_abort_needs_the_number_of_the_run(typed):
    async with console() as seat:
        await seat.press("X", *typed, "tab", "tab", "enter")
        await seat.press("escape")
        assert seat.state is State.RUNNING


@in_a_loop
async def test_an_abort_with_the_number_of_the_run_is_carried_out():
    async with console() as seat:
        await seat.press("X", *"42", "enter")
        assert seat.state is State.RUNNING
        await seat.press("enter")
        await seat.until(lambda: seat.state is State.CONFIGURED)
        assert (await seat.feed.runs())[0].verdict == "aborted"


@in_a_loop
async def test_letters_typed_into_a_field_are_no_commands():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r", *"xXpqA1")
        assert seat.dialog == "StartRun"
        assert "xXpqA1" in seat.text


@in_a_loop
async def test_a_start_that_is_not_possible_any_more_is_not_sent():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r")
        other = seat.feed.control
        other.ask("bernd", Ask(1, "start"), lambda answer: None, seat.feed.now())
        await seat.until(lambda: seat.state is State.RUNNING)
        assert "✗" in seat.text
        await seat.press("f5")
        assert seat.dialog == "StartRun"
        await seat.press("escape")
        assert len(await seat.feed.runs()) == 5


@in_a_loop
async def test_a_node_that_is_missing_keeps_a_run_from_starting():
    feed = SimulatedFeed([Fault(0.0, 100.0, What.LOST, "pi-2")], state=State.CONFIGURED)
    async with console(feed) as seat:
        await seat.wait(4)
        await seat.press("r")
        assert "✗ not heard: pi-2" in seat.text
        await seat.press("f5")
        assert (seat.dialog, seat.state) == ("StartRun", State.CONFIGURED)


@in_a_loop
async def test_commands_of_another_operator_are_not_offered_until_control_is_taken():
    feed = SimulatedFeed(state=State.RUNNING)
    feed.control.charge = Charge("bernd", 0.0)
    async with console(feed) as seat:
        await seat.wait(2)
        assert "control: bernd" in seat.lines[1]
        assert "Stop" not in footer(seat)
        assert "c Control…" in footer(seat)
        await seat.press("x")
        assert "bernd is in charge" in footer(seat)
        await seat.press("c")
        assert seat.dialog == "Confirm"
        await seat.press("enter")
        assert feed.control.charge.holder == "bernd"
        await seat.press("c", "y")
        await seat.wait(1)
        assert feed.control.charge.holder == "anna"
        assert "x Stop…" in footer(seat)
        await seat.press("c", "y")
        assert feed.control.charge.holder is None


@in_a_loop
async def test_watching_only_means_no_commands_at_all():
    async with console(SimulatedFeed(state=State.RUNNING, may_command=False)) as seat:
        assert "watching only" in seat.lines[1]
        for key in ("r", "p", "x", "X", "f7", "f9", "c"):
            await seat.press(key)
            assert not seat.dialog
            assert "watching only" in footer(seat)
        assert seat.state is State.RUNNING


@in_a_loop
async def test_without_contact_nothing_is_offered_and_nothing_looks_live():
    async with console() as seat:
        await seat.wait(2)
        seat.feed.reporter.now += 10.0
        seat.app.look()
        await seat.settle()
        assert seat.lines[0].startswith("? NO CONTACT 10 s")
        assert footer(seat).startswith("a Ack  ? Help")
        await seat.press("x")
        assert (seat.dialog, "no contact" in footer(seat)) == ("", True)


@in_a_loop
async def test_a_refusal_is_shown_with_its_reason():
    async with console() as seat:
        await seat.wait(1)
        seat.feed.control.state = State.ERROR  # what we show is a moment old
        await seat.press("p")
        assert "refused: pause is not possible while error: reset first" in footer(seat)


@pytest.mark.parametrize("key", ["q", "f10", "ctrl+q"])
@in_a_loop
async def test_leaving_never_touches_the_run(key):
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(feed) as seat:
        await seat.press(key)
        assert not seat.app.is_running or seat.app._exit
    feed.advance(5.0)
    assert feed.control.state is State.RUNNING
    assert feed.control.run == 42


@in_a_loop
async def test_the_palette_offers_what_is_legal():
    async with console() as seat:
        titles = [command.title for command in seat.app.get_system_commands(seat.app.screen)]
        assert {"Pause", "Stop…", "Abort…"} <= set(titles)
        assert not {"Start…", "Resume", "Arm", "Shutdown…"} & set(titles)


@in_a_loop
async def test_a_shutdown_needs_its_word():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        seat.app.action_shutdown_cluster()
        await seat.settle()
        await seat.press(*"shutdown", "enter", "enter")
        await seat.until(lambda: seat.state is State.OFFLINE)
