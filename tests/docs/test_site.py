"""The documentation can be built as a site: every link leads somewhere, and the reference says what every key means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return folder


def test_every_command_and_function_is_in_the_reference(site: Path) -> None:
    from mimodaq.functions import BUILTINS

    commands = (site / "reference/commands/index.html").read_text()
    assert all(f'id="mimodaq-{name}"' in commands for name in ("run", "check", "broker", "node", "tui"))
    functions = (site / "reference/functions/index.html").read_text()
    assert all(f'<h2 id="{name}">' in functions for name in BUILTINS)


def test_every_key_of_a_setup_is_explained(site: Path) -> None:
    keys = (site / "reference/setup/index.html").read_text()
    assert "<code>number_of_slots</code>" in keys
    assert "<td>None</td>" not in keys
