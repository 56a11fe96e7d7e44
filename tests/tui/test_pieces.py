"""The small parts pictures are made of."""

import numpy as np
import pytest
from rich.cells import cell_len

from mimodaq.protocol.histogram import Histogram
from mimodaq.tui.render import (
    CountedField,
    Line,
    Look,
    bar,
    braille,
    cell,
    clean,
    envelope,
    fit,
    footer,
    histogram_head,
    histogram_lines,
    limits,
    plain,
    sparkline,
    text_in_ascii,
    width_of,
    wrap,
)
from mimodaq.tui.render import _glyphs as glyphs
from mimodaq.tui.render import _numbers as numbers


def test_every_sign_takes_one_cell_and_has_an_ascii_letter():
    signs = {*glyphs.STATES.values(), *glyphs.LEVELS.values(), *glyphs.SPARKS, *glyphs.EIGHTHS, *glyphs._ASCII}
    for sign in signs:
        assert cell_len(sign) == 1, sign
        assert text_in_ascii(sign).isascii()
        assert text_in_ascii(sign) != "?" or sign == "?", sign


def test_states_stay_different_in_ascii():
    signs = [*glyphs.STATES.values(), glyphs.CHANGING]
    assert len({text_in_ascii(sign) for sign in signs}) == len(signs)


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\nb", "bell\a", "\x9b31m", "tab\there", "del\x7f"])
def test_text_from_elsewhere_cannot_command_the_terminal(text):
    shown = clean(text)
    assert len(shown) == len(text)
    assert all(letter.isprintable() for letter in shown)


@pytest.mark.parametrize("width", [0, 1, 5, 7, 40])
def test_lines_are_cut_and_filled_by_cells_not_letters(width):
    line: Line = (("漢字", "a"), ("abc", "b"), ("é", ""))
    assert width_of(fit(line, width)) == width


def test_a_column_that_is_cut_says_so():
    assert cell("abcdef", 4)[0] == "abc…"
    assert cell("ab", 4, right=True)[0] == "  ab"
    assert cell_len(cell("漢字漢字", 4)[0]) == 4


def test_text_is_broken_at_blanks_and_nothing_is_lost():
    text = "the quick brown fox " + "x" * 25
    lines = wrap(text, 10)
    assert all(len(line) <= 10 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0, "░░░░░"), (0.001, "█░░░░"), (0.5, "██░░░"), (0.999, "████░"), (1, "█████")]
)
def test_a_bar_is_empty_or_full_only_if_it_is(fraction, shown):
    assert bar(fraction, 5) == shown


def test_a_curve_shows_the_last_values_and_no_little_as_nothing():
    assert sparkline([0.0, 1e-9, 50.0, 100.0], 3) == "▂▅█"
    assert sparkline([0.0, 0.0], 5) == "▁▁"
    assert sparkline([], 5) == ""


def test_numbers_are_short_and_have_their_unit():
    assert [numbers.count(n) for n in (0, 9_999_999, 12_345_678, 56_000_000_000)] == [
        "0",
        "9,999,999",
        "12.3M",
        "56.0G",
    ]
    assert [numbers.rate(r) for r in (0.0, 0.5, 12.34, 8290.4, 2.5e6)] == ["0.0", "0.50", "12.3", "8,290", "2.50M"]
    assert [numbers.percent(f) for f in (0.0, 0.0001, 0.02, 0.995)] == ["0.0%", "<.1%", "2.0%", "100%"]
    assert [numbers.span(s) for s in (5, 600, 50_000, 400_000)] == ["5 s", "10 min", "14 h", "5 d"]
    assert [numbers.size(b) for b in (0, 999, 212e9, 3.2e13)] == ["0 B", "999 B", "212 GB", "32 TB"]
    assert numbers.clock(3728) == "01:02:08"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_footer_never_loses_what_was_said(width):
    keys = [("p", "Pause"), ("x", "Stop…"), ("a", "Ack"), ("?", "Help")]
    line = footer(keys, "done", width)
    assert plain(line).endswith("done")
    assert width_of(line) == width
    assert width_of(footer(keys, "refused: " + "why " * 100, width)) == width


@pytest.mark.parametrize("width", [-4, 0, 1, 2, 3])
def test_text_is_broken_even_where_there_is_no_room(width):
    for text in ("word", "漢字漢字", "a b", "", "\n\n"):
        assert "".join(wrap(text, width)).replace(" ", "") == text.replace(" ", "").replace("\n", "")


# -- waveforms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [10, 80, 200])
@pytest.mark.parametrize("at", [0, 1, 999, 1000, 4998, 4999])
def test_the_narrowest_spike_is_seen(width, at):
    wave = np.zeros(5000)
    wave[at] = 100.0
    lines = braille([wave], width, 10, 0.0, 100.0)
    assert len(lines) == 10
    assert any(ord(letter) > 0x2800 for letter in lines[0])


def test_the_envelope_holds_every_sample():
    wave = np.random.default_rng(1).normal(size=4321)
    low, high = envelope(wave, 97)
    edges = np.linspace(0, len(wave), 98).astype(int)
    for column in range(97):
        part = wave[edges[column] : edges[column + 1]]
        assert low[column] <= part.min()
        assert high[column] >= part.max()


@pytest.mark.parametrize("samples", [1, 2, 3, 50])
def test_few_samples_fill_the_width(samples):
    lines = braille([np.linspace(0, 1, samples)], 40, 5, 0.0, 1.0)
    columns = ["".join(line[i] for line in lines) for i in range(40)]
    assert all(set(column) != {"\u2800"} for column in columns)


def test_a_curve_has_no_holes():
    lines = braille([np.array([0.0, 0.0, 100.0, 100.0])], 2, 20, 0.0, 100.0)
    assert all(any(letter != "\u2800" for letter in line) for line in lines)


def test_what_is_not_a_number_or_off_scale_is_drawn_on_the_rim():
    wave = np.array([np.nan, 1e30, -1e30, np.inf, -np.inf, 0.5])
    assert len(braille([wave, np.zeros(0)], 10, 4, 0.0, 1.0)) == 4


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.0], (0.0, 0.5)), ([-212.0, 3.0], (-250.0, 50.0)), ([np.nan], (0.0, 1.0)), ([], (0.0, 1.0))],
)
def test_scales_are_round_and_hold_everything(values, expected):
    assert limits([np.array(values)]) == expected


def test_the_trigger_level_is_on_the_scale():
    assert limits([np.array([0.0, 10.0])], level=-30.0)[0] <= -30.0


# -- histograms ---------------------------------------------------------------------------------------------------


def counted(values, low=0.0, high=100.0, bins=75, **more):
    histogram = Histogram(low, high, bins)
    histogram.fill(values)
    return CountedField("x", histogram, **more)


def text_of(lines):
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_a_histogram_says_who_counts_and_what_is_outside():
    sample = counted(np.append(np.random.default_rng(3).normal(50, 5, 5000), [-1.0, 100.0, 101.0]))
    assert "5,003 entries of a sample" in text_of([histogram_head(sample, "ana1 RB_3", Look(), 1, 2, 100)])
    complete = counted([1.0, np.nan], function="Fkt_5")
    head = text_of([histogram_head(complete, "ana1 RB_3", Look(), 1, 2, 100)])
    assert "2 entries of every event, by Fkt_5  1 not numbers" in head
    lines = text_of(histogram_lines(sample, Look(), 80, 20))
    assert "mean 50" in lines
    assert "below 1, above 2" in lines
    assert "nothing within the range" in text_of(histogram_lines(counted([200.0]), Look(), 80, 20))


@pytest.mark.parametrize("merged", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("bins", [1, 7, 75, 128])
def test_any_number_of_bins_can_be_drawn(merged, bins):
    lines = histogram_lines(counted(np.arange(100.0), bins=bins), Look(merged=merged), 80, 20)
    assert len(lines) <= 20
    assert "█" in text_of(lines)


def test_without_an_event_there_is_no_histogram():
    for empty in (CountedField("x"), counted([])):
        assert "no event seen yet" in text_of(histogram_lines(empty, Look(), 80, 20))
