"""`import mimocorb` must mean this package, wherever a script or one of its processes says it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

MODULES = [
    *("mimo_buffer", "buffer_control", "plot_buffer", "histogram_buffer"),
    *("bufferinfoGUI", "pulseSimulator", "parquetReader", "activity_logger"),
]


def script(folder: Path, text: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_the_same_object_under_both_names(python: Run, tmp_path: Path, module: str) -> None:
    path = script(
        tmp_path,
        f"import mimocorb.{module}\n"
        f"from mimocorb import {module} as old\n"
        f"import mimodaq.mimocorb, mimodaq.mimocorb.{module} as new\n"
        "assert old is new and mimocorb is mimodaq.mimocorb\n"
        f"assert new.__spec__.name == 'mimodaq.mimocorb.{module}'\n",
    )
    done = python("-m", "mimodaq.mimocorb", path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_does_not_exist_is_an_import_error(python: Run, tmp_path: Path) -> None:
    done = python("-m", "mimodaq.mimocorb", script(tmp_path, "import mimocorb.mimo_bufer"))
    assert "No module named 'mimocorb.mimo_bufer'" in done.stderr


CHILDREN = """
import multiprocessing, sys
from mimocorb import mimo_buffer

def child(queue):
    from mimocorb import mimo_buffer as old
    import mimodaq.mimocorb.mimo_buffer as new
    queue.put(old is new)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get()
    process.join()
    print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_a_script_find_it_too(python: Run, tmp_path: Path, method: str) -> None:
    done = python("-m", "mimodaq.mimocorb", script(tmp_path, CHILDREN), method)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_copy_of_the_ancestor_beside_the_script_is_not_taken(python: Run, tmp_path: Path) -> None:
    (tmp_path / "mimocorb").mkdir()
    (tmp_path / "mimocorb" / "__init__.py").write_text("raise ImportError('the wrong one')")
    done = python("-m", "mimodaq.mimocorb", script(tmp_path, CHILDREN), "spawn")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_one_that_was_imported_before_is_forgotten(python: Run, tmp_path: Path) -> None:
    (tmp_path / "mimocorb").mkdir()
    (tmp_path / "mimocorb" / "__init__.py").write_text("")
    (tmp_path / "mimocorb" / "mimo_buffer.py").write_text("wrong = True")
    path = script(
        tmp_path,
        "import mimocorb.mimo_buffer\n"
        "from mimodaq.mimocorb import install_alias\n"
        "install_alias(); install_alias()\n"
        "import mimocorb.mimo_buffer\n"
        "assert mimocorb.mimo_buffer.NewBuffer and not hasattr(mimocorb.mimo_buffer, 'wrong')\n",
    )
    done = python(path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_examples_pulse_simulator_is_there_without_a_package(python: Run, tmp_path: Path) -> None:
    path = script(tmp_path, "from pulseSimulator import pulseSimulator\nprint(pulseSimulator.__module__)")
    assert python("-m", "mimodaq.mimocorb", path).stdout == "mimodaq.mimocorb.pulseSimulator\n"


def test_a_pulse_simulator_of_the_project_goes_first(python: Run, tmp_path: Path) -> None:
    script(tmp_path, "pulseSimulator = 'mine'", "pulseSimulator.py")
    path = script(tmp_path, "from pulseSimulator import pulseSimulator\nprint(pulseSimulator)")
    assert python("-m", "mimodaq.mimocorb", path).stdout == "mine\n"


def test_nothing_needs_a_display_or_loads_graphics(python: Run, tmp_path: Path) -> None:
    imports = "\n".join(f"import mimocorb.{module}" for module in MODULES)
    done = python(
        "-m",
        "mimodaq.mimocorb",
        script(tmp_path, f"{imports}\nimport sys\nprint([m for m in ('matplotlib', 'tkinter') if m in sys.modules])"),
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
