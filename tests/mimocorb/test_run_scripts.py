"""A run script of mimoCoRB (`run_daq.py`) works: `run_mimoDAQ` is a front of ``mimodaq run``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]

RUN_DAQ = """
import argparse
from mimocorb.buffer_control import run_mimoDAQ

parser = argparse.ArgumentParser()
parser.add_argument("filename")
parser.add_argument("-v", "--verbose", type=int, default=2)
parser.add_argument("-d", "--debug", action="store_true")
args = parser.parse_args()
daq = run_mimoDAQ(args.filename, verbose=args.verbose, debug=args.debug)
daq.setup()
daq.run()
with open(daq.directory_prefix + "run_information.yaml", "a") as file:
    file.write(f"runevents: {daq.N_processed}\\nruntime: {daq.time_active}\\nverdict: {daq.verdict}\\n")
"""


@pytest.fixture
def project(projects: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "spectrum"
    shutil.copytree(projects / "spectrum", folder)
    file = folder / "config" / "spectrum_config.yaml"
    config = yaml.safe_load(file.read_text())
    config["simul_source"].update(eventcount=0, sleeptime=0, seed=1)
    config["general"]["runevents"] = 200
    file.write_text(yaml.safe_dump(config))
    (folder / "run_daq.py").write_text(RUN_DAQ)
    return folder


def test_a_run_script_takes_the_events_it_was_asked_for(python: Run, project: Path) -> None:
    done = python("-m", "mimodaq.mimocorb", "run_daq.py", "spectrum_setup.yaml", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:8] == [
        "2 buffers created...  List of buffers",
        "RB_1 16 500",
        "RB_2 16 1",
        "List of functions",
        "FKT_1 simul_source (1)   {'RB_1': 'write'}",
        "FKT_2 find_peaks (2)   {'RB_1': 'read', 'RB_2': 'write'}",
        "FKT_3 save_to_txt (1)   {'RB_2': 'read'}",
        "FKT_4 plot_waveform (1)   {'RB_1': 'observe'}",
    ]
    assert "Events processed: 200" in done.stdout
    (run,) = (project / "target").glob("spectrum_*")
    information = yaml.safe_load((run / "run_information.yaml").read_text())
    assert (information["runevents"], information["verdict"]) == (200, "good")
    assert (run / "spectrum.txt").read_text().startswith("counter\ttimestamp\tdeadtime\tchA_height\t")


def test_verbose_zero_is_silent(python: Run, project: Path) -> None:
    done = python("-m", "mimodaq.mimocorb", "run_daq.py", "spectrum_setup.yaml", "-v", "0", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_a_setup_that_does_not_exist_is_told(python: Run, project: Path) -> None:
    done = python("-m", "mimodaq.mimocorb", "run_daq.py", "spektrum_setup.yaml", cwd=project)
    assert done.returncode == 1
    assert "FileNotFoundError: Setup YAML file 'spektrum_setup.yaml' does not exist!" in done.stderr


def test_a_faulty_setup_is_told_with_its_line_before_anything_runs(python: Run, project: Path) -> None:
    file = project / "spectrum_setup.yaml"
    file.write_text(file.read_text().replace("num_process: 2", "num_proces: 2"))
    done = python("-m", "mimodaq.mimocorb", "run_daq.py", "spectrum_setup.yaml", cwd=project)
    assert done.returncode == 2
    line = file.read_text().splitlines().index("      num_proces: 2") + 1
    assert f"spectrum_setup.yaml:{line}:" in done.stderr
    assert "num_process" in done.stderr
    assert not (project / "target").exists()


STOP_FROM_A_THREAD = """
import glob, sys, threading, time
from mimocorb.buffer_control import run_mimoDAQ

daq = run_mimoDAQ(sys.argv[1], verbose=0)
daq.setup()

def stop():
    while not any(len(open(name).readlines()) > 5 for name in glob.glob("target/spectrum_*/spectrum.txt")):
        time.sleep(0.05)
    daq.end(twait=60)

threading.Thread(target=stop).start()
daq.run()
print(daq.verdict, daq.N_processed > 5)
"""


def test_a_run_can_be_ended_from_another_thread(python: Run, project: Path) -> None:
    (project / "stop.py").write_text(STOP_FROM_A_THREAD)
    file = project / "config" / "spectrum_config.yaml"
    config = yaml.safe_load(file.read_text())
    del config["general"]["runevents"]
    file.write_text(yaml.safe_dump(config))
    done = python("-m", "mimodaq.mimocorb", "stop.py", "spectrum_setup.yaml", cwd=project)
    assert done.stdout.splitlines()[-1:] == ["good True"], done.stderr
