from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from mimodaq.mimocorb._later import catch_up

HERE = Path(__file__).parent
PROJECTS = HERE / "projects"
DEADLINE_S = 30.0

# Functions that tests run in other processes live in a module which those can import as well.
sys.path.insert(0, str(HERE))


@pytest.fixture(autouse=True)
def no_segment_left_behind() -> Iterator[None]:
    yield
    gc.collect()
    catch_up()
    left = list(Path("/dev/shm").glob(f"mimodaq.{os.getuid()}.mimocorb-{os.getpid()}*"))
    for path in left:
        path.unlink()
    assert left == []


@pytest.fixture
def projects() -> Path:
    return PROJECTS


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait for something that another process does; its answer, or a failure when it never comes."""

    def wait(condition: Callable[[], Any]) -> Any:
        give_up = time.monotonic() + DEADLINE_S
        while not (answer := condition()):
            assert time.monotonic() < give_up, "waited in vain"
            time.sleep(0.005)
        return answer

    return wait


@pytest.fixture
def start() -> Iterator[Callable[..., BaseProcess]]:
    """Start a function in a process of its own (no fork: the tests' threads would come along)."""
    context = multiprocessing.get_context("forkserver")
    running: list[BaseProcess] = []

    def launch(function: Callable[..., Any], *args: Any) -> BaseProcess:
        process = context.Process(target=function, args=args)
        process.start()
        running.append(process)
        for pipe in args:
            if isinstance(pipe, Connection):
                pipe.close()  # so that the other end sees the end of this process
        return process

    yield launch
    for process in running:
        process.kill()
        process.join()
        process.close()


@pytest.fixture
def joined() -> Callable[..., list[int | None]]:
    """Wait for the end of processes; their exit codes (None = did not end)."""

    def join(*processes: BaseProcess) -> list[int | None]:
        for process in processes:
            process.join(DEADLINE_S)
        return [process.exitcode for process in processes]

    return join


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python command line without a display, in an empty folder."""

    def run(*arguments: str | Path, cwd: Path = tmp_path, **env: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run
