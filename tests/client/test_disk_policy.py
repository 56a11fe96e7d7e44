"""A disk that fills up while a run writes to it: told, stopped in time, gone on elsewhere; and always whole files."""

import json
import random
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from client.command import children_of, kill, log, record, wait_for_end
from mimodaq.node import remove_left_overs

FUNCTIONS = """
import numpy as np


def noise(*, pause: float = 0.0):
    chance = np.random.default_rng(1)
    while True:
        time.sleep(pause)
        yield {"x": chance.random(1000)}
"""
SETUP = """
output_directory: {output}
disk: {disk}
RingBuffer:
  - RB_1: {{number_of_slots: 64, channel_per_slot: 1000, data_type: {{1: [x, float64]}}}}
Functions:
  - Fkt_1: {{function: "my.py:noise", RB_assign: {{RB_1: write}}, config: {{pause: {pause}}}}}
  - Fkt_2:
      function: to_parquet
      RB_assign: {{RB_1: read}}
      config: {{filename: x, rotate_size: "{part}", fsync: never}}
"""


@pytest.fixture
def disk(project):
    """A file system of 40 MB."""
    place = project.folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def write(project):
    def write(disk, output="disk", pause=0.001, part="1 GB"):
        project.functions(FUNCTIONS)
        return project.write("setup.yaml", SETUP.format(disk=disk, output=output, pause=pause, part=part))

    return write


def events_in(result):
    """Counters in the dataset of a run, all of whose files must be complete."""
    folder = Path(result["run_dir"])
    assert [path.name for path in folder.rglob("_*")] == []
    return pq.read_table(folder / "x", columns=["counter"])["counter"].to_pylist()


def test_a_run_is_stopped_while_there_is_room_for_all_it_has_taken(project, disk, write):
    write("{reserve: 36 MB, warn: 10 h}")
    result = project.run()
    assert result["verdict"] == "good"
    taken = result["buffers"]["RB_1"]["events"]
    assert events_in(result) == list(range(taken))
    assert record(result)["end_reason"].startswith("only ")
    assert "are left on the disk: the run is stopped (disk.when_low: stop)" in log(result)


def test_a_run_is_paused_until_the_operator_decides(project, disk, write):
    write("{reserve: 36 MB, when_low: pause}")
    with project.started() as run:
        run.hears("the run is paused (disk.when_low: pause)")
        run.hears("paused: only ")
        run.send(2)
        result = run.result()
    assert result["verdict"] == "good"
    assert events_in(result) == list(range(result["buffers"]["RB_1"]["events"]))


def test_a_disk_that_is_full_at_once_ends_in_complete_files(project, disk, write):
    write("{when_low: warn}", pause=0)
    result = project.run(expect=1)
    assert result["verdict"] in ("interrupted", "incomplete")
    released = result["ledger"]["buffers"]["RB_1"]["Fkt_2"]["released"]
    assert events_in(result) == list(range(released))
    assert released > 1000
    assert "the disk is full; the files with the" in log(result)


def test_a_dataset_goes_on_on_the_next_disk(project, disk, write):
    (project.folder / "more").mkdir()
    write("{reserve: 30 MB, spill: [more, unplugged, disk]}", pause=0)
    result = project.run("--events", "3000")
    assert result["verdict"] == "good"
    assert events_in(result) == list(range(3000))
    assert "x goes on in " in log(result)
    assert f"disk.spill: {project.folder}/unplugged is not there and cannot be used" in log(result)
    assert f"disk.spill: {project.folder}/disk is on the disk of " in log(result)
    assert len(list((project.folder / "more").rglob("*.parquet"))) == 1


def test_what_is_there_is_readable_after_kills_at_any_moment_and_the_next_start_completes_it(project, write):
    chance = random.Random(6)
    write("", output="out", pause=0.0005, part="300 kB")
    left = None
    for _ in range(2):
        with project.started() as run:
            run.hears("running")
            if left is not None:
                run.hears(f"{left} was left by a run that was killed: ")
                assert json.loads((left / "run.json").read_text())["verdict"] == "interrupted"
                found = pq.read_table(left / "x", columns=["counter"])["counter"].to_pylist()
                assert found == list(range(len(found)))
                assert not list(left.rglob("_*"))
            threading.Event().wait(chance.random())  # the moment, not a condition
            children = children_of(run.process.pid)
            for victim in chance.sample([run.process.pid, *children], 1 + len(children)):
                kill(victim)
            run.process.wait()
            wait_for_end(*children)
        left = max(project.folder.glob("out/2*"), key=lambda path: path.stat().st_mtime)
        for part in left.glob("x/[!_]*.parquet"):
            assert pq.read_table(part).num_rows > 0
    remove_left_overs()  # no other run does that here
