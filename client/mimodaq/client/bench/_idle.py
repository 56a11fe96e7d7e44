"""What a run costs that has little to do: ten events per second through three workers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from mimodaq.client.bench._alternate import Effort, alternate, say
from mimodaq.client.bench._results import BenchError, Goal, Row, Series

_CHANNELS: Final = {1: ["chA", "float32"], 2: ["chB", "float32"]}
_FIELDS: Final = {1: ["chA_height", "float32"], 2: ["chB_height", "float32"]}
_SETUP: Final[dict[str, Any]] = {
    "RingBuffer": [
        {"RB_1": {"number_of_slots": 128, "channel_per_slot": 500, "data_type": _CHANNELS}},
        {"RB_2": {"number_of_slots": 128, "channel_per_slot": 1, "data_type": _FIELDS}},
    ],
    "Functions": [
        {
            "Fkt_1": {
                "function": "simulate",
                "RB_assign": {"RB_1": "write"},
                "config": {"sleeptime": 0.1, "pre_trigger_samples": 100},
            }
        },
        {
            "Fkt_2": {
                "function": "find_peaks",
                "RB_assign": {"RB_1": "read", "RB_2": "write"},
                "config": {"pre_trigger_samples": 100, "trigger_channel": "A"},
            }
        },
        {"Fkt_3": {"function": "to_csv", "RB_assign": {"RB_2": "read"}}},
    ],
}
_START_S: Final = 30.0


def cpu_percent(seconds: float) -> float:
    """CPU time of `mimodaq run` and all its workers during `seconds`, in % of one core; the start does not count."""
    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as name:
        folder = Path(name)
        (folder / "setup.yaml").write_text(yaml.safe_dump(_SETUP, sort_keys=False))
        command = [sys.executable, "-m", "mimodaq.client.cli", "run", "setup.yaml", "--headless", "--output", "run"]
        with (folder / "output").open("w+") as output:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            try:
                _wait_for_events(process, folder / "run" / "RB_2.csv")
                before, begin = _cpu_s(process.pid), time.monotonic()
                time.sleep(seconds)
                used, passed = _cpu_s(process.pid) - before, time.monotonic() - begin
                process.terminate()
                code = process.wait(_START_S)
            finally:
                process.kill()  # its workers notice, save, and leave by themselves
                process.wait()
            if code:
                output.seek(0)
                raise BenchError(f"the idle run ended with exit code {code}: {output.read().strip()[-500:]}")
    return 100 * used / passed


def _wait_for_events(process: subprocess.Popen[bytes], file: Path) -> None:
    """Wait until events have come to the end of the chain: everything is imported then."""
    deadline = time.monotonic() + _START_S
    while not file.exists() or len(file.read_bytes().splitlines()) < 4:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the idle run wrote no events within {_START_S:.0f} s (exit code {process.poll()})")
        time.sleep(0.05)


def _cpu_s(pid: int) -> float:
    """CPU time of a process and everything below it, in s."""
    import psutil

    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def rows(effort: Effort) -> Iterator[Row]:
    """The one row."""
    say("run: a source of 10 Hz, a filter, a file")
    found = alternate({"idle run": lambda: cpu_percent(effort.idle_s)}, 1, "% of a core")
    work = "source at 10 Hz, 3 workers: CPU of all processes"
    one_core = Series("one core", (100.0,))
    yield Row("run.idle.cpu", work, "%", found["idle run"], one_core, Goal(value_max=2.0))
