"""Colours are never needed, and readable where there are any; whole screens look as they did."""

import os
import re
from pathlib import Path

import pytest
import textual
from rich.color import Color
from textual.widgets import Input

from mimodaq.protocol.states import State
from mimodaq.tui import render
from mimodaq.tui._theme import NAMES, THEMES, styles
from mimodaq.tui.simulated import Fault, SimulatedFeed, What, demo_setup
from tui.console import console, in_a_loop

PICTURES = Path(__file__).parent / "snapshots"
CUT = Fault(2.0, 1000.0, What.CUT, "pulses_2")
USED = {
    style
    for path in Path(render.__file__).parent.glob("*.py")
    for style in re.findall(r'"(dim|good|warning|alarm|shout|strong|title|key|chosen)"', path.read_text())
}


def test_every_theme_has_every_style_with_and_without_colours():
    assert {"dim", "good", "warning", "alarm", "shout", "strong", "title", "key", "chosen"} == USED
    for name in (*NAMES, "a theme of Textual"):
        for is_colourless in (False, True):
            assert styles(name, is_colourless=is_colourless).keys() >= USED


def test_without_colours_alarms_stand_out_by_other_means():
    found = styles("lab-dark", is_colourless=True)
    assert all(style.color is None and style.bgcolor is None for style in found.values())
    assert found["alarm"].reverse
    assert found["warning"].bold


def luminance(colour):
    parts = [value / 255 for value in Color.parse(colour).get_truecolor()]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_can_be_read(theme):
    for name, style in styles(theme.name, is_colourless=False).items():
        for background in (theme.background, theme.surface, theme.panel):
            text = style.color.name if style.color else theme.foreground
            behind = style.bgcolor.name if style.bgcolor else background
            light, dark = sorted((luminance(text), luminance(behind)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, text, behind)


@in_a_loop
async def test_no_colour_is_obeyed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(SimulatedFeed([CUT], state=State.RUNNING)) as seat:
        await seat.wait(6)
        assert seat.app.line_styles["alarm"].color is None
        assert "▲" in seat.lines[2]


def pieces(svg):
    """Texts of a picture with their classes, and the looks of the classes; names made up by chance are left out."""
    svg = re.sub(r"terminal-\d+-", "", svg)
    return re.sub(r"<style>.*?@font-face.*?</style>", "", svg, flags=re.DOTALL)


PAGES = {
    "overview": ((80, 24), "1", State.RUNNING),
    "topology": ((120, 36), "2", State.RUNNING),
    "alarms": ((80, 24), "8", State.RUNNING),
    "abort": ((120, 36), "X", State.RUNNING),
    "start": ((80, 24), "r", State.CONFIGURED),
}


@pytest.mark.parametrize("page", PAGES)
@in_a_loop
async def test_a_whole_screen_is_as_it_was(page):
    size, key, state = PAGES[page]
    path = PICTURES / f"{page}.svg"
    async with console(SimulatedFeed([CUT], state=state), size=size, setup_file=demo_setup()) as seat:
        await seat.wait(10)
        await seat.press(key)
        for field in seat.app.screen.query(Input):  # a blinking cursor is there or not
            field.cursor_blink = False
        await seat.wait(1)
        picture = f"<!-- Textual {textual.__version__} -->\n" + pieces(seat.app.export_screenshot(title=page))
    if "MIMODAQ_UPDATE_SNAPSHOTS" in os.environ:
        path.write_text(picture)
    before = path.read_text()
    if before.splitlines()[0] != picture.splitlines()[0]:
        pytest.skip(f"the picture was made with another release: {before.splitlines()[0]}")
    assert picture == before, f"{path}: MIMODAQ_UPDATE_SNAPSHOTS=1 accepts what it is now"
