"""Every screen and every key on it."""

import shutil
from dataclasses import replace

import pytest
from textual.widgets import Input

from mimodaq.config import load_setup
from mimodaq.protocol.messages import LogLine
from mimodaq.protocol.states import State
from mimodaq.tui._keys import COMMANDS, GENERAL, LOCAL, PANES, RESERVED, keys_of
from mimodaq.tui._widgets import Rows
from mimodaq.tui.render import marked, state_bar
from mimodaq.tui.setups import read_packed
from mimodaq.tui.simulated import Fault, SimulatedFeed, What, demo_setup
from mimodaq.watch import Snapshot
from tui.console import console, in_a_loop
from tui.pages import followed

CUT = Fault(2.0, 1000.0, What.CUT, "pulses_2")


def cursor(seat):
    return seat.app.pane.query_one("#table", Rows).cursor


def test_reserved_letters_mean_the_same_on_every_screen():
    local = {letter for key in LOCAL for letter in key.keys.split(",")}
    everywhere = {letter for key in (*COMMANDS, *GENERAL) for letter in key.keys.split(",")}
    assert not local & RESERVED
    assert everywhere >= RESERVED - {"q"} | {"q"}
    assert not local & (everywhere | {pane.digit for pane in PANES})


def test_no_key_has_two_meanings_on_one_screen():
    for pane in PANES:
        letters = [letter for key in keys_of(pane.name) for letter in key.keys.split(",")]
        assert len(letters) == len(set(letters)), pane.name


def test_only_keys_that_always_arrive_are_used():
    for key in (*COMMANDS, *GENERAL, *LOCAL):
        for letter in key.keys.split(","):
            assert not letter.startswith(("alt", "ctrl+shift", "shift")), letter
            assert letter not in {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+q"}, letter


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 30), (160, 45), (200, 60)])
@in_a_loop
async def test_every_screen_at_every_size(size):
    async with console(SimulatedFeed([CUT], state=State.RUNNING), size=size, setup_file=demo_setup()) as seat:
        await seat.wait(6)
        for pane in PANES:
            await seat.press(pane.digit)
            await seat.wait(1)
            assert seat.app.pane.id == pane.name
            lines = seat.lines
            assert len(lines) == size[1]
            assert lines[0].startswith("● RUNNING")
            assert max(len(line) for line in lines) <= size[0]
            assert any(line.strip() for line in lines[3:-1]), pane.name
            assert lines[-1].startswith("p Pause")


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 45)])
@in_a_loop
async def test_every_screen_says_that_there_are_no_keys(size):
    feed = SimulatedFeed([CUT], state=State.RUNNING)
    feed.is_secure = False
    async with console(feed, size=size) as seat:
        await seat.wait(6)
        for pane in PANES:
            await seat.press(pane.digit)
            assert seat.lines[0].startswith("● RUNNING  run 42 INSECURE")
            await seat.press("question_mark")
            assert " INSECURE" in seat.lines[0]
            await seat.press("escape")
        await seat.press("space")
        assert "INSECURE  ‖ FROZEN" in seat.lines[0]
        feed.reporter.now += 10.0
        seat.app.look()
        await seat.settle()
        assert "INSECURE" in seat.lines[0]
        await seat.pilot.resize_terminal(40, 10)
        await seat.settle()
        assert "INSECURE" in seat.lines[0]


def test_that_there_are_no_keys_is_loud_before_the_broker_was_heard_too():
    model, _ = followed([], 3)
    for snapshot in (Snapshot(0.0, 0), model.snapshot, replace(model.snapshot, now=100.0)):
        assert "[shout]INSECURE[/]" in marked(state_bar(snapshot, model.bar(is_secure=False), 80))
        assert "INSECURE" not in marked(state_bar(snapshot, model.bar(), 80))


@in_a_loop
async def test_a_terminal_that_is_too_small_says_so_and_still_shows_the_state():
    async with console(size=(40, 10)) as seat:
        await seat.wait(2)
        assert seat.lines[0].startswith("● RUNNING")
        assert "too small, 60x16 needed" in seat.text
        await seat.pilot.resize_terminal(80, 24)
        await seat.settle()
        assert "too small" not in seat.text
        assert "scope_1" in seat.text


@pytest.mark.parametrize("pane", PANES, ids=lambda pane: pane.name)
@in_a_loop
async def test_help_names_every_key_of_the_screen(pane):
    async with console(size=(120, 60)) as seat:
        await seat.press(pane.digit, "question_mark")
        for key in (*keys_of(pane.name), *GENERAL):
            assert key.about in seat.text
        await seat.press("escape")
        assert not seat.dialog


# -- overview -----------------------------------------------------------------------------------------------------


@in_a_loop
async def test_overview_filter_faults_fold_and_back():
    async with console(SimulatedFeed([CUT], state=State.RUNNING)) as seat:
        await seat.wait(5)
        await seat.press("slash")
        assert seat.dialog == "AskText"
        await seat.press(*"scope", "enter")
        assert ("scope_1" in seat.text, "merged" in seat.text, "/scope" in seat.text) == (True, False, True)
        await seat.press("slash", "home", "exclamation_mark", "enter")
        assert ("scope_1" in seat.text, "merged" in seat.text) == (False, True)
        await seat.press("escape", "f")
        assert ("✗ down" in seat.text, "merged" in seat.text) == (True, False)
        await seat.press("escape")
        assert "merged" in seat.text
        await seat.press("tab")
        assert "▸" in seat.text
        await seat.press("tab", "s", "s")
        assert "▸" not in seat.text


@in_a_loop
async def test_overview_details_follow_the_cursor_and_the_cursor_its_line():
    async with console(SimulatedFeed([CUT], state=State.RUNNING), size=(160, 45)) as seat:
        await seat.wait(1)
        await seat.press("down", "j", "k", "down", "down")
        row = seat.app.pane.chosen
        assert str(row.subject) == "pi-1 pulses_1:pi-1>daq1"
        assert "reconnects" in seat.text
        await seat.wait(8)  # the alarm brings pi-2 to the top
        assert seat.app.pane.chosen.subject == row.subject
        await seat.press("enter")
        assert seat.dialog == "Shown"
        assert "round trip s" in seat.text
        await seat.press("enter", "end")
        assert cursor(seat) == seat.app.pane.query_one("#table", Rows).count - 1
        await seat.press("home", "pagedown")
        assert cursor(seat) > 0


# -- logs ---------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_logs_follow_until_somebody_scrolls():
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(feed) as seat:
        for number in range(100):
            feed._say("info", "reader", f"line {number}", "pi-1")
        await seat.press("3")
        await seat.wait(1)
        assert "line 99" in seat.text
        assert "following" in seat.text
        await seat.press("up", "pageup")
        assert "not following (F)" in seat.text
        feed._say("info", "reader", "line 100", "pi-1")
        await seat.wait(1)
        assert "line 100" not in seat.text
        await seat.press("F")
        assert "line 100" in seat.text


@in_a_loop
async def test_logs_fold_filter_and_show_whole_records(tmp_path):
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(feed, folder=tmp_path) as seat:
        for _ in range(3):
            feed._say("warning", "link", "again\x1b[31m", "pi-1")
        feed._say("error", "filter", "ValueError: no\n  second line\n  third line", "pi-2")
        feed._say("info", "reader", "quiet", "pi-1")
        await seat.press("3")
        await seat.wait(1)
        assert "x3" in seat.text
        assert "\x1b" not in seat.text
        await seat.press("l")
        assert ("quiet" in seat.text, "again" in seat.text) == (False, True)
        await seat.press("l")
        assert ("again" in seat.text, "ValueError" in seat.text) == (False, True)
        await seat.press("enter")
        assert "third line" in seat.text
        await seat.press("escape", "l", "n")
        assert "node: pi-1" in seat.text
        assert "ValueError" not in seat.text
        await seat.press("slash", *"quiet", "enter")
        assert "again" not in seat.text
        await seat.press("w")
        written = list(tmp_path.glob("mimodaq_log_*.txt"))
        assert "quiet" in written[0].read_text()
        await seat.press("escape")
        assert "ValueError" in seat.text


@in_a_loop
async def test_what_was_said_before_we_came_is_there():
    feed = SimulatedFeed(state=State.RUNNING)
    for number in range(50):
        feed._say("info", "reader", f"early {number}", "pi-1")
    async with console(feed) as seat:
        await seat.press("3")
        await seat.wait(1)
        texts = [entry.line.text for entry in seat.app.model.log.entries]
        assert [text for text in texts if text.startswith("early")] == [f"early {number}" for number in range(50)]


# -- topology, events, histograms ---------------------------------------------------------------------------------


@in_a_loop
async def test_topology_names_the_link_that_is_down_in_every_form():
    async with console(SimulatedFeed([CUT], state=State.RUNNING), size=(130, 40)) as seat:
        await seat.wait(5)
        await seat.press("2")
        await seat.settle()
        assert "┌──" in seat.text
        assert "╳" in seat.text
        await seat.press("t")
        assert "what feeds what" in seat.text
        assert "└╳ down" in seat.text
        await seat.press("t")
        assert "from the sources on" in seat.text
        assert "└╳ down" in seat.text
        await seat.press("t")
        assert "┌──" in seat.text


@in_a_loop
async def test_events_can_be_frozen_overlaid_and_gone_through(tmp_path):
    async with console(folder=tmp_path) as seat:
        await seat.wait(2)
        await seat.press("4")
        await seat.wait(3)
        pane = seat.app.pane
        assert "pi-1 scope_1  #" in seat.text
        assert "trg -30" in seat.text
        await seat.press("space")
        frozen = pane.kept[-1][0]
        await seat.wait(3)
        assert "FROZEN" in seat.lines[0]
        assert pane.kept[-1][0] == frozen
        await seat.press("space", "left_square_bracket", "left_square_bracket")
        assert "2 before the newest" in seat.text
        number = pane.kept[len(pane.kept) - 1 - pane.back_by][0]
        await seat.wait(2)
        assert pane.kept[len(pane.kept) - 1 - pane.back_by][0] == number
        await seat.press("w")
        assert len(list(tmp_path.glob(f"mimodaq_event_scope_1_{number}_*.npy"))) == 1
        await seat.press("escape", "o")
        assert "OVERLAY 20" in seat.text
        await seat.press("v")
        assert ("chA" in seat.text, "chB" in seat.text) == (True, False)
        await seat.press("z")
        assert "FIXED SCALE" in seat.text
        await seat.press("escape", "b")
        await seat.wait(2)
        assert "pi-2 scope_2  #" in seat.text
        await seat.press("b")
        await seat.wait(2)
        assert "height_A" in seat.text
        await seat.press("left", "1")
        assert not [w for w in seat.app.workers if w.group == "tap" and w.is_running]


@in_a_loop
async def test_histograms_fill_and_are_emptied_for_another_run():
    feed = SimulatedFeed(state=State.RUNNING)
    async with console(feed) as seat:
        await seat.press("5")
        await seat.wait(12)
        assert "pi-1 pulses_1 height_A" in seat.text
        assert "entries of a sample" in seat.text
        entries = next(iter(seat.app.pane.histograms.values())).entries
        assert entries > 100
        await seat.press("g", "e")
        assert "log" in seat.text
        await seat.press("left_square_bracket", "right_square_bracket")
        assert "region" in seat.text
        await seat.press("b")
        assert "height_B" in seat.text
        await seat.press("left", "escape", "z")
        assert next(iter(seat.app.pane.histograms.values())).entries == 0
        await seat.wait(3)
        feed.control.run += 1
        await seat.wait(1)
        assert next(iter(seat.app.pane.histograms.values())).entries <= 40


@in_a_loop
async def test_without_a_setup_there_is_nothing_to_look_at():
    async with console(SimulatedFeed(state=State.IDLE)) as seat:
        await seat.wait(2)
        for digit, text in (("2", "no setup is loaded"), ("4", "no setup is loaded"), ("5", "no setup is loaded")):
            await seat.press(digit)
            await seat.settle()
            assert text in seat.text


# -- configuration ------------------------------------------------------------------------------------------------


@in_a_loop
async def test_configuration_shows_what_differs_checks_and_applies(tmp_path):
    file = tmp_path / "setup.yaml"
    text = demo_setup().read_text()
    file.write_text(text)
    shutil.copytree(demo_setup().parent / "modules", tmp_path / "modules")
    async with console(SimulatedFeed(state=State.CONFIGURED, setup=file), setup_file=file) as seat:
        await seat.press("6")
        await seat.wait(1)
        assert "no difference" in seat.text
        assert "is what runs" in seat.text
        file.write_text(text.replace("threshold: 30", "threshold: 35", 1))
        await seat.press("e")
        assert "-      config: {threshold: 30}" in seat.text
        assert "+      config: {threshold: 35}" in seat.text
        await seat.press("P")
        assert "1 lines come, 1 go." in seat.text
        await seat.press(*"apply", "enter", "enter")
        await seat.until(lambda: seat.state is State.CONFIGURED and "is what runs" in seat.text)
        file.write_text(text.replace("number_of_slots: 4096", "number_of_slotz: 4096", 1))
        await seat.press("e", "v")
        assert "did you mean" in seat.text or "number_of_slots" in seat.text
        assert "✗   " in seat.text
        await seat.press("P")
        assert not seat.dialog
        await seat.press("u")
        assert "# setup.yaml" in seat.text


@in_a_loop
async def test_values_of_the_command_line_stay_when_the_file_is_applied_again():
    setup, values = load_setup(demo_setup(), ["runevents=777"]), ("runevents=777",)
    feed = SimulatedFeed(state=State.CONFIGURED, setup=setup)
    async with console(feed, size=(200, 40), setup_file=demo_setup(), overrides=values) as seat:
        await seat.press("6")
        await seat.wait(1)
        assert "no difference" in seat.text
        assert "setup.yaml --set runevents=777" in seat.text
        await seat.press("P")
        assert "0 lines come, 0 go." in seat.text
        await seat.press(*"apply", "enter", "enter")
        await seat.until(lambda: seat.state is State.CONFIGURED)
        assert read_packed(await seat.feed.setup()).events_limit == 777


@in_a_loop
async def test_a_setup_is_not_replaced_while_a_run_goes_on():
    async with console(setup_file=demo_setup()) as seat:
        await seat.press("6")
        await seat.wait(1)
        assert "Apply" not in seat.lines[-1]
        await seat.press("P")
        assert (seat.dialog, "stop the run first" in seat.lines[-1]) == ("", True)


# -- runs, alarms -------------------------------------------------------------------------------------------------


@in_a_loop
async def test_runs_are_listed_with_their_verdicts():
    async with console() as seat:
        await seat.press("7")
        await seat.wait(2)
        assert "● 42    goes on" in seat.text
        assert "! 41    tainted" in seat.text
        assert "✗ 40    aborted" in seat.text
        await seat.press("down", "enter")
        assert "filter_2[1] died twice" in seat.text
        await seat.press("escape", "u", "1", "x", "y")
        await seat.until(lambda: seat.state is State.CONFIGURED)
        await seat.press("7")
        await seat.wait(1)
        assert "✓ 42    good" in seat.text


@in_a_loop
async def test_an_alarm_rings_once_stays_and_leads_to_its_cause():
    feed = SimulatedFeed([CUT], state=State.RUNNING)
    async with console(feed) as seat:
        rung = []
        seat.app.bell = lambda: rung.append(seat.feed.now())
        await seat.wait(10)
        assert "no connection" in seat.lines[2]
        assert len(rung) == sum("bell" in alarm.rule.do for alarm in seat.app.model.alarm_list) > 1
        await seat.press("A")
        assert "▲ alarm" in seat.text
        assert "it connects by itself" in seat.text
        await seat.press("enter")
        assert seat.app.pane.id == "overview"
        assert seat.app.pane.chosen.subject.name == "pulses_2:pi-2>daq1"
        await seat.press("a")
        assert "acknowledged" in seat.lines[-1]
        assert "no connection" not in seat.lines[2]
        await seat.press("8")
        assert "acknowledged" in seat.text
        feed._faults = ()
        await seat.wait(2)
        await seat.press("z")
        await seat.wait(1)
        assert "nothing waits" in seat.text


@in_a_loop
async def test_the_bell_can_be_switched_off():
    async with console(SimulatedFeed([CUT], state=State.RUNNING)) as seat:
        rung = []
        seat.app.bell = lambda: rung.append(1)
        await seat.press("B")
        assert "bell off" in seat.lines[-1]
        await seat.wait(5)
        assert rung == []


# -- the rest -----------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_picture_can_be_saved_and_a_folder_that_is_not_there_is_told(tmp_path):
    async with console(folder=tmp_path) as seat:
        await seat.press("S")
        assert next(tmp_path.glob("*.svg")).read_text().startswith("<svg")
        await seat.press("S")
        assert len(list(tmp_path.glob("*.svg"))) == 2
        seat.app.folder = tmp_path / "gone"
        await seat.press("S")
        assert "No such file" in seat.lines[-1]


@in_a_loop
async def test_colours_and_pace_can_be_changed():
    async with console() as seat:
        themes = set()
        for _ in range(4):
            await seat.press("T")
            themes.add(seat.app.theme)
        assert len(themes) == 4
        await seat.press("minus")
        assert "drawn every 1 s" in seat.lines[-1]
        await seat.press("plus")
        assert "drawn every 0.5 s" in seat.lines[-1]


@in_a_loop
async def test_in_ascii_mode_nothing_else_reaches_the_terminal():
    async with console(SimulatedFeed([CUT], state=State.RUNNING), is_ascii=True, setup_file=demo_setup()) as seat:
        await seat.wait(5)
        for pane in PANES:
            await seat.press(pane.digit)
            await seat.wait(1)
            assert seat.text.isascii(), (pane.name, {letter for letter in seat.text if not letter.isascii()})
        for key, dialog in (("x", "Confirm"), ("X", "TypeToConfirm"), ("slash", ""), ("question_mark", "Shown")):
            await seat.press(key)
            assert seat.dialog == dialog
            assert seat.text.isascii()
            await seat.press("escape")


@in_a_loop
async def test_a_field_keeps_its_text_to_itself():
    async with console() as seat:
        await seat.press("slash", *"q1x")
        assert seat.app.screen.query_one(Input).value == "q1x"
        await seat.press("escape")
        assert seat.app.pane.id == "overview"


@in_a_loop
async def test_log_lines_alone_draw_nothing():
    async with console() as seat:
        await seat.wait(1)
        before = seat.app._drawn_at
        for _ in range(100):
            seat.feed._queue.put_nowait(LogLine("pi-1", 1, "info", "x", "y"))
        await seat.settle()
        assert seat.app._drawn_at == before
