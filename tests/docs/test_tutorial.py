"""The lab session of docs/tutorial.md works as it is printed there, from the first command to the last question."""

from __future__ import annotations

import re
from pathlib import Path

from docs.pages import execute


def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    printed = execute("tutorial.md", tmp_path)
    assert re.search(r"lifetime 2\.\d+ ± 0\.\d+ µs", printed)
    assert "ledger balances" in printed
    assert "exit code 1: somebody should look at this run" in printed
