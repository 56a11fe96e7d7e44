"""Conditions are read once, say what is wrong with them, and cannot do anything but compare."""

import pytest

from mimodaq.watch import ConditionError, condition

KNOWN = frozenset({"fill", "state", "rate_hz"})


@pytest.mark.parametrize(
    ("text", "figures", "holds"),
    [
        ("fill > 0.9", {"fill": 0.95}, True),
        ("fill > 0.9", {"fill": 0.9}, False),
        ('state == "error" or fill >= 1', {"state": "error", "fill": 0.0}, True),
        ("not fill and 0 <= rate_hz < 2 * 3 - 1", {"fill": 0.0, "rate_hz": 4.9}, True),
        ("-fill < 0", {"fill": 1.0}, True),
    ],
)
def test_a_condition_is_judged(text, figures, holds):
    assert condition(text, KNOWN).holds(figures) is holds


@pytest.mark.parametrize("figures", [{}, {"fill": None}, {"fill": "full"}])
def test_what_is_not_known_or_cannot_be_compared_is_neither_true_nor_false(figures):
    assert condition("fill > 0.9", KNOWN).holds(figures) is None


def test_a_division_by_nothing_is_not_known():
    assert condition("fill / rate_hz > 1", KNOWN).holds({"fill": 1.0, "rate_hz": 0.0}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fill >",
        "fill = 1",
        "open('/etc/passwd')",
        "fill.__class__ == 1",
        "[x for x in fill]",
        "(lambda: fill)()",
        "fill if state else rate_hz",
        "fill ** 99999999",
        "b'x' == fill",
        "fill > 1; import os",
        "fill\0",
        "(" * 300 + "fill" + ")" * 300,
        "fill > 1" + " or fill > 1" * 100,
    ],
)
def test_anything_but_comparing_is_refused(text):
    with pytest.raises(ConditionError, match="condition"):
        condition(text, KNOWN)


def test_an_unknown_figure_is_named_together_with_those_there_are():
    with pytest.raises(ConditionError, match="no figure 'filll'; there are fill, rate_hz, state"):
        condition("filll > 1", KNOWN)
