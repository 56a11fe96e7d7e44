"""The page of failure stories: every row says where it is shown, and that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "failure-stories.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_all_thirty_five_are_there():
    assert [int(row[0]) for row in ROWS] == list(range(1, 36))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_names_a_test_that_exists_or_how_the_code_excludes_it(row):
    shown_by = row[-1]
    tests = re.findall(r"`(tests[^`]*)`", shown_by)
    assert tests or "by construction" in shown_by or "import contract" in shown_by
    for path in tests:
        assert path.endswith(".py"), "a folder shows nothing"
        assert "def test" in (ROOT / path).read_text(encoding="utf-8"), path
