"""Run directories for programs: what is found in them, and what is said of directories that are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mimodaq.client
from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.client import RunError, open_run, take_run
from mimodaq.client.runs import NoOutputError, RunState
from mimodaq.functions.files import CsvWriter, DatasetWriter

MakeRun = Callable[..., Path]
SETUP = """
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float64]}}
  - RB_2: {number_of_slots: 16, data_type: {1: [x, float64]}}
Functions:
  - Fkt_1: {function: "my:numbers", RB_assign: {RB_1: write}}
  - Fkt_2: {function: "my:keep", RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {function: to_parquet, RB_assign: {RB_1: read}, config: {filename: pulses}}
  - Fkt_4: {function: to_csv, RB_assign: {RB_2: read}, config: {filename: pulses, separator: "\\t"}}
  - Fkt_5: {function: "my:save", RB_assign: {RB_2: read}}
"""


@pytest.fixture
def run(run_folder: MakeRun) -> Path:
    folder = run_folder("run", files={"Fkt_5": ["/where/it/was/mine.csv", "/where/it/was/picture.png"]})
    (folder / "setup.resolved.yaml").write_text(SETUP)
    with DatasetWriter(folder / "pulses", WAVES) as writer:
        writer.append(make_batch(WAVES, range(9)))
    for name in ("pulses.txt", "mine.csv"):
        with CsvWriter(folder / name, SCALARS) as text:
            text.append(make_batch(SCALARS, range(5)))
    (folder / "picture.png").write_bytes(b"")
    return folder


def test_outputs_are_found_by_name_function_and_buffer(run: Path) -> None:
    found = open_run(run)
    assert (found.number, found.verdict, found.state, found.reasons) == (12, "good", RunState.ENDED, ())
    assert [(o.name, o.function, o.buffer, len(o)) for o in found.outputs] == [
        ("mine", "Fkt_5", "RB_2", 5),
        ("pulses", "Fkt_3", "RB_1", 9),
        ("pulses.txt", "Fkt_4", "RB_2", 5),
    ]
    assert found["RB_1"] is found["pulses"] is found["Fkt_3"]
    assert found["mine"].fields == SCALARS.names
    assert found["pulses"].is_complete
    assert found.files == (run / "mine.csv", run / "picture.png")
    assert str(found) == f"run 12 (good) in {run}"
    assert "pulses.txt (of RB_2)" in repr(found)


def test_what_is_not_there_or_not_clear_is_told_with_what_there_is(run: Path) -> None:
    found = open_run(run)
    with pytest.raises(NoOutputError, match=r"RB_2 is written to mine, pulses.txt. Name one of them"):
        found["RB_2"]
    with pytest.raises(KeyError, match=r"has no output 'RB_9'; it has mine, pulses, pulses.txt"):
        found["RB_9"]
    with pytest.raises(RunError, match="unknown"):
        found["pulses"].to_numpy(["chX"])


def test_a_setup_that_cannot_be_read_leaves_what_the_record_says(run: Path) -> None:
    (run / "setup.resolved.yaml").write_text("{")
    assert [(o.name, o.function, o.buffer) for o in open_run(run).outputs] == [
        ("mine", "Fkt_5", ""),
        ("pulses", "", ""),
        ("pulses.txt", "", ""),
    ]


def test_damaged_events_are_named_and_can_be_left_out(run: Path) -> None:
    part = run / "pulses/pulses-0000.parquet"
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(RunError, match=r"pulses-0000.parquet: it is no complete Parquet file .*skip_corrupt=True"):
        open_run(run)["pulses"].to_numpy()
    (run / "mine.csv").write_text("counter,x\n1,2\n2,2,2\n3,4\n")
    with pytest.raises(RunError, match=r"line 3: 3 values, 2 expected.*skip_corrupt=True"):
        open_run(run)["mine"].to_numpy()
    assert open_run(run)["mine"].to_numpy(skip_corrupt=True)["counter"].tolist() == [1, 3]


def test_an_unfinished_run_without_a_living_process_was_killed(run_folder: MakeRun) -> None:
    folder = run_folder("run", verdict=None)
    (folder / "run.log").write_text("")
    found = open_run(folder)
    assert (found.state, found.verdict, found.outputs) == (RunState.KILLED, None, ())
    assert repr(found) == f"<run 12 (killed) in {folder}: no events written>"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "run.json is damaged"),
        ("{", "run.json is damaged"),
        ("[1, 2]", "is not that of a run of mimodaq: it has no run, verdict"),
        (json.dumps({"run": 1, "verdict": "good"}), "it has no reasons, times, files"),
    ],
)
def test_a_record_that_is_none_is_told(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=words):
        open_run(tmp_path)


def test_a_wrong_path_is_told_with_the_way_out(run: Path) -> None:
    with pytest.raises(RunError, match=r"there is no such directory. Runs are in the output_directory"):
        open_run(run / "missing")
    with pytest.raises(RunError, match=r"is a file. Give the run directory it is in, the one with run.json"):
        open_run(run / "mine.csv")
    with pytest.raises(RunError, match=re.escape("is no run directory: it has no run.json. There are runs in it: run")):
        open_run(run.parent)


def test_a_run_that_cannot_be_taken_is_told_in_the_words_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "setup.yaml").write_text("RingBuffer: []\n")
    with pytest.raises(RunError, match=r"(?s)^taking data: .*setup.yaml.*Functions"):
        take_run(tmp_path / "setup.yaml", events=1, duration_s=1.5, output=tmp_path / "x", overrides=["runtime=1"])


def test_the_names_for_programs_are_all_there() -> None:
    for name in mimodaq.client.__all__:
        assert getattr(mimodaq.client, name).__module__.startswith("mimodaq.client.")
    with pytest.raises(AttributeError, match=r"mimodaq.client has no 'nothing'"):
        _ = mimodaq.client.nothing
