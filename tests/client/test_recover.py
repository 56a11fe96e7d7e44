"""`mimodaq recover` after a run whose processes were all killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.command import children_of, column, kill, wait_for_end, wait_until
from mimodaq.ring import Ring, left_overs

SHM = Path("/dev/shm")


def are_written(pid, events):
    """Whether all files of that run have so many events."""
    (segment,) = SHM.glob(f"mimodaq.*{pid}-*")
    groups = Ring.attach(segment.name).status().groups
    return all(group.released >= events for group in groups if group.name != "Fkt_4")


@pytest.fixture
def killed(project):
    """A run directory whose every process was killed while events were in the buffers."""
    project.functions("def gated(event):\n    if event['x'][0] >= 40:\n        tell('held')\n        until('never')\n")
    project.setup(
        "numbers > RB_1",
        "to_parquet < RB_1 {filename: raw}",
        "to_csv < RB_1 {filename: out}",
        "gated < RB_1",
        slots=64,
    )
    with project.started("--output", "run") as run:
        project.file("held")
        wait_until(lambda: are_written(run.process.pid, 40), "the files have not got the first 40 events")
        children = children_of(run.process.pid)
        for victim in (run.process.pid, *children):
            kill(victim)
        run.process.wait()
        wait_for_end(*children)
    return project.folder / "run"


def test_a_killed_run_is_recovered(project, killed):
    import pyarrow.parquet as pq

    assert json.loads((killed / "run.json").read_text())["verdict"] is None
    done = project("recover", "run")
    assert "raw-0000.parquet: recovered, " in done.stdout
    events = pq.read_table(killed / "raw")["counter"].to_pylist()
    assert events == list(range(len(events)))
    assert len(events) >= 40
    csv = column(killed / "out.csv", "counter")
    assert csv == list(range(len(csv)))
    record = json.loads((killed / "run.json").read_text())
    assert not [*SHM.glob(f"mimodaq.*{record['where']['pid']}-*")]
    assert (record["verdict"], record["reasons"]) == ("interrupted", ["the run was killed; its files were recovered"])
    again = project("recover", "run", "--json")
    assert json.loads(again.stdout) == {"files": [], "complete": True}


MAKE_AND_DIE = """
import os, signal, sys
import numpy as np
from mimodaq.ring import Ring
event, about = np.dtype([("x", "f8")]), {"folder": sys.argv[2]}
Ring.create(sys.argv[1], event, 4, groups=["g"], expected_writers=1, description=about)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_buffers_that_wait_for_their_node_daemon_stay(project, killed):
    segment, folder = SHM / f"mimodaq.0.test-{os.getpid()}.daq1.RB_1", project.folder / "memory"
    folder.mkdir()
    (folder / "kept").touch()
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE, segment.name, str(folder)], check=False)
    assert segment in left_overs()
    project("recover", "run")
    assert segment.exists()
    (folder / "kept").unlink()
    project("recover", "run")
    assert not segment.exists()


def test_a_run_that_goes_on_is_left_alone(project):
    project.setup("slow_numbers > RB_1", "to_csv < RB_1")
    with project.started("--output", "run") as run:
        project.file("flowing")
        done = project("recover", "run", expect=2)
        assert done.stderr == "run: this run is still going on\n"
        run.send(2)
        assert run.result()["verdict"] == "good"


def test_a_good_run_needs_no_recovery(project):
    project.setup("numbers > RB_1 {n: 10}", "to_csv < RB_1 {filename: out}")
    project.run("--output", "run")
    before = (project.folder / "run/run.json").read_bytes()
    assert project("recover", "run").stdout == "run: nothing to recover\n"
    assert (project.folder / "run/run.json").read_bytes() == before


def test_a_path_that_does_not_exist_is_refused(project):
    done = project("recover", "nowhere", "--json", expect=2)
    assert "nowhere" in json.loads(done.stdout)["error"]


def test_a_run_that_was_killed_before_it_began_is_told_of(project):
    project.write("run/run.log", "")
    project.write("run/run.json.part", "{")
    words = "run was left by a run that was killed before it began: no event was taken, so it can be removed\n"
    assert project("recover", "run").stdout == words
    project.setup("numbers > RB_1 {n: 10}", "to_csv < RB_1 {filename: out}")
    project.run("--output", "run")
    assert project("recover", "run").stdout == "run: nothing to recover\n"


def test_a_damaged_record_is_named(project):
    project.write("run/run.json", "{")
    done = project("recover", "run", expect=2)
    assert done.stderr.startswith("run/run.json cannot be read (")
