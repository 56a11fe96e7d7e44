"""Runs as a user takes them: what their files say, the same again byte for byte, and the setup made of one file."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.command import Project, children_of, kill, wait_for_end, wait_until
from mimodaq.client import RecordedRun, open_run
from mimodaq.client._compare import compare
from mimodaq.client._exit import EXIT_GOOD
from mimodaq.client._rebuild import rebuild
from mimodaq.client.runs import RunState
from mimodaq.functions.files import bytes_of_events, end_of, open_events
from selfdescribing.alone import EVERYTHING, OF_THE_END, told

DATA = ("raw/raw-0000.parquet", "waves.tar", "out.csv")


@dataclass
class Story:
    """A run, and its replay."""

    project: Project
    first: RecordedRun
    again: RecordedRun


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A source that never gives the same twice, two filters at once, every kind of file."""
    project = Project(tmp_path_factory.mktemp("story"))
    project.write("modules/constants.py", "MEAN = 3.0")
    project.write(
        "modules/random_source.py",
        """
        import random
        import constants

        def source():
            while True:
                yield {"x": random.gauss(constants.MEAN, 1.0)}
        """,
    )
    project.functions("def above(event, *, level: float = 3.0):\n    return event['x'][0] > level\n")
    project.setup(
        "modules/random_source.py:source > RB_1",
        "to_parquet < RB_1 {filename: raw}",
        "above x2 < RB_1 > RB_2",
        "to_csv < RB_2 {filename: out}",
        "to_tar < RB_2 {filename: waves}",
        name="demo_setup.yaml",
    )
    project.run("demo_setup.yaml", "--events", "400", "--output", "first")
    project("replay", "first", "--headless", "--output", "again")
    return Story(project, open_run(project.folder / "first"), open_run(project.folder / "again"))


def metadata(file: Path) -> dict[str, Any]:
    with open_events(file) as events:
        return dict(events.metadata)


@pytest.mark.parametrize("name", DATA)
def test_every_file_tells_all_about_its_run(story: Story, name: str) -> None:
    found, record = told(story.first.path / name), story.first.record
    end = found["end"]
    assert set(found) >= EVERYTHING
    assert set(end) >= OF_THE_END
    assert (found["run"], found["setup"], found["comment"], end["left_out"]) == (1, "demo_setup.yaml", "", [])
    for key in ("versions", "where", "operator"):
        assert found[key] == record[key], key
    assert found["operator"] == record["where"]["user"]
    for key in ("verdict", "reasons", "times", "ledger", "clock", "buffers", "workers", "figures", "live_time_s"):
        assert end[key] == record[key], key
    assert found["started"] == end["times"]["start_asked"]
    assert len(end["times"]) == 4
    assert all(end["times"].values())
    assert [name for entry in found["configuration"]["RingBuffer"] for name in entry] == ["RB_1", "RB_2"]
    hashes = found["sha256"]
    assert set(found["files"]) == set(hashes)
    assert set(hashes) == {
        "setup.resolved.yaml",
        "demo_setup.yaml",
        "my.py",
        "modules/constants.py",
        "modules/random_source.py",
    }
    for kept, text in hashes.items():
        assert hashlib.sha256((story.first.path / kept).read_bytes()).hexdigest() == text
        assert found["files"][kept].encode() == (story.first.path / kept).read_bytes()


def test_the_record_lists_what_functions_have_written_and_not_what_is_said_of_it(story: Story) -> None:
    files = [path for paths in story.first.record["files"].values() for path in paths]
    assert sorted(files) == sorted(str(story.first.path / name) for name in DATA)
    assert [output.name for output in story.first.outputs] == ["out", "raw", "waves"]


def test_a_replay_writes_the_same_bytes(story: Story) -> None:
    assert len(story.first["raw"]) == 400
    assert 0 < len(story.first["waves"]) < 400
    for name in DATA:
        one, two = story.first.path / name, story.again.path / name
        mine, theirs = (file.read_bytes()[slice(*bytes_of_events(file))] for file in (one, two))
        assert mine == theirs, name
        assert len(mine) > 1000
    assert metadata(story.again.path / DATA[0])["run"] == "2"


def test_the_command_says_that_a_replay_is_the_same(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(story.first.path, story.again.path, False) == EXIT_GOOD
    lines = capsys.readouterr().out.splitlines()
    but = "the same bytes, but for what the files say of their run"
    assert [line.split(None, 1) for line in lines] == [
        ["out", "the same bytes"],
        ["raw", but],
        ["waves", but],
    ]


@pytest.mark.parametrize("name", ["waves.tar", "out.csv", "out.csv.json"])
def test_the_setup_comes_out_of_every_file(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for copied in {name, f"{name.removesuffix('.json')}.json"} if "csv" in name else {name}:
        shutil.copyfile(story.first.path / copied, copied)
    if name.endswith(".json"):
        assert [path.name for path in Path().iterdir()] == [name]
    assert rebuild(Path(name), Path("new")) == EXIT_GOOD
    assert Path("new/my.py").read_bytes() == (story.first.path / "my.py").read_bytes()
    assert Path("new/as_written/demo_setup.yaml").exists()


def test_the_setup_made_of_a_data_file_alone_runs(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Project(tmp_path)
    (tmp_path / "my.py").unlink()
    shutil.copyfile(story.first.path / "raw/raw-0000.parquet", tmp_path / "found.parquet")
    monkeypatch.chdir(tmp_path)
    assert rebuild(Path("found.parquet"), None) == EXIT_GOOD
    said = capsys.readouterr().out
    assert said.startswith("demo_setup-run1 holds the setup of run 1, started 20")
    assert "verdict good" in said
    rebuilt = tmp_path / "demo_setup-run1"
    assert (rebuilt / "as_written/demo_setup.yaml").read_bytes() == (
        story.project.folder / "demo_setup.yaml"
    ).read_bytes()
    assert {str(path.relative_to(rebuilt)) for path in rebuilt.rglob("*.*")} == {
        "demo_setup.yaml",
        "as_written/demo_setup.yaml",
        "my.py",
        "modules/constants.py",
        "modules/random_source.py",
    }
    result = alone.run("demo_setup-run1/demo_setup.yaml", "--events", "50")
    assert (result["verdict"], result["buffers"]["RB_1"]["events"]) == ("good", 50)
    assert Path(result["run_dir"]).parent == rebuilt / "target"


def test_a_run_can_be_read_while_it_goes_on_and_after_it_was_killed(project: Project) -> None:
    project.functions("def gated(event):\n    if event['x'][0] >= 40:\n        tell('held')\n        until('never')\n")
    project.setup(
        "numbers > RB_1",
        "to_parquet < RB_1 {filename: raw}",
        "to_csv < RB_1 {filename: out}",
        "to_tar < RB_1 {filename: waves}",
        "gated < RB_1",
        slots=64,
    )
    with project.started("--output", "run") as going_on:
        project.file("held")
        wait_until(lambda: len(open_run(project.folder / "run").outputs) == 3, "the files do not appear")
        run = open_run(project.folder / "run")
        assert (run.state, run.verdict) == (RunState.GOING_ON, None)
        assert "going on" in repr(run)
        wait_until(lambda: min(check_prefix(run)) >= 40, "the events do not appear in the files")
        children = children_of(going_on.process.pid)
        for victim in (going_on.process.pid, *children):
            kill(victim)
        going_on.process.wait()
        wait_for_end(*children)
    killed = open_run(project.folder / "run")
    assert (killed.state, killed.verdict) == (RunState.KILLED, None)
    assert not killed["raw"].is_complete
    before = check_prefix(killed)
    assert min(before) >= 40
    project("recover", "run")
    recovered = open_run(project.folder / "run")
    assert (recovered.state, recovered.verdict) == (RunState.ENDED, "interrupted")
    assert recovered["raw"].is_complete
    assert check_prefix(recovered) == before
    for name in ("raw", "waves.tar", "out.csv"):
        end = end_of(metadata(recovered.path / name))
        assert end is not None
        assert end["verdict"] == "interrupted"


def check_prefix(run: RecordedRun) -> list[int]:
    """Each output holds the first numbers, however far it has come; how many."""
    counts = []
    for name in ("raw", "out", "waves"):
        counts.append(len(run[name]))
        if counts[-1]:
            rows = run[name].to_numpy(["counter", "x"], stop=counts[-1])
            assert rows["counter"].tolist() == list(range(counts[-1]))
            assert np.array_equal(rows["x"], rows["counter"])
    return counts
