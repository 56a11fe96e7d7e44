"""What can be chosen before a start, and that nothing else is changed by it."""

import pytest
from textual.events import Key
from textual.widgets import Input

from mimodaq.config import change_setup, load_setup, load_unpacked, pack_setup, unpack_setup
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import State
from mimodaq.tui._wishes import Change, WishError, Wishes, as_configured, change_of
from mimodaq.tui.feed import Choices
from mimodaq.tui.setups import read_packed
from mimodaq.tui.simulated import SimulatedFeed, demo_setup
from tui.console import console, in_a_loop

SETUP = load_setup(demo_setup())
LIMITED = load_setup(demo_setup(), ["runtime=2 h", "runevents=1000"])


def test_what_is_configured_stands_in_the_fields():
    assert as_configured(SETUP, Choices()) == Wishes("", "", "", "pause")
    assert as_configured(LIMITED, Choices(("pi-1",), OnLoss.STOP)) == Wishes("2 h", "1000", "pi-1", "stop")


@pytest.mark.parametrize("setup", [SETUP, LIMITED])
def test_fields_that_are_left_alone_change_nothing(setup):
    choices = Choices(("pi-2", "pi-1"), OnLoss.STOP)
    assert change_of(as_configured(setup, choices), setup, choices) is None


@pytest.mark.parametrize(
    ("wishes", "change"),
    [
        (Wishes("90 min", "", "", "pause"), Change(("runtime=5400",), (), OnLoss.PAUSE, "stop after 90 min")),
        (Wishes("90", "", "", "pause"), Change(("runtime=90",), (), OnLoss.PAUSE, "stop after 90 s")),
        (Wishes("", "5,000", "", "pause"), Change(("runevents=5000",), (), OnLoss.PAUSE, "stop after 5,000 events")),
        (Wishes("", "", "pi-2, pi-1", "pause"), Change((), ("pi-2", "pi-1"), OnLoss.PAUSE, "optional: pi-2, pi-1")),
        (Wishes("", "", "", " Stop "), Change((), (), OnLoss.STOP, "a lost host stops the run")),
    ],
)
def test_what_is_typed_is_configured_and_said(wishes, change):
    assert change_of(wishes, SETUP, Choices()) == change


def test_an_emptied_field_is_no_limit():
    found = change_of(Wishes("", "", "", "pause"), LIMITED, Choices(("pi-1",)))
    assert found == Change(
        ("runtime=0", "runevents=0"), (), OnLoss.PAUSE, "no limit of time; no limit of events; optional: no host"
    )


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes("soon", "", "", "pause"), "stop after: expected a number"),
        (Wishes("-2 h", "", "", "pause"), "a time such as 2 h"),
        (Wishes("0", "", "", "pause"), "a time such as 2 h"),
        (Wishes("2 V", "", "", "pause"), "is a voltage"),
        (Wishes("", "5k", "", "pause"), "stop after 5k events: a whole number"),
        (Wishes("", "0", "", "pause"), "a whole number"),
        (Wishes("", "", "pi-3", "pause"), "the setup has no host pi-3; it has pi-1, pi-2, daq1"),
        (Wishes("", "", "", "panic"), "a lost host: pause or stop, not 'panic'"),
        (Wishes("", "", "", ""), "a lost host: pause or stop"),
    ],
)
def test_what_cannot_be_understood_is_explained(wishes, message):
    with pytest.raises(WishError, match=message):
        change_of(wishes, SETUP, Choices())


def test_a_changed_bundle_differs_in_nothing_but_what_was_changed(tmp_path):
    raw = pack_setup(demo_setup())
    changed = change_setup(raw, ["runtime=60"])
    unpack_setup(changed, tmp_path / "changed")
    unpack_setup(raw, tmp_path / "before")
    after, before = load_unpacked(tmp_path / "changed"), load_unpacked(tmp_path / "before")
    assert (before.duration_s, after.duration_s) == (None, 60.0)
    assert (after.buffers, after.hosts, after.output_directory) == (
        before.buffers,
        before.hosts,
        before.output_directory,
    )
    assert [f.config for f in after.functions.values()] == [f.config for f in before.functions.values()]
    written = "as_written/setup.yaml"
    assert (tmp_path / "changed" / written).read_bytes() == (tmp_path / "before" / written).read_bytes()
    assert change_setup(raw, []) == raw


@in_a_loop
async def test_limits_and_choices_are_configured_and_then_the_run_starts():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r", *"cosmics", "tab", *"2 h", "tab", *"5000", "tab", *"pi-2", "tab")
        field = seat.app.screen.query_one("#on_loss", Input)
        assert field.value == "pause"
        await seat.press(*["backspace"] * 5, *"stop")
        assert "✓ will be configured before: stop after 2 h; stop after 5,000 events" in seat.text
        await seat.press("f5")
        await seat.until(lambda: seat.state is State.RUNNING)
        control = seat.feed.control
        assert (control.optional, control.on_loss) == (("pi-2",), OnLoss.STOP)
        setup = read_packed(await seat.feed.setup())
        assert (setup.duration_s, setup.events_limit) == (7200.0, 5000)
        assert (await seat.feed.runs())[0].comment == "cosmics"
        await seat.until(lambda: "/ 02:00:00" in seat.lines[0])
        assert "optional" in seat.text


@in_a_loop
async def test_who_types_faster_than_the_screen_keeps_the_comment():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r")
        for key in (*"cosmics", "f5"):  # all at once, as over a slow line
            seat.app.post_message(Key(key, key if len(key) == 1 else None))
        await seat.until(lambda: seat.state is State.RUNNING)
        assert (await seat.feed.runs())[0].comment == "cosmics"


@in_a_loop
async def test_a_start_without_other_wishes_leaves_the_setup_alone():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        seat.feed.control.optional, seat.feed.control.on_loss = ("pi-1",), OnLoss.STOP
        before = seat.feed.control.setup_id
        seat.app._know_setup()
        await seat.wait(2)
        await seat.press("r")
        assert seat.app.screen.query_one("#on_loss", Input).value == "stop"
        await seat.press("f5")
        await seat.until(lambda: seat.state is State.RUNNING)
        control = seat.feed.control
        assert (control.setup_id, control.optional, control.on_loss) == (before, ("pi-1",), OnLoss.STOP)


@in_a_loop
async def test_a_wish_that_cannot_be_understood_stands_in_the_way():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r", "tab", *"soon")
        assert "✗ stop after: expected a number" in seat.text
        await seat.press("f5")
        assert (seat.dialog, seat.state) == ("StartRun", State.CONFIGURED)


@in_a_loop
async def test_a_run_that_is_armed_has_been_told_everything_already():
    async with console(SimulatedFeed(state=State.READY)) as seat:
        await seat.press("r")
        assert not seat.app.screen.query(Input)
        await seat.press("f5")
        await seat.until(lambda: seat.state is State.RUNNING)


@in_a_loop
async def test_a_setup_that_is_applied_keeps_what_was_chosen(tmp_path):
    file = tmp_path / "setup.yaml"
    file.write_text(demo_setup().read_text())
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "station.py").write_bytes((demo_setup().parent / "modules" / "station.py").read_bytes())
    async with console(SimulatedFeed(state=State.CONFIGURED), setup_file=file) as seat:
        seat.feed.control.optional, seat.feed.control.on_loss = ("pi-1", "gone"), OnLoss.STOP
        await seat.press("6", "P")
        await seat.until(lambda: seat.dialog == "TypeToConfirm")
        assert "Optional hosts: pi-1; if another is lost: stop." in seat.text
        await seat.press(*"apply", "enter", "enter")
        await seat.until(lambda: seat.feed.control.optional == ("pi-1",))
        assert seat.feed.control.on_loss is OnLoss.STOP


# -- marks --------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_mark_goes_into_the_log_whoever_is_in_charge():
    async with console() as seat:
        await seat.press("m", *"lights off", "enter")
        await seat.wait(1)
        assert "mark: done" in seat.lines[-1]
        assert any("lights off" in entry.line.text for entry in seat.app.model.log.entries)
        await seat.press("m", "escape")
        await seat.press("m", "enter")
        assert (seat.dialog, seat.state) == ("", State.RUNNING)


@in_a_loop
async def test_who_only_watches_leaves_no_marks():
    async with console(SimulatedFeed(state=State.RUNNING, may_command=False)) as seat:
        await seat.press("m")
        assert (seat.dialog, "watching only" in seat.lines[-1]) == ("", True)


@in_a_loop
async def test_a_setup_that_was_loaded_while_the_dialog_was_open_is_not_started_unseen():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        await seat.press("r")
        seat.app.model.know_setup(LIMITED)
        await seat.press("f5")
        await seat.wait(3)
        assert (seat.dialog, seat.state) == ("", State.CONFIGURED)
        assert any("another setup has been loaded" in entry.line.text for entry in seat.app.model.log.entries)


@in_a_loop
async def test_a_start_does_not_wait_for_the_setup_to_be_read():
    async with console(SimulatedFeed(state=State.CONFIGURED)) as seat:
        seat.app.model.know_setup(None)
        await seat.press("r")
        assert not seat.app.screen.query("#runtime")
        seat.app.model.know_setup(SETUP)
        await seat.press(*"quick", "f5")
        await seat.until(lambda: seat.state is State.RUNNING)
        assert (await seat.feed.runs())[0].comment == "quick"
