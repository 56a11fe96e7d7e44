"""What killed runs have left is completed by the next start."""

import json
import socket

import numpy as np
import pyarrow.parquet as pq
import pytest

from files.conftest import WAVES, make_batch
from mimodaq.functions.files import DatasetWriter
from mimodaq.node import Entry
from mimodaq.node._log import LOG, RunLog
from mimodaq.node._recover import killed_runs, recover_killed_runs


@pytest.fixture
def run(tmp_path):
    """A run directory with a journal of three events, as a killed run leaves it."""

    def make(name, verdict=None, host=None):
        folder = tmp_path / name
        folder.mkdir()
        writer = DatasetWriter(folder / "x", WAVES)
        writer.append(make_batch(WAVES, np.arange(3)))
        writer.abort()
        times = {"start_asked": "2026-01-01T00:00:00+00:00"}
        record = {"run": 1, "verdict": verdict, "reasons": [], "times": times, "files": {}}
        record["where"] = {"host": host or socket.gethostname()}
        (folder / "run.json").write_text(json.dumps(record, indent=2))
        return folder

    return make


def test_a_killed_run_is_completed_and_gets_its_verdict(run, tmp_path):
    folder = run("a")
    (found,) = recover_killed_runs(tmp_path)
    assert found.line() == f"{folder} was left by a run that was killed: 3 events recovered"
    assert pq.read_table(folder / "x")["counter"].to_pylist() == [0, 1, 2]
    record = json.loads((folder / "run.json").read_text())
    assert (record["verdict"], record["reasons"]) == ("interrupted", ["the run was killed; its files were recovered"])
    assert list(recover_killed_runs(tmp_path)) == []


def test_runs_that_have_ended_go_on_or_are_of_others_are_left_alone(run, tmp_path):
    run("ended", verdict="good")
    run("elsewhere", host="another-host")
    going_on = run("going_on")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text('{"verdict": null, ')
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.json").write_text('{"verdict": null}')
    log = RunLog(going_on / LOG, lambda entry: None)
    log.write(Entry(0.0, "info", "run", "running"))
    assert list(killed_runs(tmp_path)) == []
    log.close()
    assert list(killed_runs(tmp_path)) == [going_on]


def test_what_is_still_being_written_is_told_and_left_for_the_next_start(run, tmp_path):
    folder = run("a")
    writer = DatasetWriter(folder / "x", WAVES)
    (found,) = recover_killed_runs(tmp_path)
    assert "in use" in found.line()
    writer.abort()
    assert json.loads((folder / "run.json").read_text())["verdict"] is None
