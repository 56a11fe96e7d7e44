"""Run the installed command as a user does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "muon_panels_2018.parquet"


class Mimodaq:
    """The command line, in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "mimodaq.client.cli", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def run(self, *arguments: str, expect: int = 0) -> dict:
        """`mimodaq run ... --json` and the object it prints."""
        return json.loads(self("run", *arguments, "--headless", "--json", expect=expect).stdout)


@pytest.fixture
def mimodaq(tmp_path):
    return Mimodaq(tmp_path)


@pytest.fixture
def recorded():
    if not RECORDED.exists():
        pytest.skip(f"the recorded events are not here: {RECORDED.name} is expected in ../shared/data")
    return RECORDED
