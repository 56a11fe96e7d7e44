"""Run-control scripts as users write them: without a guard, with threads, killed at a bad moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Until = Callable[[Callable[[], Any]], Any]

MODULE = """
import os
import numpy as np
from mimocorb.buffer_control import rbExport, rbImport

def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def numbers():
        while True:
            yield [np.ones(1)], None
    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=numbers, **rb_info)()

def count(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    events = sum(event is not None for event in rbExport(source_list=source_list, **rb_info)())
    with open("counted", "w") as file:
        file.write(str(events))
"""

SCRIPT = """
import threading, time
from mimocorb.buffer_control import buffer_control

threading.Thread(target=input, daemon=True).start()   # holds the lock of stdin, as mimoCoRB's keyboard control did
buffers = [{"RB_1": {"number_of_slots": 8, "channel_per_slot": 1, "data_type": {1: ["n", "float64"]}}}]
functions = [{"Fkt_main": {}},
    {"Fkt_1": {"file_name": "mine", "fkt_name": "source", "num_process": 1, "RB_assign": {"RB_1": "write"}}},
    {"Fkt_2": {"file_name": "mine", "fkt_name": "count", "num_process": 1, "RB_assign": {"RB_1": "read"}}}]
daq = buffer_control(buffers, functions, {}, "out/")
daq.setup_buffers()
daq.setup_workers()
workers = daq.start_workers()
while daq.ringbuffers["RB_1"].buffer_status()[0] < 100:
    time.sleep(0.01)
print(*[worker.pid for worker in workers], daq.ringbuffers["RB_1"].ring.segment, flush=True)
"""

CLEAN_END = "daq.stop()\ndaq.shutdown()\nprint([worker.exitcode for worker in workers])\n"
WAIT = "time.sleep(3600)\n"


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a control script whose input is an open pipe and whose output is one, too."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str) -> subprocess.Popen[str]:
        (tmp_path / "mine.py").write_text(MODULE)
        (tmp_path / "script.py").write_text(text)
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "mimodaq.mimocorb", "script.py"],
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_workers_start_although_a_thread_waits_for_input(
    script: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = script(SCRIPT + CLEAN_END)
    assert process.stdout is not None
    assert process.stdout.read().splitlines()[-1] == "[0, 0]"
    assert int((tmp_path / "counted").read_text()) >= 100


def test_when_the_script_is_killed_its_workers_end_and_nothing_is_left(
    script: Callable[[str], subprocess.Popen[str]], tmp_path: Path, until: Until
) -> None:
    process = script(SCRIPT + WAIT)
    assert process.stdout is not None
    *pids, segment = next(line for line in process.stdout if line[0].isdigit()).split()
    process.send_signal(signal.SIGKILL)
    until(lambda: not any(is_running(int(pid)) for pid in pids))
    assert int((tmp_path / "counted").read_text()) >= 100
    assert not Path("/dev/shm", segment).exists()


def test_ctrl_c_is_left_to_the_script(
    script: Callable[[str], subprocess.Popen[str]], tmp_path: Path, until: Until
) -> None:
    head, said, told = SCRIPT.rpartition("print(")
    body = f"try:\n    {said}{told}    time.sleep(3600)\nexcept KeyboardInterrupt:\n    pass\n"
    process = script(head + body + CLEAN_END)
    assert process.stdout is not None
    *pids, _ = next(line for line in process.stdout if line[0].isdigit()).split()
    for pid in (*map(int, pids), process.pid):  # as the terminal does it: all of them
        os.kill(pid, signal.SIGINT)
    assert process.stdout.read().splitlines()[-1] == "[0, 0]"
    assert int((tmp_path / "counted").read_text()) >= 100
