"""Setup directories made of data files: what is refused, and that nothing is written outside."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from files.conftest import SCALARS, make_batch
from mimodaq.client._exit import EXIT_GOOD, EXIT_USAGE
from mimodaq.client._rebuild import rebuild
from mimodaq.functions.files import DatasetWriter

SETUP = """
output_directory: /nowhere/at/all
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float64]}}
Functions:
  - Fkt_1: {function: replay, RB_assign: {RB_1: write}, config: {input: data/in.csv}}
  - Fkt_2: {function: "my:keep", RB_assign: {RB_1: read}}
"""


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """A data file with such files in its description; `change` changes what it says."""

    def make(files: dict[str, str], /, **change: Any) -> Path:
        files = {"setup.resolved.yaml": SETUP, "my.py": "def keep(event):\n    return True\n", **files}
        hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        about = {"run": 12, "setup": "demo_setup.yaml", "started": "2026", "files": files, "sha256": hashes, **change}
        with DatasetWriter(tmp_path / "RB_1", SCALARS, metadata=about) as writer:
            writer.append(make_batch(SCALARS, range(3)))
        return tmp_path / "RB_1/RB_1-0000.parquet"

    return make


def test_the_folder_holds_what_is_needed_and_what_was_written(
    make_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file({"config/save.yaml": "x: 1\n", "demo_setup.yaml": "# mine\n", "lib/deep/fit.py": "A = 'ü'\n"})
    assert rebuild(file, tmp_path / "new/folder") == EXIT_GOOD
    folder = tmp_path / "new/folder"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "as_written/config/save.yaml",
        "as_written/demo_setup.yaml",
        "demo_setup.yaml",
        "lib/deep/fit.py",
        "my.py",
    ]
    assert (folder / "lib/deep/fit.py").read_text() == "A = 'ü'\n"
    assert "output_directory: target" in (folder / "demo_setup.yaml").read_text()
    said = capsys.readouterr()
    assert "run 12, started 2026, whose end it does not know" in said.out
    assert said.err == "Fkt_1 reads data/in.csv, which is not in RB_1-0000.parquet: put it there\n"
    assert rebuild(file, folder) == EXIT_USAGE
    assert "is there already and not empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "a\n.py"])
def test_a_file_that_would_lie_outside_is_refused(
    make_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = make_file({name: "evil"})
    assert rebuild(file, tmp_path / "inner/new") == EXIT_USAGE
    assert "is damaged (look at" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "inner").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"sha256": {"setup.resolved.yaml": "0", "my.py": "0"}},
            r"damaged \(look at \['setup.resolved.yaml', 'my.py'\]",
        ),
        ({"files": {"my.py": "1"}, "sha256": {"my.py": hashlib.sha256(b"1").hexdigest()}}, "setup.resolved.yaml"),
        ({"setup": "../setup.yaml"}, "damaged"),
        ({"files": "{"}, "does not say with which setup"),
        ({"files": [1]}, "does not say with which setup"),
        ({"sha256": {}}, "does not say with which setup"),
    ],
)
def test_a_damaged_description_is_refused(
    make_file: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    words: str,
) -> None:
    assert rebuild(make_file({}, **change), tmp_path / "new") == EXIT_USAGE
    assert re.search(words, capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


def test_a_setup_that_was_too_large_is_in_the_run_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with DatasetWriter(tmp_path / "RB_1", SCALARS, metadata={"run": 12, "sha256": {"my.py": "0"}}) as writer:
        writer.append(make_batch(SCALARS, range(3)))
    assert rebuild(tmp_path / "RB_1", tmp_path / "new") == EXIT_USAGE
    assert "too large to be kept in data files (8 MB are): it is in the run directory" in capsys.readouterr().err


def test_a_setup_that_cannot_be_loaded_leaves_nothing(
    make_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rebuild(make_file({"setup.resolved.yaml": json.dumps({"RingBuffer": []})}), tmp_path / "new") == EXIT_USAGE
    assert "Functions" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["RB_1"]


def test_a_file_without_description_is_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("counter,x\n1,2\n")
    assert rebuild(tmp_path / "x.csv", None) == EXIT_USAGE
    said = capsys.readouterr().err
    assert "or it is a text that has come without its x.csv.json. Use another file of the same run" in said
    (tmp_path / "x.csv.json").write_text("{}")
    assert rebuild(tmp_path / "x.csv.json", None) == EXIT_USAGE
    assert "does not say with which setup it was taken" in capsys.readouterr().err
    assert rebuild(tmp_path / "y.parquet", None) == EXIT_USAGE
    assert "there is no such file" in capsys.readouterr().err
