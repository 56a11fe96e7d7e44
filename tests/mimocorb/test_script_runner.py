"""``python -m mimodaq.mimocorb SCRIPT [ARGS]`` runs a script as ``python SCRIPT [ARGS]`` would."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_unit_test_printed_in_the_manual_passes_unmodified(python: Run, projects: Path) -> None:
    done = python("-m", "mimodaq.mimocorb", projects / "rb_unittest.py")
    assert done.returncode == 0, done.stderr
    assert "test_process (__main__.RPTest" in done.stderr
    assert "\nOK\n" in done.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_same_with_the_other_ways_to_start_processes(
    python: Run, projects: Path, tmp_path: Path, method: str
) -> None:
    text = (projects / "rb_unittest.py").read_text()
    head = f'    __import__("multiprocessing").set_start_method("{method}")\n'
    start = 'if __name__ == "__main__":\n'
    text = text.replace(start, start + head).replace("N_requested = 1000", "N_requested = 100")
    (tmp_path / "test.py").write_text(text)
    done = python("-m", "mimodaq.mimocorb", "test.py")
    assert done.returncode == 0, done.stderr


def test_name_arguments_and_path_are_those_of_a_script(python: Run, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "beside.py").write_text("found = True")
    (folder / "script.py").write_text("import sys, beside\nprint(__name__, sys.argv[1:], sys.path[0])")
    done = python("-m", "mimodaq.mimocorb", "folder/script.py", "-v", "x")
    assert done.stdout == f"__main__ ['-v', 'x'] {folder}\n"


def test_the_exit_code_is_that_of_the_script(python: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("raise SystemExit(7)")
    assert python("-m", "mimodaq.mimocorb", "script.py").returncode == 7


def test_a_missing_script_is_wrong_usage(python: Run) -> None:
    done = python("-m", "mimodaq.mimocorb", "nothing.py")
    assert done.returncode == 2
    assert "nothing.py: there is no such file" in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0)])
def test_usage_is_told(python: Run, arguments: list[str], code: int) -> None:
    done = python("-m", "mimodaq.mimocorb", *arguments)
    assert done.returncode == code
    assert "usage: python -m mimodaq.mimocorb SCRIPT" in done.stdout + done.stderr


def test_a_script_that_fails_ends_its_processes_and_leaves_no_segment(python: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from multiprocessing import Process\n"
        "import os\n"
        "from mimocorb.mimo_buffer import NewBuffer, Reader\n"
        "def read(setup):\n"
        "    Reader(setup).get()\n"
        "buffer = NewBuffer(4, 1, 'f4')\n"
        "print(buffer.ring.segment, flush=True)\n"
        "Process(target=read, args=(buffer.new_reader_group(),)).start()\n"
        "raise RuntimeError('something else')\n"
    )
    done = python("-m", "mimodaq.mimocorb", "script.py")
    assert done.returncode == 1
    assert "something else" in done.stderr
    assert not Path("/dev/shm", done.stdout.strip()).exists()
