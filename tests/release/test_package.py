"""What is published: wheel and sdist are complete, and the wheel works without the tree it was made from.

`make dist-test` does the same with every Python that is here and all dependencies fetched anew.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("node", "broker", "client", "config")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The folder with both; the wheel is made from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def installed(published, tmp_path_factory):
    """An environment with the wheel in it, and of this one only what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (wheel,) = published.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    # a path in a .pth file is not looked through for .pth files: the tree of this environment stays away
    (libraries,) = folder.glob("lib/python*/site-packages")
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def use(installed, tmp_path):
    def use(program, *arguments):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(installed / "bin" / program), *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return use


def sources():
    files = (file for folder in FOLDERS for file in (ROOT / folder / "mimodaq").rglob("*") if file.is_file())
    return {file for file in files if "__pycache__" not in file.parts}


def test_the_wheel_holds_all_of_the_product_and_nothing_else(published):
    (wheel,) = published.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    in_wheel = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert in_wheel == {file.relative_to(ROOT).as_posix().split("/", 1)[1] for file in sources()}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_is_needed_to_build_test_and_read_it(published):
    (sdist,) = published.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names >= {file.relative_to(ROOT).as_posix() for file in sources()}
    assert names >= {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "mkdocs.yml",
        "docs/tutorial.md",
        "deploy/README.md",
        "tests/conftest.py",
        ".ci/run",
    }
    assert not [name for name in names if name.startswith((".venv", "demo", "build/")) or "__pycache__" in name]


def test_the_installed_wheel_takes_data_without_the_tree(use, installed, tmp_path):
    where = "import mimodaq.client.cli, mimodaq.ring, mimodaq.tui; print(mimodaq.client.cli.__file__)"
    assert Path(use("python", "-c", where).strip()).is_relative_to(installed)
    version = use("python", "-c", "from importlib.metadata import version; print(version('mimodaq'))")
    assert use("mimodaq", "--version") == f"mimodaq {version}"
    use("mimodaq", "init", "first", "--example", "lifetime")
    use("mimodaq", "check", "first")
    use("mimodaq", "run", "first", "--headless", "--events", "300", "--output", "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["verdict"] == "good"
    use("mimodaq", "rebuild", "run", "again")
    assert (tmp_path / "again" / "setup.yaml").exists()
