"""How rows judge themselves and how they are shown."""

from __future__ import annotations

import math

import pytest

from mimodaq.client.bench import Goal, Row, Series
from mimodaq.client.bench._results import NOTHING, number, table

SUBJECT = Series("ours", (90.0, 110.0, 100.0))
LIMIT = Series("theirs", (40.0, 55.0, 50.0))
NO_GOAL = Goal()


def row(subject: Series = SUBJECT, limit: Series = LIMIT, goal: Goal = NO_GOAL, **more: object) -> Row:
    return Row("some.row", "some work", "ev/s", subject, limit, goal, **more)  # type: ignore[arg-type]


def test_the_ratio_is_that_of_the_medians() -> None:
    found = row(goal=Goal(ratio_min=2)).as_json()

    assert found["value"] == 100
    assert (found["min"], found["max"], found["repeats"]) == (90, 110, 3)
    assert found["limit"] == {"name": "theirs", "value": 50, "min": 40, "max": 55, "repeats": 3}
    assert found["ratio"] == 2
    assert (found["ratio_min"], found["ratio_max"]) == (2, 2.25)
    assert found["goal"] == {"ratio_min": 2, "met": True}


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(), None),
        (Goal(value_min=100), True),
        (Goal(value_min=101), False),
        (Goal(value_max=100), True),
        (Goal(value_max=99), False),
        (Goal(ratio_min=2.1), False),
        (Goal(value_min=100, ratio_min=2.1), False),
    ],
)
def test_a_goal_asks_for_a_value_a_ratio_or_both(goal: Goal, is_met: bool | None) -> None:
    assert row(goal=goal).is_met is is_met


def test_a_ratio_to_a_missing_limit_cannot_be_judged() -> None:
    absent = row(limit=Series("theirs", missing="not installed: make peers"), goal=Goal(ratio_min=2))

    assert math.isnan(absent.ratio)
    assert absent.is_met is None
    assert absent.as_json()["limit"] == {"name": "theirs", "value": None, "missing": "not installed: make peers"}


def test_a_row_may_be_compared_with_its_goal_only() -> None:
    alone = row(limit=NOTHING, goal=Goal(value_max=101))

    assert alone.as_json()["limit"] is None
    assert alone.is_met is True
    assert "some.row 100 (90 - 110) ev/s - ≤ 101 yes" in " ".join(table([alone]).split())
    assert "failed" not in table([alone])


def test_a_value_can_be_judged_without_its_limit() -> None:
    assert row(limit=Series("theirs", missing="not here"), goal=Goal(value_min=100)).is_met is True


def test_other_data_than_the_limit_miss_the_goal() -> None:
    assert row(goal=Goal(ratio_min=1), check={"same": False, "what": "same events"}).is_met is False


def test_the_table_says_why_a_figure_is_missing() -> None:
    shown = table(
        [
            row(goal=Goal(value_min=1e6, ratio_min=2)),
            row(limit=Series("theirs", missing="not installed: make peers"), goal=Goal(ratio_min=2)),
            row(subject=Series("ours", failed="it broke")),
        ]
    )

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert lines[1:4] == [
        "some.row 100 (90 - 110) ev/s theirs 50 2.00 ≥ 1M, ≥ 2 × NO",
        "some.row 100 (90 - 110) ev/s theirs: not installed: make peers - ≥ 2 × ?",
        "some.row - ev/s theirs 50 -",
    ]
    assert "some.row: theirs not measured: not installed: make peers" in shown
    assert "some.row: ours failed: it broke" in shown


@pytest.mark.parametrize(
    ("value", "text"), [(0.02, "0.02"), (999, "999"), (27_400, "27.4k"), (1.1e6, "1.1M"), (3e9, "3G")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
