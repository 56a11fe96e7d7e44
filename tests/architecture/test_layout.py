"""The folder layout holds: one namespace in four roots, typed, installable as a wheel."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOTS = ("node", "broker", "client", "config")


def parts():
    return sorted(p for root in ROOTS for p in (ROOT / root / "mimodaq").iterdir() if (p / "__init__.py").exists())


def test_no_root_hides_the_others():
    assert not [root for root in ROOTS if (ROOT / root / "mimodaq" / "__init__.py").exists()]


def test_every_part_lives_in_one_root_and_is_typed_and_described():
    names = [part.name for part in parts()]
    assert len(names) == len(set(names)) >= 6
    assert not [part.name for part in parts() if not (part / "py.typed").exists()]
    assert not [part.name for part in parts() if not (part / "README.md").exists()]


def test_every_folder_says_what_is_in_it():
    for root in ROOTS:
        text = (ROOT / root / "README.md").read_text(encoding="utf-8")
        assert not [part.name for part in parts() if part.parts[-3] == root and f"[{part.name}](" not in text]
    told = {
        name.strip()
        for line in (ROOT / "tests" / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
        for name in line.split("|")[1].split(",")
    }
    assert not {folder.parent.name for folder in (ROOT / "tests").glob("*/test_*.py")} - told


def test_every_part_is_under_the_import_contracts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {f"mimodaq.{part.name}" for part in parts()} == set(project["tool"]["importlinter"]["root_packages"])


def test_examples_and_their_setups_are_data_of_the_package():
    listing = "from importlib.resources import files; print([p.name for p in files('mimodaq.examples').iterdir()])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert "lifetime" in done.stdout


def test_the_picture_of_the_packages_is_the_import_contract():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = [c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "layers"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.partition("<!-- layers -->\n```text\n")[2].partition("```")[0]
    assert [line.partition("  ")[0] for line in picture.splitlines()] == layers
