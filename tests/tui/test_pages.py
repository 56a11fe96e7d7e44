"""What the operator sees, at all sizes, with colours, without, and in ASCII."""

import pytest

from mimodaq.protocol.states import State
from mimodaq.tui.render import in_ascii, marked, plain, width_of
from mimodaq.tui.simulated import Fault, What
from tui.pages import assert_is_as_before, follow, followed, page

WIDTHS = (60, 80, 100, 120, 160, 200)
CUT = Fault(10.0, 1000.0, What.CUT, "pulses_2")
LOST = Fault(5.0, 1000.0, What.LOST, "pi-1")
DEAD = Fault(3.0, 0.3, What.DIES, "filter_1[0]")


def no_contact():
    model, feed = followed([], 10)
    model.look(feed.now() + 7.0, feed.utc_ns() + 7_000_000_000)
    return model


def changing():
    model, feed = followed([], 5)
    feed.control.state = State.PAUSING
    feed.publish()
    follow(model, feed, 1)
    return model


SITUATIONS = {
    "idle": lambda: followed([], 3, State.IDLE)[0],
    "configured": lambda: followed([], 3, State.CONFIGURED)[0],
    "running": lambda: followed([], 40)[0],
    "pausing": changing,
    "paused": lambda: followed([], 5, State.PAUSED)[0],
    "link_down": lambda: followed([CUT, DEAD], 30)[0],
    "node_lost": lambda: followed([LOST], 15)[0],
    "error": lambda: followed([], 5, State.ERROR)[0],
    "no_contact": no_contact,
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_page_is_as_it_was(situation):
    model = SITUATIONS[situation]()
    parts = []
    for width in (80, 120, 200):
        lines = page(model, width)
        parts += [
            f"=== {width} columns",
            *map(plain, lines),
            "=== in ASCII",
            *(plain(in_ascii(line)) for line in lines),
        ]
    parts += ["=== styles", *(marked(line) for line in page(model, 80))]
    assert_is_as_before(f"{situation}.txt", "\n".join(line.rstrip() for line in parts) + "\n")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_line_fills_its_width_exactly_and_loses_nothing_in_ascii(situation):
    model = SITUATIONS[situation]()
    for width in WIDTHS:
        for line in page(model, width):
            assert width_of(line) == width, plain(line)
            ascii_line = in_ascii(line)
            assert plain(ascii_line).isascii()
            assert width_of(ascii_line) == width
            assert [style for _, style in ascii_line] == [style for _, style in line]


@pytest.mark.parametrize("width", WIDTHS)
def test_what_matters_most_is_seen_at_every_width(width):
    model = SITUATIONS["link_down"]()
    first, second, third = (plain(line) for line in page(model, width)[:3])
    assert first.startswith("● RUNNING  run 42")
    assert "ALARM" in first
    assert "14:15:" in second or width < 75
    assert third.startswith("▲")
    assert "a ack" in third


def test_a_state_is_never_told_by_colour_alone():
    seen = {}
    for state in State:
        model, feed = followed([], 1, State.RUNNING)
        feed.control.state = state
        feed.publish()
        follow(model, feed, 1)
        seen[state] = plain(page(model, 80)[0])[:12]
    assert len(set(seen.values())) == len(State)
    assert all(state.value.upper()[:8] in text for state, text in seen.items())


def test_old_figures_do_not_look_live():
    lines = page(SITUATIONS["no_contact"](), 120)
    assert plain(lines[0]).startswith("? NO CONTACT 7 s")
    styles = {style for line in lines[4:-1] for text, style in line if text.strip()}
    assert styles <= {"dim", "title"}
